// conv2d, its adjoint in the input, and its adjoint in the weights, as implicit matrix products over NHWC.
//
// Forward: rows are output positions, depth is (kh, kw, channel), columns are filters. The input gradient is the same
// with rows over input positions, depth over (kh, kw, filter) and the kernel's channels as columns; positions that a
// stride skips are zeros. Both pack the kernel once (stage 0) and gather rows of patches panel by panel (stage 1). The
// weight gradient has rows (kh, kw, channel), columns filters and the output positions as depth: a fixed number of
// tasks each sum a share of the positions into a partial result (stage 0), and stage 1 adds the partials in order.
// Groups run one after the other inside a task.
#include "../cpu/gemm.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

struct Geometry {
  int64_t n, h, w, c, oh, ow, k, kh, kw, groups;
  int64_t stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
  int64_t cg, kg;  // channels and filters of one group
};

template <class Attrs>
Geometry geometry(const Attrs& t, const View& x, const View& w, const View& y) {
  Geometry g;
  g.n = x.shape[0], g.h = x.shape[1], g.w = x.shape[2], g.c = x.shape[3];
  g.oh = y.shape[1], g.ow = y.shape[2], g.k = y.shape[3];
  g.kh = w.shape[0], g.kw = w.shape[1], g.groups = t.groups;
  g.stride_h = t.stride_h, g.stride_w = t.stride_w, g.pad_top = t.pad_top, g.pad_left = t.pad_left;
  g.dilation_h = t.dilation_h, g.dilation_w = t.dilation_w;
  g.cg = g.groups > 0 ? g.c / g.groups : 0, g.kg = g.groups > 0 ? g.k / g.groups : 0;
  return g;
}

template <class Attrs>
const char* check(const Attrs& t, const View& x, const View& w, const View& y) {
  if (x.rank != 4 || w.rank != 4 || y.rank != 4) return "expected tensors of rank 4";
  if (t.groups < 1 || t.stride_h < 1 || t.stride_w < 1 || t.dilation_h < 1 || t.dilation_w < 1)
    return "strides, dilations and groups must be positive";
  if (x.shape[0] != y.shape[0] || x.shape[3] != w.shape[2] * t.groups || y.shape[3] != w.shape[3] ||
      y.shape[3] % t.groups)
    return "channels, filters or batches do not fit";
  return nullptr;
}

constexpr int64_t kBlockRows = 8 * kRows;

struct Position {
  int64_t n, i, j;
};
BERRANTE_INLINE Position position(int64_t m, int64_t rows, int64_t columns) {
  return {m / (rows * columns), m / columns % rows, m % columns};
}

// Scatters `count` consecutive floats into lane i of a panel; null gives zeros.
BERRANTE_INLINE void put(const float* from, int64_t count, float* out, int64_t i) {
  if (from == nullptr)
    for (int64_t c = 0; c < count; ++c) out[c * kRows + i] = 0.0f;
  else
    for (int64_t c = 0; c < count; ++c) out[c * kRows + i] = from[c];
}

// Depth columns k0 .. k0 + depth of patch rows: `source(position, kh, kw)` gives the `channels` floats of one tap, or
// null.
template <class Source>
BERRANTE_INLINE void pack_patches(int64_t m, int64_t rows, int64_t k0, int64_t depth, float* out, int64_t grid_rows,
                                  int64_t grid_columns, int64_t kw, int64_t channels, Source source) {
  for (int64_t i = 0; i < kRows; ++i) {
    if (i >= rows) {
      put(nullptr, depth, out, i);
      continue;
    }
    const Position at = position(m + i, grid_rows, grid_columns);
    int64_t tap = k0 / channels, channel = k0 % channels;
    for (int64_t done = 0; done < depth; ++tap) {
      const int64_t count = smaller(channels - channel, depth - done);
      const float* from = source(at, tap / kw, tap % kw);
      put(from == nullptr ? nullptr : from + channel, count, out + done * kRows, i);
      done += count;
      channel = 0;
    }
  }
}

// With one group and no dilation along W, the taps of one kernel row are neighbours in memory: one run of kw * channels
// floats. At the borders, where a part of it lies outside, it is put together in a small buffer.
constexpr int64_t kEdge = 1024;

BERRANTE_INLINE bool whole_rows(const Geometry& g, int64_t channels) {
  return g.groups == 1 && g.dilation_w == 1 && g.kw * channels <= kEdge;
}

BERRANTE_INLINE const float* row_run(const float* x, int64_t n, int64_t i, int64_t j, int64_t h, int64_t w, int64_t c,
                                     int64_t count, float* edge) {
  if (i < 0 || i >= h || j + count <= 0 || j >= w) return nullptr;
  const float* row = x + (n * h + i) * w * c;
  if (j >= 0 && j + count <= w) return row + j * c;
  for (int64_t k = 0; k < count; ++k)
    for (int64_t q = 0; q < c; ++q) edge[k * c + q] = j + k >= 0 && j + k < w ? row[(j + k) * c + q] : 0.0f;
  return edge;
}

void plan_product(const Geometry& g, int64_t rows, int64_t columns, int64_t depth, Plan& plan) {
  const int64_t panels = ceil_div(columns, kColumns);
  plan.stages = 2;
  plan.tasks[0] = g.groups * panels;
  plan.tasks[1] = ceil_div(rows, kBlockRows);
  plan.workspace = static_cast<size_t>(g.groups * panels * kColumns * depth) * 4;
  plan.scratch = static_cast<size_t>(kRows * kDepth) * 4;
  plan.cost = static_cast<double>(rows * columns * g.groups) * static_cast<double>(depth) * 0.03;
}

// --- forward --------------------------------------------------------------------------------------------------------

void plan_conv2d(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_attrs>(call);
  plan.error = call.n_in < 2 ? "expected an input and a kernel" : check(t, call.in[0], call.in[1], call.out[0]);
  if (plan.error != nullptr) return;
  const Geometry g = geometry(t, call.in[0], call.in[1], call.out[0]);
  plan_product(g, g.n * g.oh * g.ow, g.kg, g.kh * g.kw * g.cg, plan);
  if (call.n_in > 2 && (call.in[2].rank != 1 || call.in[2].shape[0] != g.k))
    plan.error = "expected a bias of K elements";
}

void run_conv2d(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_attrs>(call);
  const Geometry g = geometry(t, call.in[0], call.in[1], call.out[0]);
  const float *x = static_cast<const float*>(call.in[0].data), *w = static_cast<const float*>(call.in[1].data);
  const float* bias = call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
  float *y = static_cast<float*>(call.out[0].data), *packed = reinterpret_cast<float*>(call.workspace);
  const int64_t panels = ceil_div(g.kg, kColumns), depth = g.kh * g.kw * g.cg, rows = g.n * g.oh * g.ow;
  if (range.stage == 0) {
    for (int64_t task = range.begin; task < range.end; ++task)
      pack_b(w + task / panels * g.kg, g.k, 1, depth, task % panels * kColumns, g.kg, packed + task * kColumns * depth);
    return;
  }
  for (int64_t task = range.begin; task < range.end; ++task)
    for (int64_t group = 0; group < g.groups; ++group) {
      const auto source = [&](Position at, int64_t kh, int64_t kw) -> const float* {
        const int64_t i = at.i * g.stride_h - g.pad_top + kh * g.dilation_h;
        const int64_t j = at.j * g.stride_w - g.pad_left + kw * g.dilation_w;
        if (i < 0 || i >= g.h || j < 0 || j >= g.w) return nullptr;
        return x + ((at.n * g.h + i) * g.w + j) * g.c + group * g.cg;
      };
      float edge[kEdge];
      const auto row_source = [&](Position at, int64_t kh, int64_t) -> const float* {
        const int64_t i = at.i * g.stride_h - g.pad_top + kh * g.dilation_h;
        return row_run(x, at.n, i, at.j * g.stride_w - g.pad_left, g.h, g.w, g.c, g.kw, edge);
      };
      const bool runs = whole_rows(g, g.c);
      const auto pack = [&](int64_t m, int64_t count, int64_t k0, int64_t d, float* out) {
        if (runs)
          pack_patches(m, count, k0, d, out, g.oh, g.ow, 1, g.kw * g.c, row_source);
        else
          pack_patches(m, count, k0, d, out, g.oh, g.ow, g.kw, g.cg, source);
      };
      multiply_rows(task * kBlockRows, smaller(rows, (task + 1) * kBlockRows), g.kg, depth,
                    packed + group * panels * kColumns * depth, y + group * g.kg, g.k,
                    bias == nullptr ? nullptr : bias + group * g.kg, t.activation,
                    reinterpret_cast<float*>(range.scratch), pack);
    }
}

// --- adjoint in the input
// ---------------------------------------------------------------------------------------------

void plan_conv2d_input_grad(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_input_grad_attrs>(call);
  plan.error =
      call.n_in < 2 ? "expected an output gradient and a kernel" : check(t, call.out[0], call.in[1], call.in[0]);
  if (plan.error != nullptr) return;
  const Geometry g = geometry(t, call.out[0], call.in[1], call.in[0]);
  plan_product(g, g.n * g.h * g.w, g.cg, g.kh * g.kw * g.kg, plan);
  if (call.n_in > 2 && (call.in[2].rank != 1 || call.in[2].shape[0] != g.c))
    plan.error = "expected a bias of C elements";
}

void run_conv2d_input_grad(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_input_grad_attrs>(call);
  const Geometry g = geometry(t, call.out[0], call.in[1], call.in[0]);
  const float *dy = static_cast<const float*>(call.in[0].data), *w = static_cast<const float*>(call.in[1].data);
  const float* bias = call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
  float *dx = static_cast<float*>(call.out[0].data), *packed = reinterpret_cast<float*>(call.workspace);
  const int64_t panels = ceil_div(g.cg, kColumns), depth = g.kh * g.kw * g.kg, rows = g.n * g.h * g.w;
  const bool runs = g.stride_w == 1 && whole_rows(g, g.k);
  if (range.stage == 0) {
    for (int64_t task = range.begin; task < range.end; ++task) {
      const int64_t group = task / panels, c0 = task % panels * kColumns;
      // Element (tap, filter), channel lies at w[(tap * cg + channel) * K + filter]. For whole rows the taps of a row
      // go backwards, so that they meet neighbours of dy in memory order.
      for (int64_t tap = 0; tap < g.kh * g.kw; ++tap) {
        const int64_t from = runs ? tap / g.kw * g.kw + (g.kw - 1 - tap % g.kw) : tap;
        pack_b(w + from * g.cg * g.k + group * g.kg, 1, g.k, g.kg, c0, g.cg,
               packed + task * kColumns * depth + tap * g.kg * kColumns);
      }
    }
    return;
  }
  for (int64_t task = range.begin; task < range.end; ++task)
    for (int64_t group = 0; group < g.groups; ++group) {
      const auto source = [&](Position at, int64_t kh, int64_t kw) -> const float* {
        int64_t i = at.i + g.pad_top - kh * g.dilation_h, j = at.j + g.pad_left - kw * g.dilation_w;
        if (i < 0 || j < 0 || i % g.stride_h != 0 || j % g.stride_w != 0) return nullptr;
        i /= g.stride_h, j /= g.stride_w;
        if (i >= g.oh || j >= g.ow) return nullptr;
        return dy + ((at.n * g.oh + i) * g.ow + j) * g.k + group * g.kg;
      };
      float edge[kEdge];
      const auto row_source = [&](Position at, int64_t kh, int64_t) -> const float* {
        const int64_t i = at.i + g.pad_top - kh * g.dilation_h;
        if (i < 0 || i % g.stride_h != 0) return nullptr;
        return row_run(dy, at.n, i / g.stride_h, at.j + g.pad_left - (g.kw - 1), g.oh, g.ow, g.k, g.kw, edge);
      };
      const auto pack = [&](int64_t m, int64_t count, int64_t k0, int64_t d, float* out) {
        if (runs)
          pack_patches(m, count, k0, d, out, g.h, g.w, 1, g.kw * g.k, row_source);
        else
          pack_patches(m, count, k0, d, out, g.h, g.w, g.kw, g.kg, source);
      };
      multiply_rows(task * kBlockRows, smaller(rows, (task + 1) * kBlockRows), g.cg, depth,
                    packed + group * panels * kColumns * depth, dx + group * g.cg, g.c,
                    bias == nullptr ? nullptr : bias + group * g.cg, t.activation,
                    reinterpret_cast<float*>(range.scratch), pack);
    }
}

// --- adjoint in the weights
// -------------------------------------------------------------------------------------------

constexpr int64_t kShare = 128;  // positions of one depth block

int64_t shares(const Geometry& g) {
  const int64_t positions = g.n * g.oh * g.ow, size = g.kh * g.kw * g.cg * g.k;
  int64_t count = smaller(16, ceil_div(positions, 4 * kShare));
  while (count > 1 && count * size > (int64_t{1} << 22)) count /= 2;  // 16 MiB of partial sums
  return larger(1, count);
}

void plan_conv2d_weight_grad(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_weight_grad_attrs>(call);
  plan.error =
      call.n_in != 2 ? "expected an input and an output gradient" : check(t, call.in[0], call.out[0], call.in[1]);
  if (plan.error != nullptr) return;
  const Geometry g = geometry(t, call.in[0], call.out[0], call.in[1]);
  const int64_t size = g.kh * g.kw * g.cg * g.k, count = shares(g);
  const int64_t row_panels = ceil_div(g.kh * g.kw * g.cg, kRows), panels = ceil_div(g.kg, kColumns);
  plan.stages = 2;
  plan.tasks[0] = count;
  plan.tasks[1] = count == 1 ? 0 : ceil_div(size, 4096);
  plan.workspace = count == 1 ? 0 : static_cast<size_t>(count * size) * 4;
  plan.scratch = static_cast<size_t>((row_panels * kRows + panels * kColumns) * kShare) * 4;
  plan.cost = static_cast<double>(g.n * g.oh * g.ow) * static_cast<double>(size) * 0.03;
}

// The patches of `count` positions as row panels [rows / kRows][count][kRows].
void pack_transposed(const Geometry& g, const float* x, int64_t group, int64_t p0, int64_t count, int64_t rows,
                     float* out) {
  const int64_t padded = ceil_div(rows, kRows) * kRows;
  const bool runs = whole_rows(g, g.c);
  float edge[kEdge];
  for (int64_t p = 0; p < count; ++p) {
    const Position at = position(p0 + p, g.oh, g.ow);
    int64_t row = 0;
    const auto write = [&](float value) {
      out[row / kRows * kRows * count + p * kRows + row % kRows] = value;
      ++row;
    };
    const auto write_run = [&](const float* from, int64_t length) {
      for (int64_t c = 0; c < length;) {
        const int64_t run = smaller(length - c, kRows - row % kRows);
        float* to = out + row / kRows * kRows * count + p * kRows + row % kRows;
        for (int64_t q = 0; q < run; ++q) to[q] = from == nullptr ? 0.0f : from[c + q];
        c += run;
        row += run;
      }
    };
    for (int64_t kh = 0; kh < g.kh; ++kh) {
      const int64_t i = at.i * g.stride_h - g.pad_top + kh * g.dilation_h;
      if (runs) {
        write_run(row_run(x, at.n, i, at.j * g.stride_w - g.pad_left, g.h, g.w, g.c, g.kw, edge), g.kw * g.c);
        continue;
      }
      for (int64_t kw = 0; kw < g.kw; ++kw) {
        const int64_t j = at.j * g.stride_w - g.pad_left + kw * g.dilation_w;
        const bool inside = i >= 0 && i < g.h && j >= 0 && j < g.w;
        write_run(inside ? x + ((at.n * g.h + i) * g.w + j) * g.c + group * g.cg : nullptr, g.cg);
      }
    }
    while (row < padded) write(0.0f);
  }
}

void run_conv2d_weight_grad(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_weight_grad_attrs>(call);
  const Geometry g = geometry(t, call.in[0], call.out[0], call.in[1]);
  const float *x = static_cast<const float*>(call.in[0].data), *dy = static_cast<const float*>(call.in[1].data);
  float *dw = static_cast<float*>(call.out[0].data), *partials = reinterpret_cast<float*>(call.workspace);
  const int64_t rows = g.kh * g.kw * g.cg, size = rows * g.k, positions = g.n * g.oh * g.ow, count = shares(g);
  if (range.stage == 1) {
    const int64_t end = smaller(size, range.end * 4096);
    for (int64_t i = range.begin * 4096; i < end; ++i) {
      float sum = partials[i];
      for (int64_t s = 1; s < count; ++s) sum += partials[s * size + i];
      dw[i] = sum;
    }
    return;
  }
  float* patches = reinterpret_cast<float*>(range.scratch);
  float* columns = patches + ceil_div(rows, kRows) * kRows * kShare;
  for (int64_t task = range.begin; task < range.end; ++task) {
    float* target = count == 1 ? dw : partials + task * size;
    for (int64_t i = 0; i < size; ++i) target[i] = 0.0f;
    const int64_t first = positions * task / count, last = positions * (task + 1) / count;
    for (int64_t group = 0; group < g.groups; ++group)
      for (int64_t p = first; p < last; p += kShare) {
        const int64_t depth = smaller(kShare, last - p);
        pack_transposed(g, x, group, p, depth, rows, patches);
        for (int64_t k0 = 0; k0 < g.kg; k0 += kColumns) {
          pack_b(dy + p * g.k + group * g.kg, g.k, 1, depth, k0, g.kg, columns);
          for (int64_t r = 0; r < rows; r += kRows)
            tile_into(depth, patches + r * depth, columns, target + r * g.k + group * g.kg + k0, g.k,
                      smaller(kRows, rows - r), smaller(kColumns, g.kg - k0), true);
        }
      }
  }
}

}  // namespace

BERRANTE_KERNEL(conv2d, plan_conv2d, run_conv2d);
BERRANTE_KERNEL(conv2d_input_grad, plan_conv2d_input_grad, run_conv2d_input_grad);
BERRANTE_KERNEL(conv2d_weight_grad, plan_conv2d_weight_grad, run_conv2d_weight_grad);

}  // namespace BERRANTE_ISA
}  // namespace berrante
