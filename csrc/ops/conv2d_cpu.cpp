// conv2d and its adjoint in the input, as implicit matrix products over NHWC.
//
// Forward: rows are output positions, depth is (kh, kw, channel), columns are filters. The adjoint: rows are input
// positions, depth is (kh, kw, filter), columns are channels. With strides, an input position meets only the taps that
// agree with it modulo the stride, so the positions are split into phases, each a product of its own without zeros.
// Stage 0 packs the kernel and frames the images (conv.h); stage 1 multiplies blocks of rows. Groups run one after the
// other inside a task; depthwise convolutions and input gradients of few channels have kernels of their own
// (cpu/depthwise.h, cpu/few_channels.h).
#include "../cpu/depthwise.h"
#include "../cpu/few_channels.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

// Where a call's workspace holds what: the packed kernel, then the framed images.
struct Layout {
  Frame frame;
  int64_t depth, columns, packed;  // of one group; floats
};

Layout layout(const Frame& frame, int64_t depth, int64_t columns) {
  return {frame, depth, columns, ceil_div(depth * padded_columns(columns), 16) * 16};
}

void plan_product(const Geometry& g, const Layout& l, int64_t rows, int64_t channels, Plan& plan) {
  plan.stages = 2;
  plan.tasks[0] = g.groups * panels_of(l.columns) + (l.frame.copied ? g.n : 0);
  plan.tasks[1] = rows;
  plan.workspace = static_cast<size_t>(g.groups * l.packed) * 4 + frame_bytes(l.frame, g.n, channels);
  plan.scratch = static_cast<size_t>(g.kh * g.kw) * sizeof(Segment);
}

// The images as stage 1 reads them.
const float* framed(const Geometry& g, const Layout& l, const float* images, const float* workspace) {
  return l.frame.copied ? workspace + g.groups * l.packed : images;
}

// Copies the images of stage 0's tasks beyond the first `panels`; `pack(group, n0, panel)` does the others.
template <class Pack>
void prepare(const Geometry& g, const Layout& l, const Range& range, const float* images, int64_t h, int64_t w,
             int64_t channels, float* workspace, Pack pack) {
  const int64_t panels = panels_of(l.columns), first_copy = g.groups * panels;
  for (int64_t task = range.begin; task < range.end; ++task) {
    if (task < first_copy) {
      const int64_t group = task / panels, n0 = task % panels * kColumns;
      pack(group, n0, workspace + group * l.packed + n0 * l.depth);
      continue;
    }
    const int64_t n = task - first_copy;
    copy_frame(l.frame, images + n * h * w * channels, h, w, channels,
               workspace + g.groups * l.packed + n * l.frame.h * l.frame.w * channels);
  }
}

// --- forward ---------------------------------------------------------------------------------------------------------

Layout forward_layout(const Geometry& g) {
  const int64_t bottom = (g.oh - 1) * g.stride_h - g.pad_top + (g.kh - 1) * g.dilation_h + 1;
  const int64_t right = (g.ow - 1) * g.stride_w - g.pad_left + (g.kw - 1) * g.dilation_w + 1;
  return layout(frame_of(-g.pad_top, bottom, -g.pad_left, right, g.h, g.w), g.kh * g.kw * g.cg, g.kg);
}

void plan_conv2d(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_attrs>(call);
  plan.error = call.n_in < 2 ? "expected an input and a kernel" : check(t, call.in[0], call.in[1], call.out[0]);
  if (plan.error != nullptr) return;
  const Geometry g = geometry(t, call.in[0], call.in[1], call.out[0]);
  if (call.n_in > 2 && (call.in[2].rank != 1 || call.in[2].shape[0] != g.k)) {
    plan.error = "expected a bias of K elements";
    return;
  }
  if (is_depthwise(g)) return plan_depthwise(g, plan);
  const Layout l = forward_layout(g);
  const int64_t rows = g.n * g.oh * g.ow;
  plan_product(g, l, ceil_div(rows, kBlockRows), g.c, plan);
  plan.cost = static_cast<double>(rows * g.k) * static_cast<double>(l.depth) * 0.025;
}

void run_conv2d(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_attrs>(call);
  const Geometry g = geometry(t, call.in[0], call.in[1], call.out[0]);
  if (is_depthwise(g)) return run_depthwise(g, call, range, t.activation);
  const Layout l = forward_layout(g);
  const float *x = static_cast<const float*>(call.in[0].data), *w = static_cast<const float*>(call.in[1].data);
  const float* bias = call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
  float *y = static_cast<float*>(call.out[0].data), *workspace = reinterpret_cast<float*>(call.workspace);
  if (range.stage == 0)
    return prepare(g, l, range, x, g.h, g.w, g.c, workspace, [&](int64_t group, int64_t n0, float* panel) {
      pack_panel(w + group * g.kg, g.k, 1, l.depth, n0, g.kg, panel);
    });
  const float* images = framed(g, l, x, workspace);
  const int64_t row = l.frame.w * g.c;
  auto* segment = reinterpret_cast<Segment*>(range.scratch);
  int64_t segments = 0;
  for (int64_t kh = 0; kh < g.kh; ++kh)
    if (row_segments(g))
      segment[segments++] = {kh * g.dilation_h * row, kh * g.kw * g.c, g.kw * g.c};
    else
      for (int64_t kw = 0; kw < g.kw; ++kw)
        segment[segments++] = {kh * g.dilation_h * row + kw * g.dilation_w * g.c, (kh * g.kw + kw) * g.cg, g.cg};
  for (int64_t task = range.begin; task < range.end; ++task) {
    const int64_t m0 = task * kBlockRows, rows = smaller(kBlockRows, g.n * g.oh * g.ow - m0);
    int64_t n = m0 / (g.oh * g.ow), i = m0 / g.ow % g.oh, j = m0 % g.ow;
    const float* patch[kRowPointers];
    for (int64_t m = 0; m < rows; ++m) {
      patch[m] = images + (n * l.frame.h + i * g.stride_h) * row + j * g.stride_w * g.c;
      if (++j == g.ow) j = 0, ++i;
      if (i == g.oh) i = 0, ++n;
    }
    for (int64_t group = 0; group < g.groups; ++group) {
      const float* packed = workspace + group * l.packed;
      multiply_block(
          patch, rows, 1, segment, segments, g.kg,
          [&](int64_t n0) { return Panel{packed + n0 * l.depth, panel_width(n0, g.kg)}; },
          bias == nullptr ? nullptr : bias + group * g.kg, t.activation, false, y + m0 * g.k + group * g.kg, g.k);
      for (int64_t m = 0; m < rows; ++m) patch[m] += g.cg;
    }
  }
}

// --- adjoint in the input --------------------------------------------------------------------------------------------

BERRANTE_INLINE int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

Layout input_grad_layout(const Geometry& g) {
  const int64_t top = floor_div(g.pad_top - (g.kh - 1) * g.dilation_h, g.stride_h);
  const int64_t left = floor_div(g.pad_left - (g.kw - 1) * g.dilation_w, g.stride_w);
  const int64_t bottom = (g.h - 1 + g.pad_top) / g.stride_h + 1, right = (g.w - 1 + g.pad_left) / g.stride_w + 1;
  return layout(frame_of(top, bottom, left, right, g.oh, g.ow), g.kh * g.kw * g.kg, g.cg);
}

// The input positions of one phase: rows first_h, first_h + stride_h, ... and columns likewise.
struct Phase {
  int64_t first_h, first_w, h, w;
};
Phase phase_of(const Geometry& g, int64_t index) {
  const int64_t i = index / g.stride_w, j = index % g.stride_w;
  return {i, j, ceil_div(g.h - i, g.stride_h), ceil_div(g.w - j, g.stride_w)};
}
// Tasks of one phase: the first has the most positions.
int64_t phase_tasks(const Geometry& g) {
  return ceil_div(g.n * ceil_div(g.h, g.stride_h) * ceil_div(g.w, g.stride_w), kBlockRows);
}

bool whole_rows(const Geometry& g) { return row_segments(g) && g.stride_w == 1; }

void plan_conv2d_input_grad(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_input_grad_attrs>(call);
  plan.error =
      call.n_in < 2 ? "expected an output gradient and a kernel" : check(t, call.out[0], call.in[1], call.in[0]);
  if (plan.error != nullptr) return;
  const Geometry g = geometry(t, call.out[0], call.in[1], call.in[0]);
  if (call.n_in > 2 && (call.in[2].rank != 1 || call.in[2].shape[0] != g.c)) {
    plan.error = "expected a bias of C elements";
    return;
  }
  if (is_depthwise(g)) return plan_depthwise_input_grad(g, plan);
  if (has_few_channels(g)) return plan_few_channels(g, plan);
  const Layout l = input_grad_layout(g);
  plan_product(g, l, g.stride_h * g.stride_w * phase_tasks(g), g.k, plan);
  plan.scratch += static_cast<size_t>(kBlockRows * g.c) * 4 + 64;
  plan.cost = static_cast<double>(g.n * g.oh * g.ow * g.k) * static_cast<double>(g.kh * g.kw * g.cg) * 0.025 +
              static_cast<double>(g.n * g.h * g.w * g.c);
}

// The segments of one phase: its taps, in the order in which stage 0 packed them.
int64_t phase_segments(const Geometry& g, const Frame& f, const Phase& phase, Segment* segment) {
  int64_t segments = 0;
  for (int64_t kh = 0; kh < g.kh; ++kh) {
    const int64_t i = phase.first_h + g.pad_top - kh * g.dilation_h;
    if (floor_div(i, g.stride_h) * g.stride_h != i) continue;
    const int64_t row = (floor_div(i, g.stride_h) - f.top) * f.w;
    if (whole_rows(g)) {
      const int64_t column = phase.first_w + g.pad_left - (g.kw - 1) - f.left;
      segment[segments++] = {(row + column) * g.k, kh * g.kw * g.k, g.kw * g.k};
      continue;
    }
    for (int64_t kw = 0; kw < g.kw; ++kw) {
      const int64_t j = phase.first_w + g.pad_left - kw * g.dilation_w;
      if (floor_div(j, g.stride_w) * g.stride_w != j) continue;
      const int64_t column = floor_div(j, g.stride_w) - f.left;
      segment[segments++] = {(row + column) * g.k, (kh * g.kw + kw) * g.kg, g.kg};
    }
  }
  return segments;
}

void run_conv2d_input_grad(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_input_grad_attrs>(call);
  const Geometry g = geometry(t, call.out[0], call.in[1], call.in[0]);
  if (is_depthwise(g)) return run_depthwise_input_grad(g, call, range, t.activation);
  if (has_few_channels(g)) return run_few_channels(g, call, range, t.activation);
  const Layout l = input_grad_layout(g);
  const float *dy = static_cast<const float*>(call.in[0].data), *w = static_cast<const float*>(call.in[1].data);
  const float* bias = call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
  float *dx = static_cast<float*>(call.out[0].data), *workspace = reinterpret_cast<float*>(call.workspace);
  if (range.stage == 0)
    return prepare(g, l, range, dy, g.oh, g.ow, g.k, workspace, [&](int64_t group, int64_t n0, float* panel) {
      // Element (tap, filter), channel lies at w[(tap * cg + channel) * K + filter]. For whole rows the taps of a row
      // go backwards, so that they meet neighbours of dy in memory order.
      for (int64_t tap = 0; tap < g.kh * g.kw; ++tap) {
        const int64_t from = whole_rows(g) ? tap / g.kw * g.kw + (g.kw - 1 - tap % g.kw) : tap;
        pack_panel(w + from * g.cg * g.k + group * g.kg, 1, g.k, g.kg, n0, g.cg,
                   panel + tap * g.kg * panel_width(n0, g.cg));
      }
    });
  const float* images = framed(g, l, dy, workspace);
  const bool strided = g.stride_h * g.stride_w > 1;  // then rows of dx are not neighbours: through a buffer
  auto* segment = reinterpret_cast<Segment*>(range.scratch);
  float* buffer =
      reinterpret_cast<float*>(range.scratch + (g.kh * g.kw * static_cast<int64_t>(sizeof(Segment)) + 63) / 64 * 64);
  for (int64_t task = range.begin; task < range.end; ++task) {
    const Phase phase = phase_of(g, task / phase_tasks(g));
    const int64_t m0 = task % phase_tasks(g) * kBlockRows, rows = smaller(kBlockRows, g.n * phase.h * phase.w - m0);
    if (rows <= 0) continue;
    const int64_t segments = phase_segments(g, l.frame, phase, segment);
    int64_t n = m0 / (phase.h * phase.w), i = m0 / phase.w % phase.h, j = m0 % phase.w;
    const float* patch[kRowPointers];
    float* target[kBlockRows];
    for (int64_t m = 0; m < rows; ++m) {
      patch[m] = images + ((n * l.frame.h + i) * l.frame.w + j) * g.k;
      target[m] = dx + ((n * g.h + phase.first_h + i * g.stride_h) * g.w + phase.first_w + j * g.stride_w) * g.c;
      if (++j == phase.w) j = 0, ++i;
      if (i == phase.h) i = 0, ++n;
    }
    float* c = strided ? buffer : target[0];
    for (int64_t group = 0; group < g.groups; ++group) {
      const float* packed = workspace + group * l.packed;
      multiply_block(
          patch, rows, 1, segment, segments, g.cg,
          [&](int64_t n0) { return Panel{packed + n0 * l.depth, panel_width(n0, g.cg)}; },
          bias == nullptr ? nullptr : bias + group * g.cg, t.activation, false, c + group * g.cg, g.c);
      for (int64_t m = 0; m < rows; ++m) patch[m] += g.kg;
    }
    if (strided)
      for (int64_t m = 0; m < rows; ++m)
        for (int64_t k = 0; k < g.c; ++k) target[m][k] = buffer[m * g.c + k];
  }
}

}  // namespace

BERRANTE_KERNEL(conv2d, plan_conv2d, run_conv2d);
BERRANTE_KERNEL(conv2d_input_grad, plan_conv2d_input_grad, run_conv2d_input_grad);

}  // namespace BERRANTE_ISA
}  // namespace berrante
