// conv2d and its adjoint in the input on CUDA, as implicit products over NHWC (cuda/product.h).
//
// Forward: rows are output positions, depth is (kh, kw, channel), columns are filters. The adjoint: rows are input
// positions, depth is (kh, kw, filter), columns are channels. With strides, an input position meets only the taps that
// agree with it modulo the stride, so the positions are split into phases, each a product of its own without zeros.
#include <numeric>

#include "../cuda/convolution.h"
#include "../cuda/product_kernel.cuh"

namespace berrante {
namespace {

size_t partials(int splits, int64_t size) {
  return splits > 1 ? static_cast<size_t>(splits) * static_cast<size_t>(size) * sizeof(float) : 0;
}

// --- forward ---------------------------------------------------------------------------------------------------------

const char* forward_of(const Call& call, Convolution& g) {
  if (call.n_in < 2) return "expected an input and a kernel";
  return convolution_of(*static_cast<const conv2d_attrs*>(call.attrs), call.in[0], call.in[1], call.out[0],
                        bias_of(call), call.out[0].shape[3], g);
}

int64_t output_size(const Convolution& g) { return int64_t{g.n} * g.oh * g.ow * g.k; }
Division forward_division(const Convolution& g) {
  return divide_product(int64_t{g.n} * g.oh * g.ow, g.kg, int64_t{g.kh} * g.kw * g.cg, g.groups, output_size(g));
}

void plan_conv2d(const Call& call, CudaPlan& plan) {
  Convolution g{};
  plan.error = forward_of(call, g);
  if (plan.error == nullptr && !is_direct(g)) plan.workspace = partials(forward_division(g).splits, output_size(g));
}

void launch_conv2d(const Call& call, const CudaTarget& target) {
  Convolution g{};
  forward_of(call, g);
  const int activation = static_cast<int>(static_cast<const conv2d_attrs*>(call.attrs)->activation);
  if (is_direct(g)) return direct_conv2d(g, call, activation, target);
  const Division division = forward_division(g);
  auto* const out = static_cast<float*>(call.out[0].data);
  Product p;
  p.a = patches(g, call.in[0].data);
  p.b = lines(call.in[1].data, g.k, g.kg);
  p.m = g.n * g.oh * g.ow;
  p.n = g.kg;
  p.k = g.kh * g.kw * g.cg;
  p.batch = g.groups;
  p.bias = bias_data(call);
  p.bias_step = g.kg;
  p.activation = activation;
  p.splits = division.splits;
  p.split_step = output_size(g);
  p.c.data = p.splits > 1 ? reinterpret_cast<float*>(call.workspace) : out;
  p.c.batch_step = g.kg;
  p.c.column_step = g.k;
  p.c.pairs = pairs_fit(p.c.data, {g.k, g.kg, p.splits > 1 ? p.split_step : 0});
  launch_product<Reading{true, true, false, false}>(p, division.tile, target);
  if (p.splits > 1) finish_splits(p.c.data, p.splits, p.split_step, p.bias, g.k, activation, out, target);
}

// --- adjoint in the input --------------------------------------------------------------------------------------------

const char* input_grad_of(const Call& call, Convolution& g) {
  if (call.n_in < 2) return "expected an output gradient and a kernel";
  return convolution_of(*static_cast<const conv2d_input_grad_attrs*>(call.attrs), call.out[0], call.in[1], call.in[0],
                        bias_of(call), call.out[0].shape[3], g);
}

int64_t input_size(const Convolution& g) { return int64_t{g.n} * g.h * g.w * g.c; }

// The input positions first, first + stride, ... along one axis, and the taps that they meet: tap, tap + step, ...; tap
// number j meets output position `origin` + i - j * back at the phase's position i.
struct Phase {
  int positions, tap, taps, step, origin, back;
};
Phase phase_of(int first, int size, int taps, int stride, int dilation, int pad) {
  const int common = std::gcd(stride, dilation);
  Phase p{(size - first + stride - 1) / stride, 0, 0, stride / common, 0, dilation / common};
  while (p.tap < taps && (first + pad - p.tap * dilation) % stride != 0) ++p.tap;
  if (p.tap < taps) p.taps = (taps - 1 - p.tap) / p.step + 1;
  p.origin = p.taps > 0 ? (first + pad - p.tap * dilation) / stride : 0;
  return p;
}

// As for the phase of the most taps, which is one of the first's size at most.
Division input_grad_division(const Convolution& g) {
  const auto ceil_div = [](int64_t a, int64_t b) { return (a + b - 1) / b; };
  const int64_t taps = ceil_div(g.kh, g.stride_h / std::gcd(g.stride_h, g.dilation_h)) *
                       ceil_div(g.kw, g.stride_w / std::gcd(g.stride_w, g.dilation_w));
  const int64_t m = g.n * ceil_div(g.h, g.stride_h) * ceil_div(g.w, g.stride_w);
  return divide_product(m, g.cg, taps * g.kg, g.groups, input_size(g));
}

void plan_conv2d_input_grad(const Call& call, CudaPlan& plan) {
  Convolution g{};
  plan.error = input_grad_of(call, g);
  if (plan.error == nullptr && !is_direct(g)) plan.workspace = partials(input_grad_division(g).splits, input_size(g));
}

void set_phase(const Convolution& g, const Call& call, const Phase& rows, const Phase& columns, Product& p) {
  p.a = Operand();
  p.a.data = static_cast<const float*>(call.in[0].data);
  p.a.batch_step = g.kg;
  p.a.place_step = int64_t{g.oh} * g.ow * g.k;
  p.a.positions = Divisor(int64_t{rows.positions} * columns.positions);
  p.a.columns = Divisor(columns.positions);
  p.a.origin_y = rows.origin;
  p.a.origin_x = columns.origin;
  p.a.height = g.oh;
  p.a.width = g.ow;
  p.a.row_step = g.ow * g.k;
  p.a.column_step = g.k;
  p.a.channels = Divisor(g.kg);
  p.a.taps_x = Divisor(columns.taps);
  p.a.tap_y = -rows.back;
  p.a.tap_x = -columns.back;
  p.a.vectors = vectors_fit(p.a.data, {g.k, g.kg});
  // The weights, as images of [taps, taps, filters], one a channel.
  const int tap = g.cg * g.k;
  p.b = Operand();
  p.b.data = static_cast<const float*>(call.in[1].data) + (int64_t{rows.tap} * g.kw + columns.tap) * tap;
  p.b.batch_step = g.kg;
  p.b.place_step = g.k;
  p.b.positions = Divisor(1);
  p.b.columns = Divisor(1);
  p.b.height = rows.taps;
  p.b.width = columns.taps;
  p.b.row_step = rows.step * g.kw * tap;
  p.b.column_step = columns.step * tap;
  p.b.channels = Divisor(g.kg);
  p.b.taps_x = Divisor(columns.taps);
  p.b.vectors = vectors_fit(p.b.data, {g.k, g.kg});
  p.m = g.n * rows.positions * columns.positions;
  p.k = rows.taps * columns.taps * g.kg;
  p.c.positions = p.a.positions;
  p.c.columns = p.a.columns;
}

void launch_conv2d_input_grad(const Call& call, const CudaTarget& target) {
  Convolution g{};
  input_grad_of(call, g);
  const int activation = static_cast<int>(static_cast<const conv2d_input_grad_attrs*>(call.attrs)->activation);
  if (is_direct(g)) return direct_conv2d_input_grad(g, call, activation, target);
  const Division division = input_grad_division(g);
  auto* const out = static_cast<float*>(call.out[0].data);
  Product p;
  p.n = g.cg;
  p.batch = g.groups;
  p.bias = bias_data(call);
  p.bias_step = g.cg;
  p.activation = activation;
  p.splits = division.splits;
  p.split_step = input_size(g);
  p.c.batch_step = g.cg;
  p.c.image_step = int64_t{g.h} * g.w * g.c;
  p.c.row_step = int64_t{g.stride_h} * g.w * g.c;
  p.c.column_step = int64_t{g.stride_w} * g.c;
  float* const to = p.splits > 1 ? reinterpret_cast<float*>(call.workspace) : out;
  for (int i = 0; i < min(g.stride_h, g.h); ++i)
    for (int j = 0; j < min(g.stride_w, g.w); ++j) {
      set_phase(g, call, phase_of(i, g.h, g.kh, g.stride_h, g.dilation_h, g.pad_top),
                phase_of(j, g.w, g.kw, g.stride_w, g.dilation_w, g.pad_left), p);
      p.c.data = to + (int64_t{i} * g.w + j) * g.c;
      p.c.pairs = pairs_fit(p.c.data, {g.c, g.cg, p.splits > 1 ? p.split_step : 0});
      launch_product<Reading{true, true, true, true}>(p, division.tile, target);
    }
  if (p.splits > 1) finish_splits(to, p.splits, p.split_step, p.bias, g.c, activation, out, target);
}

}  // namespace

const CudaKernel conv2d_cuda_kernel = {"conv2d", plan_conv2d, launch_conv2d};
const CudaKernel conv2d_input_grad_cuda_kernel = {"conv2d_input_grad", plan_conv2d_input_grad,
                                                  launch_conv2d_input_grad};

}  // namespace berrante
