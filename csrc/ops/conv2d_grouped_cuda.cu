// The three convolutions on CUDA for groups of few channels, depthwise ones above all: one thread an element of the
// result, which sums over its taps in order. Neighbouring threads are neighbouring channels.
#include "../cuda/activation.cuh"
#include "../cuda/convolution.h"
#include "../cuda/launch.cuh"

namespace berrante {
namespace {

constexpr int kBlock = 128;

// Extents with the divisions that the kernels need.
struct Direct {
  Convolution g;
  Divisor channels, columns, rows;  // of the result's tensor
  Divisor per_group;                // filters (forward, weights) or channels (input) of a group
  Divisor stride_h, stride_w, kernel_columns, group_channels, out_columns, out_rows;
};

__global__ void __launch_bounds__(kBlock)
    forward_kernel(const __grid_constant__ Direct d, const float* x, const float* w, const float* bias, int activation,
                   float* y, int64_t size) {
  const Convolution& g = d.g;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (index >= size) return;
  const int position = static_cast<int>(index / g.k), k = static_cast<int>(index - int64_t{position} * g.k);
  const int line = d.columns.quotient(position), j = position - line * g.ow;
  const int image = d.rows.quotient(line), i = line - image * g.oh;
  const int first = d.per_group.quotient(k) * g.cg;
  const float* const from = x + int64_t{image} * g.h * g.w * g.c + first;
  float sum = 0.0f;
  for (int kh = 0; kh < g.kh; ++kh) {
    const int row = i * g.stride_h - g.pad_top + kh * g.dilation_h;
    if (static_cast<unsigned>(row) >= static_cast<unsigned>(g.h)) continue;
    for (int kw = 0; kw < g.kw; ++kw) {
      const int column = j * g.stride_w - g.pad_left + kw * g.dilation_w;
      if (static_cast<unsigned>(column) >= static_cast<unsigned>(g.w)) continue;
      const float* const pixel = from + (row * g.w + column) * g.c;
      const float* const tap = w + ((kh * g.kw + kw) * g.cg) * g.k + k;
      for (int c = 0; c < g.cg; ++c) sum = fmaf(pixel[c], tap[c * g.k], sum);
    }
  }
  if (bias != nullptr) sum += bias[k];
  y[index] = activated(sum, activation);
}

__global__ void __launch_bounds__(kBlock)
    input_grad_kernel(const __grid_constant__ Direct d, const float* dy, const float* w, const float* bias,
                      int activation, float* dx, int64_t size) {
  const Convolution& g = d.g;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (index >= size) return;
  const int position = static_cast<int>(index / g.c), c = static_cast<int>(index - int64_t{position} * g.c);
  const int line = d.columns.quotient(position), j = position - line * g.w;
  const int image = d.rows.quotient(line), i = line - image * g.h;
  const int group = d.per_group.quotient(c);
  const float* const from = dy + int64_t{image} * g.oh * g.ow * g.k + group * g.kg;
  float sum = 0.0f;
  for (int kh = 0; kh < g.kh; ++kh) {
    const int up = i + g.pad_top - kh * g.dilation_h, row = up < 0 ? 0 : d.stride_h.quotient(up);
    if (up < 0 || row * g.stride_h != up || row >= g.oh) continue;
    for (int kw = 0; kw < g.kw; ++kw) {
      const int left = j + g.pad_left - kw * g.dilation_w, column = left < 0 ? 0 : d.stride_w.quotient(left);
      if (left < 0 || column * g.stride_w != left || column >= g.ow) continue;
      const float* const pixel = from + (row * g.ow + column) * g.k;
      const float* const tap = w + ((kh * g.kw + kw) * g.cg + (c - group * g.cg)) * g.k + group * g.kg;
      for (int k = 0; k < g.kg; ++k) sum = fmaf(pixel[k], tap[k], sum);
    }
  }
  if (bias != nullptr) sum += bias[c];
  dx[index] = activated(sum, activation);
}

// One thread a weight and a share of the output's rows.
__global__ void __launch_bounds__(kBlock)
    weight_grad_kernel(const __grid_constant__ Direct d, const float* x, const float* dy, int splits, float* partial) {
  const Convolution& g = d.g;
  const int size = g.kh * g.kw * g.cg * g.k,
            index = static_cast<int>(blockIdx.x) * kBlock + static_cast<int>(threadIdx.x);
  const int split = static_cast<int>(blockIdx.y);
  if (index >= size) return;
  const int rest = d.channels.quotient(index), k = index - rest * g.k;
  const int tap = d.group_channels.quotient(rest), channel = d.per_group.quotient(k) * g.cg + rest - tap * g.cg;
  const int kh = d.kernel_columns.quotient(tap), kw = tap - kh * g.kw;
  const int lines = g.n * g.oh, each = (lines + splits - 1) / splits;
  const int first = split * each, last = min(lines, first + each);
  float sum = 0.0f;
  for (int line = first; line < last; ++line) {
    const int image = d.out_rows.quotient(line), i = line - image * g.oh;
    const int row = i * g.stride_h - g.pad_top + kh * g.dilation_h;
    if (static_cast<unsigned>(row) >= static_cast<unsigned>(g.h)) continue;
    const float* const from = x + (int64_t{image} * g.h + row) * g.w * g.c + channel;
    const float* const gradient = dy + int64_t{line} * g.ow * g.k + k;
    for (int j = 0; j < g.ow; ++j) {
      const int column = j * g.stride_w - g.pad_left + kw * g.dilation_w;
      if (static_cast<unsigned>(column) < static_cast<unsigned>(g.w))
        sum = fmaf(from[column * g.c], gradient[j * g.k], sum);
    }
  }
  partial[int64_t{split} * size + index] = sum;
}

Direct direct(const Convolution& g) {
  Direct d;
  d.g = g;
  d.channels = Divisor(g.k);
  d.columns = Divisor(g.ow);
  d.rows = Divisor(g.oh);
  d.per_group = Divisor(g.kg);
  d.stride_h = Divisor(g.stride_h);
  d.stride_w = Divisor(g.stride_w);
  d.kernel_columns = Divisor(g.kw);
  d.group_channels = Divisor(g.cg);
  d.out_columns = Divisor(g.ow);
  d.out_rows = Divisor(g.oh);
  return d;
}

const float* floats(const View& view) { return static_cast<const float*>(view.data); }

}  // namespace

void direct_conv2d(const Convolution& g, const Call& call, int activation, const CudaTarget& target) {
  const int64_t size = int64_t{g.n} * g.oh * g.ow * g.k;
  launch(forward_kernel, blocks_for(size, kBlock), kBlock, 0, target.stream, direct(g), floats(call.in[0]),
         floats(call.in[1]), bias_data(call), activation, static_cast<float*>(call.out[0].data), size);
}

void direct_conv2d_input_grad(const Convolution& g, const Call& call, int activation, const CudaTarget& target) {
  const int64_t size = int64_t{g.n} * g.h * g.w * g.c;
  Direct d = direct(g);
  d.columns = Divisor(g.w);
  d.rows = Divisor(g.h);
  d.per_group = Divisor(g.cg);
  launch(input_grad_kernel, blocks_for(size, kBlock), kBlock, 0, target.stream, d, floats(call.in[0]),
         floats(call.in[1]), bias_data(call), activation, static_cast<float*>(call.out[0].data), size);
}

int direct_weight_grad_splits(const Convolution& g) {
  constexpr int64_t kWanted = 1 << 17, kMost = 256;  // threads, splits
  const int64_t size = int64_t{g.kh} * g.kw * g.cg * g.k, lines = int64_t{g.n} * g.oh;
  return static_cast<int>(max(int64_t{1}, min(min(kMost, lines / 4), kWanted / max(int64_t{1}, size))));
}

void direct_conv2d_weight_grad(const Convolution& g, const Call& call, const CudaTarget& target) {
  const int64_t size = int64_t{g.kh} * g.kw * g.cg * g.k;
  const int splits = direct_weight_grad_splits(g);
  auto* const out = static_cast<float*>(call.out[0].data);
  float* const partial = splits > 1 ? reinterpret_cast<float*>(call.workspace) : out;
  launch(weight_grad_kernel, dim3(blocks_for(size, kBlock), static_cast<unsigned>(splits)), kBlock, 0, target.stream,
         direct(g), floats(call.in[0]), floats(call.in[1]), splits, partial);
  if (splits > 1) finish_splits(partial, splits, size, nullptr, 1, 0, out, target);
}

}  // namespace berrante
