// conv2d's adjoint in the weights on CUDA, as an implicit product over NHWC: rows are (kh, kw, channel), columns are
// filters, and the depth is the output positions, of which splits take a share each.
#include "../cuda/convolution.h"
#include "../cuda/product_kernel.cuh"

namespace berrante {
namespace {

const char* weight_grad_of(const Call& call, Convolution& g) {
  if (call.n_in != 2) return "expected an input and an output gradient";
  return convolution_of(*static_cast<const conv2d_weight_grad_attrs*>(call.attrs), call.in[0], call.out[0], call.in[1],
                        nullptr, 0, g);
}

int64_t weights_of(const Convolution& g) { return int64_t{g.kh} * g.kw * g.cg * g.k; }
Division division_of(const Convolution& g) {
  return divide_product(int64_t{g.kh} * g.kw * g.cg, g.kg, int64_t{g.n} * g.oh * g.ow, g.groups, weights_of(g));
}

void plan_conv2d_weight_grad(const Call& call, CudaPlan& plan) {
  Convolution g{};
  plan.error = weight_grad_of(call, g);
  if (plan.error != nullptr) return;
  const int64_t splits = is_direct(g) ? direct_weight_grad_splits(g) : division_of(g).splits;
  plan.workspace = splits > 1 ? static_cast<size_t>(splits * weights_of(g)) * sizeof(float) : 0;
}

void launch_conv2d_weight_grad(const Call& call, const CudaTarget& target) {
  Convolution g{};
  weight_grad_of(call, g);
  if (is_direct(g)) return direct_conv2d_weight_grad(g, call, target);
  const Division division = division_of(g);
  auto* const out = static_cast<float*>(call.out[0].data);
  Product p;
  p.a = patches(g, call.in[0].data);
  p.b = lines(call.in[1].data, g.k, g.kg);
  p.m = g.kh * g.kw * g.cg;
  p.n = g.kg;
  p.k = g.n * g.oh * g.ow;
  p.batch = g.groups;
  p.splits = division.splits;
  p.split_step = weights_of(g);
  p.c.data = p.splits > 1 ? reinterpret_cast<float*>(call.workspace) : out;
  p.c.batch_step = g.kg;
  p.c.column_step = g.k;
  p.c.pairs = pairs_fit(p.c.data, {g.k, g.kg, p.splits > 1 ? p.split_step : 0});
  launch_product<Reading{true, false, false, false}>(p, division.tile, target);
  if (p.splits > 1) finish_splits(p.c.data, p.splits, p.split_step, nullptr, 1, 0, out, target);
}

}  // namespace

const CudaKernel conv2d_weight_grad_cuda_kernel = {"conv2d_weight_grad", plan_conv2d_weight_grad,
                                                   launch_conv2d_weight_grad};

}  // namespace berrante
