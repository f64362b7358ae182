// conv2d and its adjoint in the input over [B, H, W, C, lanes] (cpu/lanes.h), for layers of few channels.
//
// A tile is OB filters by PB pixels of one output row, its sums in registers over the whole kernel: each step loads PB
// vectors of x and multiplies each by OB broadcast weights. The adjoint (stride 1) is the same with the kernel turned
// around, which stage 0 does. A task is a strip of output rows of one block of samples.
#include "../cpu/lanes.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

// Registers: OB * PB sums, PB of x, one weight.
#if BERRANTE_LANES == 16
constexpr int kMaxFilters = 8;
constexpr int kPixels[kMaxFilters + 1] = {0, 8, 8, 6, 5, 4, 4, 3, 3};
#else
constexpr int kMaxFilters = 6;
constexpr int kPixels[kMaxFilters + 1] = {0, 8, 5, 3, 3, 2, 2};
#endif

struct Tile {
  const float *x, *w, *bias;
  float* y;
  int64_t row_step, run_step, pixel_step;  // of x, in floats
  int64_t rows, runs, run;                 // of the kernel
  int64_t filters;                         // all of them: the step of w, and of y's pixels
};

template <int OB, int PB>
static __attribute__((noinline)) void run_tile(const Tile& t) {
  vf sum[OB][PB];
#pragma GCC unroll 16
  for (int i = 0; i < OB; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < PB; ++j) sum[i][j] = t.bias == nullptr ? vf{} : splat(t.bias[i]);
  const float* w = t.w;
  const int64_t filters = t.filters, pixel = t.pixel_step;
  for (int64_t row = 0; row < t.rows; ++row)
    for (int64_t stretch = 0; stretch < t.runs; ++stretch) {
      const float* x = t.x + row * t.row_step + stretch * t.run_step;
      for (const float* end = x + t.run * kLanes; x != end; x += kLanes, w += filters) {
        vf at[PB];
#pragma GCC unroll 16
        for (int j = 0; j < PB; ++j) at[j] = load(x + j * pixel);
#pragma GCC unroll 16
        for (int i = 0; i < OB; ++i) {
          const vf weight = splat(w[i]);
#pragma GCC unroll 16
          for (int j = 0; j < PB; ++j) sum[i][j] += weight * at[j];
        }
      }
    }
#pragma GCC unroll 16
  for (int i = 0; i < OB; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < PB; ++j) store(t.y + (j * filters + i) * kLanes, sum[i][j]);
}

// One row of the output for OB filters; the last tile overlaps the one before it where the width is no multiple of PB.
template <int OB>
static void run_row(Tile t, int64_t width) {
  constexpr int PB = kPixels[OB];
  const float* x = t.x;
  float* y = t.y;
  if (width < PB) {
    for (int64_t j = 0; j < width; ++j) {
      t.x = x + j * t.pixel_step, t.y = y + j * t.filters * kLanes;
      run_tile<OB, 1>(t);
    }
    return;
  }
  for (int64_t j = 0; j < width; j += PB) {
    const int64_t at = smaller(j, width - PB);
    t.x = x + at * t.pixel_step, t.y = y + at * t.filters * kLanes;
    run_tile<OB, PB>(t);
  }
}

void run_rows(const Tile& t, int64_t filters, int64_t width) {
  switch (filters) {
    case 1: return run_row<1>(t, width);
    case 2: return run_row<2>(t, width);
    case 3: return run_row<3>(t, width);
    case 4: return run_row<4>(t, width);
    case 5: return run_row<5>(t, width);
#if BERRANTE_LANES == 16
    case 7: return run_row<7>(t, width);
    case 8: return run_row<8>(t, width);
#endif
    default: return run_row<6>(t, width);
  }
}

// The rows of the kernel that meet the image for one row of the output.
struct Taps {
  int64_t first, count;
};
Taps taps_inside(const Geometry& g, int64_t line) {
  const int64_t top = line * g.stride_h - g.pad_top;
  const int64_t first = top >= 0 ? 0 : smaller(g.kh, ceil_div(-top, g.dilation_h));
  const int64_t last = top >= g.h ? first : smaller(g.kh, (g.h - 1 - top) / g.dilation_h + 1);
  return {first, larger(0, last - first)};
}

// w [KH, KW, C, K] -> y [B, OH, OW, K, lanes], tasks begin .. end.
void convolve(const Geometry& g, const float* x, const float* w, const float* bias, int64_t activation, float* y,
              const Range& range) {
  const Strips s = strips_of(g);
  auto* scratch = reinterpret_cast<float*>(range.scratch);
  const int64_t parts = ceil_div(g.k, kMaxFilters), pixel = g.c * kLanes;
  for (int64_t task = range.begin; task < range.end; ++task) {
    const int64_t block = task / s.per_block, first = task % s.per_block * s.lines;
    const int64_t lines = smaller(s.lines, g.oh - first);
    const float* input = strip_input(s, g, x, block, first, lines, scratch);
    for (int64_t i = 0; i < lines; ++i) {
      float* row = y + ((block * g.oh + first + i) * g.ow) * g.k * kLanes;
      const Taps taps = taps_inside(g, first + i);
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t k0 = g.k * part / parts, k1 = g.k * (part + 1) / parts;
        const Tile tile{input + (i * g.stride_h + taps.first * g.dilation_h) * s.in_w * pixel,
                        w + taps.first * s.runs * s.run * g.k + k0,
                        bias == nullptr ? nullptr : bias + k0,
                        row + k0 * kLanes,
                        g.dilation_h * s.in_w * pixel,
                        s.run_step,
                        g.stride_w * pixel,
                        taps.count,
                        s.runs,
                        s.run,
                        g.k};
        run_rows(tile, k1 - k0, g.ow);
      }
      activate(row, g.ow * g.k * kLanes, activation);
    }
  }
}

// The shapes of a call without their lanes: geometry and checks are conv2d's.
View without_lanes(const View& v) {
  View image = v;
  image.rank = v.rank - 1;
  return image;
}

template <class Attrs>
const char* check_lanes(const Attrs& t, const View& x, const View& w, const View& y) {
  if (x.rank != 5 || y.rank != 5 || x.shape[4] != kLanes || y.shape[4] != kLanes)
    return "expected images [B, H, W, C, lanes] with this instruction set's number of lanes";
  if (t.groups != 1) return "expected one group";
  return check(t, without_lanes(x), w, without_lanes(y));
}

void plan_strips(const Geometry& g, Plan& plan) {
  const Strips s = strips_of(g);
  plan.scratch = strip_bytes(s, g);
  plan.cost = static_cast<double>(g.n * g.oh * g.ow * g.k) * static_cast<double>(g.kh * g.kw * g.c * kLanes) * 0.022;
  plan.tasks[plan.stages - 1] = s.blocks * s.per_block;
}

void plan_forward(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_lanes_attrs>(call);
  plan.error = call.n_in < 2 ? "expected an input and a kernel" : check_lanes(t, call.in[0], call.in[1], call.out[0]);
  if (plan.error != nullptr) return;
  const Geometry g = geometry(t, call.in[0], call.in[1], call.out[0]);
  if (call.n_in > 2 && (call.in[2].rank != 1 || call.in[2].shape[0] != g.k)) {
    plan.error = "expected a bias of K elements";
    return;
  }
  plan_strips(g, plan);
}

const float* bias_of(const Call& call) { return call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr; }

void run_forward(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_lanes_attrs>(call);
  convolve(geometry(t, call.in[0], call.in[1], call.out[0]), static_cast<const float*>(call.in[0].data),
           static_cast<const float*>(call.in[1].data), bias_of(call), t.activation,
           static_cast<float*>(call.out[0].data), range);
}

// --- adjoint in the input
// ---------------------------------------------------------------------------------------------

// The convolution of dy that gives dx.
Geometry adjoint(const Geometry& g) {
  Geometry a = g;
  a.h = g.oh, a.w = g.ow, a.c = g.k, a.oh = g.h, a.ow = g.w, a.k = g.c;
  a.cg = a.c, a.kg = a.k;
  a.pad_top = (g.kh - 1) * g.dilation_h - g.pad_top;
  a.pad_left = (g.kw - 1) * g.dilation_w - g.pad_left;
  return a;
}

void plan_input_grad(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_lanes_input_grad_attrs>(call);
  plan.error =
      call.n_in < 2 ? "expected an output gradient and a kernel" : check_lanes(t, call.out[0], call.in[1], call.in[0]);
  if (plan.error == nullptr && (t.stride_h != 1 || t.stride_w != 1)) plan.error = "expected strides of 1";
  if (plan.error != nullptr) return;
  const Geometry g = geometry(t, call.out[0], call.in[1], call.in[0]);
  if (call.n_in > 2 && (call.in[2].rank != 1 || call.in[2].shape[0] != g.c)) {
    plan.error = "expected a bias of C elements";
    return;
  }
  plan.stages = 2;
  plan.workspace = static_cast<size_t>(g.kh * g.kw * g.c * g.k) * 4;
  plan_strips(adjoint(g), plan);
}

void run_input_grad(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_lanes_input_grad_attrs>(call);
  const Geometry g = geometry(t, call.out[0], call.in[1], call.in[0]);
  auto* turned = reinterpret_cast<float*>(call.workspace);
  if (range.stage == 0) {
    const float* w = static_cast<const float*>(call.in[1].data);
    const int64_t taps = g.kh * g.kw;
    for (int64_t tap = 0; tap < taps; ++tap)
      for (int64_t k = 0; k < g.k; ++k)
        for (int64_t c = 0; c < g.c; ++c) turned[(tap * g.k + k) * g.c + c] = w[((taps - 1 - tap) * g.c + c) * g.k + k];
    return;
  }
  convolve(adjoint(g), static_cast<const float*>(call.in[0].data), turned, bias_of(call), t.activation,
           static_cast<float*>(call.out[0].data), range);
}

// --- adjoint in the weights
// -------------------------------------------------------------------------------------------

// dw sums x * dy over pixels in registers, a tile of RB places of the kernel by OB filters at a time, and over a
// strip's rows; lanes are added at the end. Each of a fixed number of shares of the strips has a sum of its own; stage
// 1 adds them in order.
#if BERRANTE_LANES == 16
constexpr int kMaxColumns = 6;
constexpr int kPlaces[kMaxColumns + 1] = {0, 8, 8, 6, 5, 4, 4};
#else
constexpr int kMaxColumns = 4;
constexpr int kPlaces[kMaxColumns + 1] = {0, 8, 5, 3, 3};
#endif
constexpr int64_t kShares = 16;
constexpr int64_t kChunkBytes = 20 * 1024;  // of the rows added in one go, about: they stay in L1
constexpr int64_t kSumSize = 4096;          // elements a task of the last stage

struct Product {
  const float *x, *dy;
  float* sum;
  int64_t x_line, x_pixel, dy_line, dy_pixel, lines, pixels;
  int64_t filters;
};

template <int RB, int OB>
static __attribute__((noinline)) void add_products(const Product& p) {
  vf sum[RB][OB];
  const int64_t row = p.filters * kLanes;
#pragma GCC unroll 16
  for (int i = 0; i < RB; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < OB; ++j) sum[i][j] = load(p.sum + i * row + j * kLanes);
  for (int64_t line = 0; line < p.lines; ++line) {
    const float *x = p.x + line * p.x_line, *dy = p.dy + line * p.dy_line;
    for (int64_t pixel = 0; pixel < p.pixels; ++pixel, x += p.x_pixel, dy += p.dy_pixel) {
      vf at[RB];
#pragma GCC unroll 16
      for (int i = 0; i < RB; ++i) at[i] = load(x + i * kLanes);
#pragma GCC unroll 16
      for (int j = 0; j < OB; ++j) {
        const vf d = load(dy + j * kLanes);
#pragma GCC unroll 16
        for (int i = 0; i < RB; ++i) sum[i][j] += at[i] * d;
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < RB; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < OB; ++j) store(p.sum + i * row + j * kLanes, sum[i][j]);
}

// All places 0 .. places of one stretch of the kernel for OB filters.
template <int OB, int RB = kPlaces[OB]>
void add_places(Product p, int64_t places) {
  const int64_t parts = ceil_div(places, kPlaces[OB]);
  const float* x = p.x;
  float* sum = p.sum;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t r0 = places * part / parts, r1 = places * (part + 1) / parts;
    p.x = x + r0 * kLanes, p.sum = sum + r0 * p.filters * kLanes;
    switch (r1 - r0) {
      case 1: add_products<1, OB>(p); break;
      case 2: add_products<2, OB>(p); break;
      case 3: add_products<3, OB>(p); break;
      case 4: add_products<(RB >= 4 ? 4 : RB), OB>(p); break;
      case 5: add_products<(RB >= 5 ? 5 : RB), OB>(p); break;
      case 6: add_products<(RB >= 6 ? 6 : RB), OB>(p); break;
      case 7: add_products<(RB >= 7 ? 7 : RB), OB>(p); break;
      default: add_products<(RB >= 8 ? 8 : RB), OB>(p); break;
    }
  }
}

void add_columns(const Product& p, int64_t places, int64_t filters) {
  switch (filters) {
    case 1: return add_places<1>(p, places);
    case 2: return add_places<2>(p, places);
    case 3: return add_places<3>(p, places);
#if BERRANTE_LANES == 16
    case 5: return add_places<5>(p, places);
    case 6: return add_places<6>(p, places);
#endif
    default: return add_places<4>(p, places);
  }
}

// Adds the products of some rows of the output, all taps and filters.
void add_strip(const Geometry& g, const Strips& s, const float* x, const float* dy, int64_t lines, float* sums) {
  const int64_t pixel = g.c * kLanes, dy_pixel = g.k * kLanes, parts = ceil_div(g.k, kMaxColumns);
  for (int64_t kh = 0; kh < g.kh; ++kh)
    for (int64_t stretch = 0; stretch < s.runs; ++stretch)
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t k0 = g.k * part / parts, k1 = g.k * (part + 1) / parts;
        const Product product{x + kh * g.dilation_h * s.in_w * pixel + stretch * s.run_step,
                              dy + k0 * kLanes,
                              sums + ((kh * s.runs + stretch) * s.run * g.k + k0) * kLanes,
                              g.stride_h * s.in_w * pixel,
                              g.stride_w * pixel,
                              g.ow * dy_pixel,
                              dy_pixel,
                              lines,
                              g.ow,
                              g.k};
        add_columns(product, s.run, k1 - k0);
      }
}

void plan_weight_grad(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_lanes_weight_grad_attrs>(call);
  plan.error =
      call.n_in != 2 ? "expected an input and an output gradient" : check_lanes(t, call.in[0], call.out[0], call.in[1]);
  if (plan.error != nullptr) return;
  const Geometry g = geometry(t, call.in[0], call.out[0], call.in[1]);
  const Strips s = strips_of(g);
  const int64_t size = g.kh * g.kw * g.c * g.k, shares = larger(1, smaller(kShares, s.blocks * s.per_block));
  plan_strips(g, plan);
  plan.stages = 2;
  plan.tasks[0] = shares;
  plan.tasks[1] = ceil_div(size, kSumSize);
  plan.workspace = static_cast<size_t>(shares * size) * 4;
  plan.scratch += static_cast<size_t>(size) * kVectorBytes;
}

void run_weight_grad(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_lanes_weight_grad_attrs>(call);
  const Geometry g = geometry(t, call.in[0], call.out[0], call.in[1]);
  const Strips s = strips_of(g);
  const int64_t size = g.kh * g.kw * g.c * g.k, strips = s.blocks * s.per_block;
  const int64_t shares = larger(1, smaller(kShares, strips));
  auto* partials = reinterpret_cast<float*>(call.workspace);
  float* dw = static_cast<float*>(call.out[0].data);
  if (range.stage == 1) {
    const int64_t end = smaller(size, range.end * kSumSize);
    for (int64_t i = range.begin * kSumSize; i < end; ++i) {
      float sum = partials[i];
      for (int64_t share = 1; share < shares; ++share) sum += partials[share * size + i];
      dw[i] = sum;
    }
    return;
  }
  const float *x = static_cast<const float*>(call.in[0].data), *dy = static_cast<const float*>(call.in[1].data);
  auto* sums = reinterpret_cast<float*>(range.scratch);
  float* copies = sums + size * kLanes;
  const int64_t pixel = g.c * kLanes, dy_pixel = g.k * kLanes;
  const int64_t chunk = larger(1, kChunkBytes / ((g.stride_h * s.in_w * g.c + g.ow * g.k) * kVectorBytes));
  for (int64_t share = range.begin; share < range.end; ++share) {
    for (int64_t i = 0; i < size; ++i) store(sums + i * kLanes, vf{});
    for (int64_t strip = strips * share / shares; strip < strips * (share + 1) / shares; ++strip) {
      const int64_t block = strip / s.per_block, first = strip % s.per_block * s.lines;
      const int64_t lines = smaller(s.lines, g.oh - first);
      const float* input = strip_input(s, g, x, block, first, lines, copies);
      const float* gradient = dy + (block * g.oh + first) * g.ow * dy_pixel;
      for (int64_t line = 0; line < lines; line += chunk)
        add_strip(g, s, input + line * g.stride_h * s.in_w * pixel, gradient + line * g.ow * dy_pixel,
                  smaller(chunk, lines - line), sums);
    }
    sum_each(sums, size, partials + share * size);
  }
}

}  // namespace

BERRANTE_KERNEL(conv2d_lanes, plan_forward, run_forward);
BERRANTE_KERNEL(conv2d_lanes_input_grad, plan_input_grad, run_input_grad);
BERRANTE_KERNEL(conv2d_lanes_weight_grad, plan_weight_grad, run_weight_grad);

}  // namespace BERRANTE_ISA
}  // namespace berrante
