// conv2d's adjoint in the weights, as an implicit matrix product over NHWC.
//
// Rows are (kh, kw, channel), columns are filters, and the depth is the output positions, read row by row of the
// output. Stage 0 frames the images (conv.h); stage 1 has a fixed number of tasks, each a share of the output's rows
// for a part of the result's rows: a share sums into a partial result of its own; stage 2 adds the partials in order.
// Where the result has rows enough for all tasks, there are few shares or only one, as partial results cost a trip to
// memory.
#include "../cpu/depthwise.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kPositions = 256;    // of one block of depth, about: it repays a tile's trip from and to memory
constexpr int64_t kFewPositions = 64;  // of a share, at least
constexpr int64_t kLongShare = 384;    // positions that repay a partial result
constexpr int64_t kTasks = 16;         // about
constexpr int64_t kSumSize = 4096;     // elements a task of the last stage

struct Shares {
  Frame frame;
  int64_t count;
  int64_t lines;        // rows of the output in one block of depth
  int64_t size;         // of the result
  int64_t parts, part;  // of the result's rows: how many, and rows in each
};

Shares shares_of(const Geometry& g) {
  const int64_t bottom = (g.oh - 1) * g.stride_h - g.pad_top + (g.kh - 1) * g.dilation_h + 1;
  const int64_t right = (g.ow - 1) * g.stride_w - g.pad_left + (g.kw - 1) * g.dilation_w + 1;
  Shares s;
  s.frame = frame_of(-g.pad_top, bottom, -g.pad_left, right, g.h, g.w);
  s.lines = larger(1, kPositions / larger(1, g.ow));
  s.size = g.kh * g.kw * g.cg * g.k;
  // Short shares pay for their partial results, parts of the rows for packing the gradient again.
  s.count = larger(1, smaller(kTasks, g.n * g.oh * g.ow / kLongShare));
  const int64_t blocks = ceil_div(g.kh * g.kw * g.cg, kBlockRows), parts = smaller(blocks, kTasks / s.count);
  s.part = ceil_div(blocks, parts) * kBlockRows;
  s.parts = ceil_div(g.kh * g.kw * g.cg, s.part);
  const int64_t most = ceil_div(g.n * g.oh, larger(1, kFewPositions / larger(1, g.ow)));
  s.count = smaller(ceil_div(kTasks, s.parts), most);
  while (s.count > 1 && s.count * s.size > (int64_t{1} << 22)) s.count /= 2;  // 16 MiB of partial sums
  s.count = larger(1, s.count);
  return s;
}

void plan_conv2d_weight_grad(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_weight_grad_attrs>(call);
  plan.error =
      call.n_in != 2 ? "expected an input and an output gradient" : check(t, call.in[0], call.out[0], call.in[1]);
  if (plan.error != nullptr) return;
  const Geometry g = geometry(t, call.in[0], call.out[0], call.in[1]);
  if (is_depthwise(g)) return plan_depthwise_weight_grad(g, plan);
  const Shares s = shares_of(g);
  plan.stages = 3;
  plan.tasks[0] = s.frame.copied ? g.n : 0;
  plan.tasks[1] = s.count * s.parts;
  plan.tasks[2] = s.count == 1 ? 0 : ceil_div(s.size, kSumSize);
  plan.workspace = frame_bytes(s.frame, g.n, g.c) + (s.count == 1 ? 0 : static_cast<size_t>(s.count * s.size) * 4);
  plan.scratch = static_cast<size_t>(s.lines * g.ow * padded_columns(g.kg)) * 4 +
                 static_cast<size_t>(s.lines) * sizeof(Segment) + 64;
  plan.cost = static_cast<double>(g.n * g.oh * g.ow) * static_cast<double>(s.size) * 0.025;
}

void run_conv2d_weight_grad(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_weight_grad_attrs>(call);
  const Geometry g = geometry(t, call.in[0], call.out[0], call.in[1]);
  if (is_depthwise(g)) return run_depthwise_weight_grad(g, call, range);
  const Shares s = shares_of(g);
  const Frame& f = s.frame;
  const float *x = static_cast<const float*>(call.in[0].data), *dy = static_cast<const float*>(call.in[1].data);
  float *dw = static_cast<float*>(call.out[0].data), *frames = reinterpret_cast<float*>(call.workspace);
  float* partials = reinterpret_cast<float*>(call.workspace + frame_bytes(f, g.n, g.c));
  if (range.stage == 0) {
    for (int64_t n = range.begin; n < range.end; ++n)
      copy_frame(f, x + n * g.h * g.w * g.c, g.h, g.w, g.c, frames + n * f.h * f.w * g.c);
    return;
  }
  if (range.stage == 2) {
    const int64_t end = smaller(s.size, range.end * kSumSize);
    for (int64_t i = range.begin * kSumSize; i < end; ++i) {
      float sum = partials[i];
      for (int64_t share = 1; share < s.count; ++share) sum += partials[share * s.size + i];
      dw[i] = sum;
    }
    return;
  }
  const float* images = f.copied ? frames : x;
  auto* segment = reinterpret_cast<Segment*>(range.scratch);
  float* packed =
      reinterpret_cast<float*>(range.scratch + (s.lines * static_cast<int64_t>(sizeof(Segment)) + 63) / 64 * 64);
  const int64_t rows = g.kh * g.kw * g.cg, all_lines = g.n * g.oh;
  for (int64_t task = range.begin; task < range.end; ++task) {
    const int64_t share = task / s.parts, first_row = task % s.parts * s.part,
                  end_row = smaller(rows, first_row + s.part);
    float* target = s.count == 1 ? dw : partials + share * s.size;
    const int64_t begin = all_lines * share / s.count, end = all_lines * (share + 1) / s.count;
    if (begin == end)
      for (int64_t i = first_row * g.k; i < end_row * g.k; ++i) target[i] = 0.0f;
    for (int64_t line = begin; line < end; line += s.lines) {
      const int64_t lines = smaller(s.lines, end - line), positions = lines * g.ow;
      for (int64_t q = 0; q < lines; ++q) {
        const int64_t n = (line + q) / g.oh, i = (line + q) % g.oh;
        segment[q] = {(n * f.h + i * g.stride_h) * f.w * g.c, q * g.ow, g.ow};
      }
      for (int64_t group = 0; group < g.groups; ++group) {
        const float* gradient = dy + line * g.ow * g.k + group * g.kg;
        for (int64_t n0 = 0; n0 < g.kg; n0 += panel_width(n0, g.kg))
          pack_panel(gradient, g.k, 1, positions, n0, g.kg, packed + n0 * positions);
        for (int64_t row0 = first_row; row0 < end_row; row0 += kBlockRows) {
          const int64_t count = smaller(kBlockRows, end_row - row0);
          const float* element[kRowPointers];
          for (int64_t r = 0; r < count; ++r) {
            const int64_t tap = (row0 + r) / g.cg, channel = (row0 + r) % g.cg;
            element[r] =
                images + (tap / g.kw * g.dilation_h * f.w + tap % g.kw * g.dilation_w) * g.c + group * g.cg + channel;
          }
          multiply_block(
              element, count, g.stride_w * g.c, segment, lines, g.kg,
              [&](int64_t n0) { return Panel{packed + n0 * positions, panel_width(n0, g.kg)}; }, nullptr, 0,
              line > begin, target + row0 * g.k + group * g.kg, g.k);
        }
      }
    }
  }
}

}  // namespace

BERRANTE_KERNEL(conv2d_weight_grad, plan_conv2d_weight_grad, run_conv2d_weight_grad);

}  // namespace BERRANTE_ISA
}  // namespace berrante
