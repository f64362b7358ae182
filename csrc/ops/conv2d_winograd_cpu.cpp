// 3x3 convolutions with stride 1 and up to 4x4 with stride 2 by Winograd's algorithms (cpu/winograd.h), where channels
// and filters fill vectors.
//
// Forward, and the adjoint in the input, which is a forward convolution of the gradient with the filters turned around:
// stage 0 transforms the filters into panels; a task of stage 1 takes a block of tiles, small enough for its
// frequencies to stay in cache, through input transform, a product a frequency and output transform. Weight gradient:
// stage 0 has a fixed number of tasks, each a share of the tiles for some channels, that sum products of transformed
// inputs and gradients; stage 1 adds the shares in order and transforms back.
//
// With stride 2 the phases of an image count as channels of their own, here called planes: plane p * C + c is channel c
// of phase p. Images of stride 1 have one phase, and their planes are their channels.
#include "../cpu/winograd.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kFilterBlock = 64;  // planes of the result whose products are transformed back together
constexpr int64_t kGuard = 16;        // floats between frequencies, so that they do not meet in one set of the cache

// Images [n, h, w, channels] whose phases are `step` pixels wide: element (i, j) of phase (r, s) is the pixel
// (step i + r - top, step j + s - left), which may lie outside.
struct Images {
  int64_t n, h, w, channels, step, top, left;

  int64_t planes() const { return step * step * channels; }
};
Images images_of(const View& x, int64_t step, int64_t top, int64_t left) {
  return {x.shape[0], x.shape[1], x.shape[2], x.shape[3], step, top, left};
}

// The tiles that cover an image.
struct Tiles {
  int64_t n, down, across;

  int64_t count() const { return n * down * across; }
};
Tiles tiles_of(const Images& x) {
  return {x.n, ceil_div(ceil_div(x.h + x.top, x.step), kTile), ceil_div(ceil_div(x.w + x.left, x.step), kTile)};
}

struct Corner {
  int64_t n, i, j;  // sample, and the tile's first element
};
Corner corner_of(const Tiles& t, int64_t tile) {
  return {tile / (t.down * t.across), tile / t.across % t.down * kTile, tile % t.across * kTile};
}

// Pointers to the size x size elements of a phase from (i, j) on; those outside the image are null.
template <int size, class Float>
void pixels_of(const Images& x, Float* images, const Corner& p, int64_t phase, Float* (&pixel)[size][size]) {
  Float* image = images + p.n * x.h * x.w * x.channels;
  for (int a = 0; a < size; ++a)
    for (int b = 0; b < size; ++b) {
      const int64_t i = (p.i + a) * x.step + phase / x.step - x.top, j = (p.j + b) * x.step + phase % x.step - x.left;
      const bool inside = i >= 0 && i < x.h && j >= 0 && j < x.w;
      pixel[a][b] = inside ? image + (i * x.w + j) * x.channels : nullptr;
    }
}

// Planes first .. end of `count` tiles' elements into their frequencies, `step` floats apart; in each, plane c of a
// tile goes to `place(tile, c - first)`.
template <class M, class T, class Place>
void to_frequencies(const Tiles& t, const Images& x, const float* images, int64_t tile0, int64_t count, int64_t first,
                    int64_t end, const float* zeros, float* out, int64_t step, Place place) {
  for (int64_t tile = 0; tile < count; ++tile) {
    const Corner p = corner_of(t, tile0 + tile);
    for (int64_t plane = first; plane < end;) {
      const int64_t phase = plane / x.channels, stop = smaller(end, (phase + 1) * x.channels);
      const float* pixel[T::from][T::from];
      pixels_of<T::from>(x, images, p, phase, pixel);
      for (auto& line : pixel)
        for (auto& from : line)
          if (from == nullptr) from = zeros;
      for (; plane < stop; plane += kLanes) {
        float* target = out + place(tile, plane - first);
        const int64_t channel = plane - phase * x.channels;
        transform_square<T>([&](int i, int j) { return load(pixel[i][j] + channel); },
                            [&](int i, int j, vf v) { store(target + (i * M::patch + j) * step, v); });
      }
    }
  }
}

// --- forward and the adjoint in the input ----------------------------------------------------------------------------

struct Forward {
  Images in, out;
  Tiles tiles;
  int64_t c, k;               // planes of the images and of the result
  int64_t block;              // tiles of one task
  int64_t in_step, out_step;  // floats from one frequency to the next: inputs, products
};

template <class M>
Forward forward_of(const conv2d_winograd_attrs& t, const Call& call) {
  Forward f;
  if (t.adjoint) {
    f.in = images_of(call.in[0], 1, M::taps - 1 - t.pad_top / M::stride, M::taps - 1 - t.pad_left / M::stride);
    f.out = images_of(call.out[0], M::stride, t.pad_top % M::stride, t.pad_left % M::stride);
  } else {
    f.in = images_of(call.in[0], M::stride, t.pad_top, t.pad_left);
    f.out = images_of(call.out[0], 1, 0, 0);
  }
  f.tiles = tiles_of(f.out);
  f.c = f.in.planes(), f.k = f.out.planes();
  const int64_t fits = M::tile_floats / (M::frequencies * (f.c + smaller(f.k, kFilterBlock)));
  const int64_t wanted = ceil_div(f.tiles.count(), M::blocks);
  f.block = larger(1, smaller(fits, wanted) / kRows) * kRows;
  f.in_step = f.block * f.c + kGuard;
  f.out_step = f.block * smaller(f.k, kFilterBlock) + kGuard;
  return f;
}

// What images x, filters w and results y must be for a method.
template <class M>
const char* check(const View& x, const View& w, const View& y, int64_t pad_top, int64_t pad_left) {
  if (x.rank != 4 || w.rank != 4 || y.rank != 4 || x.shape[0] != y.shape[0] || x.shape[3] != w.shape[2] ||
      y.shape[3] != w.shape[3])
    return "expected images, filters and results that fit";
  for (int i = 0; i < 2; ++i)
    if (w.shape[i] > M::taps * M::stride || w.shape[i] <= (M::taps - 1) * M::stride)
      return "expected filters of 3x3 for stride 1, of 3 or 4 for stride 2";
  if (pad_top < 0 || pad_left < 0) return "the padding is negative";
  if (x.shape[3] % kLanes || y.shape[3] % kLanes) return "channels and filters must be multiples of the lanes";
  return nullptr;
}

template <class M>
void plan_forward(const conv2d_winograd_attrs& t, const Call& call, Plan& plan) {
  plan.error = call.n_in < 2 ? "expected images and filters"
               : t.adjoint   ? check<M>(call.out[0], call.in[1], call.in[0], t.pad_top, t.pad_left)
                             : check<M>(call.in[0], call.in[1], call.out[0], t.pad_top, t.pad_left);
  if (plan.error != nullptr) return;
  if (call.n_in > 2 && (call.in[2].rank != 1 || call.in[2].shape[0] != call.out[0].shape[3])) {
    plan.error = "expected a bias of as many elements as the result has channels";
    return;
  }
  const Forward f = forward_of<M>(t, call);
  plan.stages = 2;
  plan.tasks[0] = f.c / kLanes;
  plan.tasks[1] = ceil_div(f.tiles.count(), f.block);
  plan.workspace = static_cast<size_t>(M::frequencies * f.c * f.k) * 4;
  plan.scratch = static_cast<size_t>(M::frequencies * (f.in_step + f.out_step) + f.in.channels) * 4;
  plan.cost = static_cast<double>(f.tiles.count() * M::frequencies * f.c) * static_cast<double>(f.k) * 0.03;
}

// Filters of planes c0 .. c0 + kLanes of the images into panels [frequency][panel][c][panel width].
template <class M>
void transform_filters(const Forward& f, bool adjoint, const View& filters, int64_t c0, float* out) {
  const auto* w = static_cast<const float*>(filters.data);
  const int64_t high = filters.shape[0], wide = filters.shape[1], inner = filters.shape[2], outer = filters.shape[3];
  for (int64_t k0 = 0; k0 < f.k; k0 += kLanes) {
    const int64_t panel = k0 / kColumns * kColumns, width = panel_width(panel, f.k);
    float* target = out + panel * f.c + (k0 - panel);
    const int64_t phase = adjoint ? k0 / inner : c0 / inner;
    const int64_t r = phase / M::stride, s = phase % M::stride;
    for (int64_t c = c0; c < c0 + kLanes; ++c) {
      const auto tap = [&](int i, int j) -> vf {
        const int64_t a = M::stride * (adjoint ? M::taps - 1 - i : i) + r;
        const int64_t b = M::stride * (adjoint ? M::taps - 1 - j : j) + s;
        if (a >= high || b >= wide) return vf{};
        const float* from = w + (a * wide + b) * inner * outer;
        if (!adjoint) return load(from + c % inner * outer + k0);
        from += k0 % inner * outer + c;
        float lane[kLanes];
        for (int l = 0; l < kLanes; ++l) lane[l] = from[l * outer];
        return load(lane);
      };
      transform_square<typename M::Filter>(
          tap, [&](int i, int j, vf v) { store(target + (i * M::patch + j) * f.c * f.k + c * width, v); });
    }
  }
}

vf activated(vf v, Activation kind) {
  if (kind == Activation::linear) return v;
  if (kind == Activation::relu) return select((v > 0.0f) | (v != v), v, splat(0.0f));
  return kind == Activation::sigmoid ? sigmoid(v) : tanh(v);
}

// Products [frequency][count][some] of planes k0 on into the outputs of the tiles from tile0 on.
template <class M>
void to_outputs(const Forward& f, const float* products, int64_t tile0, int64_t count, int64_t k0, int64_t some,
                const float* bias, Activation activation, float* y) {
  for (int64_t tile = 0; tile < count; ++tile, products += some) {
    const Corner p = corner_of(f.tiles, tile0 + tile);
    for (int64_t k = 0; k < some;) {
      const int64_t phase = (k0 + k) / f.out.channels, stop = smaller(some, (phase + 1) * f.out.channels - k0);
      float* pixel[kTile][kTile];
      pixels_of<kTile>(f.out, y, p, phase, pixel);
      for (; k < stop; k += kLanes) {
        const int64_t channel = k0 + k - phase * f.out.channels;
        const vf start = bias == nullptr ? vf{} : load(bias + channel);
        transform_square<typename M::Output>(
            [&](int i, int j) { return load(products + (i * M::patch + j) * f.out_step + k); },
            [&](int i, int j, vf v) {
              if (pixel[i][j] != nullptr) store(pixel[i][j] + channel, activated(v + start, activation));
            });
      }
    }
  }
}

template <class M>
void run_forward(const conv2d_winograd_attrs& t, const Call& call, const Range& range) {
  const Forward f = forward_of<M>(t, call);
  const auto* x = static_cast<const float*>(call.in[0].data);
  const float* bias = call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
  float *y = static_cast<float*>(call.out[0].data), *filters = reinterpret_cast<float*>(call.workspace);
  if (range.stage == 0) {
    for (int64_t task = range.begin; task < range.end; ++task)
      transform_filters<M>(f, t.adjoint != 0, call.in[1], task * kLanes, filters);
    return;
  }
  float* inputs = reinterpret_cast<float*>(range.scratch);
  float *products = inputs + M::frequencies * f.in_step, *zeros = products + M::frequencies * f.out_step;
  for (int64_t c = 0; c < f.in.channels; ++c) zeros[c] = 0.0f;
  const Segment depth{0, 0, f.c};
  for (int64_t task = range.begin; task < range.end; ++task) {
    const int64_t tile0 = task * f.block, count = smaller(f.block, f.tiles.count() - tile0);
    to_frequencies<M, typename M::Input>(f.tiles, f.in, x, tile0, count, 0, f.c, zeros, inputs, f.in_step,
                                         [&](int64_t tile, int64_t c) { return tile * f.c + c; });
    for (int64_t k0 = 0; k0 < f.k; k0 += kFilterBlock) {
      const int64_t some = smaller(kFilterBlock, f.k - k0);
      for (int64_t frequency = 0; frequency < M::frequencies; ++frequency) {
        const float* row[kRowPointers];
        const float* panels = filters + frequency * f.c * f.k + k0 * f.c;
        for (int64_t first = 0; first < count; first += kBlockRows) {
          const int64_t rows = smaller(kBlockRows, count - first);
          for (int64_t i = 0; i < rows; ++i) row[i] = inputs + frequency * f.in_step + (first + i) * f.c;
          multiply_block(
              row, rows, 1, &depth, 1, some,
              [&](int64_t n0) { return Panel{panels + n0 * f.c, panel_width(k0 + n0, f.k)}; }, nullptr, 0, false,
              products + frequency * f.out_step + first * some, some);
        }
      }
      to_outputs<M>(f, products, tile0, count, k0, some, bias, static_cast<Activation>(t.activation), y);
    }
  }
}

void plan_conv2d_winograd(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_winograd_attrs>(call);
  if (t.stride == 1) return plan_forward<F43>(t, call, plan);
  if (t.stride == 2) return plan_forward<F42>(t, call, plan);
  plan.error = "expected a stride of 1 or 2";
}

void run_conv2d_winograd(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_winograd_attrs>(call);
  t.stride == 1 ? run_forward<F43>(t, call, range) : run_forward<F42>(t, call, range);
}

// --- weight gradient -------------------------------------------------------------------------------------------------

// Of one task. Sums go to memory and back once a block of tiles, which takes many tiles to repay.
constexpr int64_t kGradientBlock = 128, kDepth = 160, kShortest = 64;

struct Gradient {
  Images x, dy;
  Tiles tiles;
  int64_t c, k, planes, plane_blocks, filters, filter_blocks, shares;  // planes, filters: of one task
  int64_t block;                                                       // tiles
  int64_t in_step, gradient_step;                                      // floats from one frequency to the next
  int64_t size;                                                        // floats of one share
};

template <class M>
Gradient gradient_of(const conv2d_winograd_weight_grad_attrs& t, const Call& call) {
  Gradient g;
  g.x = images_of(call.in[0], M::stride, t.pad_top, t.pad_left);
  g.dy = images_of(call.in[1], 1, 0, 0);
  g.tiles = tiles_of(g.dy);
  g.c = g.x.planes(), g.k = g.dy.planes();
  g.planes = smaller(g.c, M::plane_block);
  g.plane_blocks = ceil_div(g.c, g.planes);
  g.size = M::frequencies * g.c * g.k;
  g.filters = smaller(g.k, kGradientBlock);
  g.filter_blocks = ceil_div(g.k, g.filters);
  g.shares = smaller(16, ceil_div(g.tiles.count(), kShortest));
  while (g.shares > 1 && g.shares * g.size > M::sum_floats) g.shares /= 2;
  g.block = smaller(kDepth, ceil_div(g.tiles.count(), g.shares));
  g.in_step = g.block * g.planes + kGuard;
  g.gradient_step = g.block * g.filters + kGuard;
  return g;
}

template <class M>
void plan_gradient(const conv2d_winograd_weight_grad_attrs& t, const Call& call, Plan& plan) {
  plan.error = call.n_in != 2 ? "expected images and gradients"
                              : check<M>(call.in[0], call.out[0], call.in[1], t.pad_top, t.pad_left);
  if (plan.error != nullptr) return;
  const Gradient g = gradient_of<M>(t, call);
  plan.stages = 2;
  plan.tasks[0] = g.shares * g.plane_blocks * g.filter_blocks;
  plan.tasks[1] = g.c;
  plan.workspace = static_cast<size_t>(g.shares * g.size) * 4;
  plan.scratch = static_cast<size_t>(M::frequencies * (g.in_step + g.gradient_step) + larger(g.x.channels, g.k)) * 4;
  plan.cost = static_cast<double>(g.tiles.count() * M::frequencies * g.c) * static_cast<double>(g.k) * 0.03;
}

// One share of the tiles, for a block of planes and one of filters, into partial sums [frequency][C][K].
template <class M>
void sum_products(const Gradient& g, const float* x, const float* dy, int64_t task, float* sums, float* scratch) {
  const int64_t share = task / (g.plane_blocks * g.filter_blocks);
  const int64_t c0 = task / g.filter_blocks % g.plane_blocks * g.planes, k0 = task % g.filter_blocks * g.filters;
  const int64_t planes = smaller(g.planes, g.c - c0), filters = smaller(g.filters, g.k - k0);
  float *inputs = scratch, *gradients = inputs + M::frequencies * g.in_step;
  float* zeros = gradients + M::frequencies * g.gradient_step;
  for (int64_t i = 0; i < larger(g.x.channels, g.k); ++i) zeros[i] = 0.0f;
  const int64_t all = g.tiles.count(), begin = all * share / g.shares, end = all * (share + 1) / g.shares;
  for (int64_t tile = begin; tile < end; tile += g.block) {
    const int64_t count = smaller(g.block, end - tile);
    // Both in panels, so that the tiles of a panel are neighbours in memory.
    const auto plane = [&](int64_t c) { return c / kLanes * count * kLanes + c % kLanes; };
    const auto panel = [&](int64_t k) { return k / kColumns * kColumns * count; };
    to_frequencies<M, typename M::Input>(g.tiles, g.x, x, tile, count, c0, c0 + planes, zeros, inputs, g.in_step,
                                         [&](int64_t i, int64_t c) { return plane(c) + i * kLanes; });
    to_frequencies<M, typename M::Gradient>(
        g.tiles, g.dy, dy, tile, count, k0, k0 + filters, zeros, gradients, g.gradient_step, [&](int64_t i, int64_t k) {
          return panel(k) + i * panel_width(k / kColumns * kColumns, filters) + k % kColumns;
        });
    const Segment depth{0, 0, count};
    for (int64_t frequency = 0; frequency < M::frequencies; ++frequency) {
      const float* b = gradients + frequency * g.gradient_step;
      for (int64_t first = 0; first < planes; first += kBlockRows) {
        const int64_t rows = smaller(kBlockRows, planes - first);
        const float* row[kRowPointers];
        for (int64_t i = 0; i < rows; ++i) row[i] = inputs + frequency * g.in_step + plane(first + i);
        multiply_block(
            row, rows, kLanes, &depth, 1, filters,
            [&](int64_t n0) { return Panel{b + panel(n0), panel_width(n0, filters)}; }, nullptr, 0, tile > begin,
            sums + share * g.size + (frequency * g.c + c0 + first) * g.k + k0, g.k);
      }
    }
  }
}

template <class M>
void run_gradient(const conv2d_winograd_weight_grad_attrs& t, const Call& call, const Range& range) {
  const Gradient g = gradient_of<M>(t, call);
  auto* sums = reinterpret_cast<float*>(call.workspace);
  if (range.stage == 0) {
    const float *x = static_cast<const float*>(call.in[0].data), *dy = static_cast<const float*>(call.in[1].data);
    for (int64_t task = range.begin; task < range.end; ++task)
      sum_products<M>(g, x, dy, task, sums, reinterpret_cast<float*>(range.scratch));
    return;
  }
  const View& w = call.out[0];
  for (int64_t c = range.begin; c < range.end; ++c) {
    const int64_t phase = c / g.x.channels, channel = c % g.x.channels;
    for (int64_t k = 0; k < g.k; k += kLanes)
      transform_square<typename M::FilterGradient>(
          [&](int i, int j) {
            const float* from = sums + ((i * M::patch + j) * g.c + c) * g.k + k;
            vf v = load(from);
            for (int64_t share = 1; share < g.shares; ++share) v += load(from + share * g.size);
            return v;
          },
          [&](int i, int j, vf v) {
            const int64_t a = M::stride * i + phase / M::stride, b = M::stride * j + phase % M::stride;
            if (a < w.shape[0] && b < w.shape[1])
              store(static_cast<float*>(w.data) + ((a * w.shape[1] + b) * g.x.channels + channel) * g.k + k, v);
          });
  }
}

void plan_conv2d_winograd_weight_grad(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_winograd_weight_grad_attrs>(call);
  if (t.stride == 1) return plan_gradient<F43>(t, call, plan);
  if (t.stride == 2) return plan_gradient<F42>(t, call, plan);
  plan.error = "expected a stride of 1 or 2";
}

void run_conv2d_winograd_weight_grad(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_winograd_weight_grad_attrs>(call);
  t.stride == 1 ? run_gradient<F43>(t, call, range) : run_gradient<F42>(t, call, range);
}

}  // namespace

BERRANTE_KERNEL(conv2d_winograd, plan_conv2d_winograd, run_conv2d_winograd);
BERRANTE_KERNEL(conv2d_winograd_weight_grad, plan_conv2d_winograd_weight_grad, run_conv2d_winograd_weight_grad);

}  // namespace BERRANTE_ISA
}  // namespace berrante
