// What the three convolutions over NHWC share on CUDA: extents, their check, and the images as an operand of a product.
#pragma once
#include "product.h"

namespace berrante {

struct Convolution {
  int n, h, w, c, oh, ow, k, kh, kw, groups;
  int stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
  int cg, kg;  // channels and filters of one group
};

// Null, or what is wrong with the shapes; x, w and y are the tensors in conv2d's roles, bias null or of `biased`
// elements.
template <class Attrs>
const char* convolution_of(const Attrs& t, const View& x, const View& w, const View& y, const View* bias,
                           int64_t biased, Convolution& g) {
  if (x.rank != 4 || w.rank != 4 || y.rank != 4) return "expected tensors of rank 4";
  if (t.groups < 1 || t.stride_h < 1 || t.stride_w < 1 || t.dilation_h < 1 || t.dilation_w < 1)
    return "strides, dilations and groups must be positive";
  if (x.shape[0] != y.shape[0] || x.shape[3] != w.shape[2] * t.groups || y.shape[3] != w.shape[3] ||
      y.shape[3] % t.groups != 0)
    return "channels, filters or batches do not fit";
  if (w.shape[0] < 1 || w.shape[1] < 1) return "the kernel is empty";
  if (bias != nullptr && (bias->rank != 1 || bias->shape[0] != biased))
    return "expected a bias of one element a channel";
  const auto size = [](const View& v, int first) {
    int64_t n = 1;
    for (int i = first; i < 4; ++i) n *= v.shape[i];
    return n;
  };
  // Positions, taps and offsets inside one image are 32-bit numbers.
  constexpr int64_t kLimit = int64_t{1} << 30;
  if (size(x, 1) >= kLimit || size(y, 1) >= kLimit || size(w, 0) >= kLimit ||
      x.shape[0] * x.shape[1] * x.shape[2] >= kLimit || y.shape[0] * y.shape[1] * y.shape[2] >= kLimit)
    return "an extent is too large";
  const int64_t steps[] = {t.stride_h, t.stride_w, t.pad_top, t.pad_left, t.dilation_h, t.dilation_w};
  for (const int64_t value : steps)
    if (value >= 1 << 15 || value <= -(1 << 15)) return "a stride, padding or dilation is too large";
  const auto to = [](int64_t value) { return static_cast<int>(value); };
  g = {to(x.shape[0]), to(x.shape[1]), to(x.shape[2]),   to(x.shape[3]),   to(y.shape[1]), to(y.shape[2]),
       to(y.shape[3]), to(w.shape[0]), to(w.shape[1]),   to(t.groups),     to(t.stride_h), to(t.stride_w),
       to(t.pad_top),  to(t.pad_left), to(t.dilation_h), to(t.dilation_w), to(w.shape[2]), to(y.shape[3] / t.groups)};
  return nullptr;
}

inline const View* bias_of(const Call& call) { return call.n_in > 2 ? &call.in[2] : nullptr; }
inline const float* bias_data(const Call& call) {
  return call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
}

// Groups of so few channels that tiles would be empty: one thread an element instead (conv2d_grouped_cuda.cu).
inline bool is_direct(const Convolution& g) { return g.groups > 1 && (g.cg < 8 || g.kg < 8); }

// conv2d's patches: places are output positions, taps (kh, kw, channel); one of the batch is a group.
inline Operand patches(const Convolution& g, const void* x) {
  Operand op;
  op.data = static_cast<const float*>(x);
  op.batch_step = g.cg;
  op.place_step = int64_t{g.h} * g.w * g.c;
  op.positions = Divisor(int64_t{g.oh} * g.ow);
  op.columns = Divisor(g.ow);
  op.stride_y = g.stride_h;
  op.stride_x = g.stride_w;
  op.origin_y = -g.pad_top;
  op.origin_x = -g.pad_left;
  op.height = g.h;
  op.width = g.w;
  op.row_step = g.w * g.c;
  op.column_step = g.c;
  op.channels = Divisor(g.cg);
  op.taps_x = Divisor(g.kw);
  op.tap_y = g.dilation_h;
  op.tap_x = g.dilation_w;
  op.vectors = vectors_fit(op.data, {g.c, g.cg});
  return op;
}

// A matrix of lines of `line` elements, of which a group uses `used`: the weights, or the gradient of the output.
inline Operand lines(const void* data, int line, int used) {
  Operand op;
  op.data = static_cast<const float*>(data);
  op.batch_step = used;
  op.place_step = line;
  op.vectors = vectors_fit(op.data, {line, used});
  return op;
}

// The direct forms. The adjoint in w needs `workspace` for its splits, which follow from the shapes.
void direct_conv2d(const Convolution& g, const Call& call, int activation, const CudaTarget& target);
void direct_conv2d_input_grad(const Convolution& g, const Call& call, int activation, const CudaTarget& target);
int direct_weight_grad_splits(const Convolution& g);
void direct_conv2d_weight_grad(const Convolution& g, const Call& call, const CudaTarget& target);

}  // namespace berrante
