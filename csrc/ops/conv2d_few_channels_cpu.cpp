// conv2d's adjoint in the input for images of few channels, as grey and colour images have: the last transposed
// convolution of a generator, and the gradient in the images of a discriminator's first convolution.
//
// Rows are positions of the output's gradient, depth is the filters, columns are all taps and channels: what each
// position gives to each pixel of its window. A task multiplies the positions of an image, block by block, and adds the
// columns up where they belong, in order. Stage 0 packs the kernel.
#include "../cpu/few_channels.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

int64_t columns_of(const Geometry& g) { return g.kh * g.kw * g.c; }

// The row of `columns` that position (i, j) gives, added to the image.
void add_window(const Geometry& g, const float* row, int64_t i, int64_t j, float* image) {
  const int64_t top = i * g.stride_h - g.pad_top, left = j * g.stride_w - g.pad_left;
  for (int64_t a = 0; a < g.kh; ++a, row += g.kw * g.c) {
    const int64_t h = top + a * g.dilation_h;
    if (h < 0 || h >= g.h) continue;
    float* line = image + h * g.w * g.c;
    if (g.dilation_w == 1 && left >= 0 && left + g.kw <= g.w) {
      for (int64_t b = 0; b < g.kw * g.c; ++b) line[left * g.c + b] += row[b];
      continue;
    }
    for (int64_t b = 0; b < g.kw; ++b) {
      const int64_t w = left + b * g.dilation_w;
      if (w < 0 || w >= g.w) continue;
      for (int64_t c = 0; c < g.c; ++c) line[w * g.c + c] += row[b * g.c + c];
    }
  }
}

}  // namespace

void plan_few_channels(const Geometry& g, Plan& plan) {
  const int64_t columns = columns_of(g);
  plan.stages = 2;
  plan.tasks[0] = panels_of(columns);
  plan.tasks[1] = g.n;
  plan.workspace = static_cast<size_t>(g.k * padded_columns(columns)) * 4;
  plan.scratch = static_cast<size_t>(kBlockRows * columns) * 4;
  plan.cost =
      static_cast<double>(g.n * g.oh * g.ow) * static_cast<double>(columns) * (static_cast<double>(g.k) * 0.025 + 1.0);
}

void run_few_channels(const Geometry& g, const Call& call, const Range& range, int64_t activation) {
  const auto* dy = static_cast<const float*>(call.in[0].data);
  const auto* w = static_cast<const float*>(call.in[1].data);
  const float* bias = call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
  float *dx = static_cast<float*>(call.out[0].data), *packed = reinterpret_cast<float*>(call.workspace);
  const int64_t columns = columns_of(g), positions = g.oh * g.ow, pixels = g.h * g.w;
  if (range.stage == 0) {
    for (int64_t task = range.begin; task < range.end; ++task)
      pack_panel(w, 1, g.k, g.k, task * kColumns, columns, packed + task * kColumns * g.k);
    return;
  }
  auto* products = reinterpret_cast<float*>(range.scratch);
  const Segment depth{0, 0, g.k};
  for (int64_t n = range.begin; n < range.end; ++n) {
    float* image = dx + n * pixels * g.c;
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < g.c; ++c) image[p * g.c + c] = bias == nullptr ? 0.0f : bias[c];
    for (int64_t first = 0; first < positions; first += kBlockRows) {
      const int64_t rows = smaller(kBlockRows, positions - first);
      const float* row[kRowPointers];
      for (int64_t m = 0; m < rows; ++m) row[m] = dy + (n * positions + first + m) * g.k;
      multiply_block(
          row, rows, 1, &depth, 1, columns,
          [&](int64_t n0) { return Panel{packed + n0 * g.k, panel_width(n0, columns)}; }, nullptr, 0, false, products,
          columns);
      for (int64_t m = 0; m < rows; ++m)
        add_window(g, products + m * columns, (first + m) / g.ow, (first + m) % g.ow, image);
    }
    activate(image, pixels * g.c, activation);
  }
}

}  // namespace BERRANTE_ISA
}  // namespace berrante
