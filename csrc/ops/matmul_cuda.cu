// matmul on CUDA: a product of plain matrices (cuda/product.h), in the four orders of operands.
#include "../core/checks.h"
#include "../cuda/product_kernel.cuh"

namespace berrante {
namespace {

struct Extents {
  int64_t batch = 0, m = 0, n = 0, k = 0;
};

const char* extents_of(const Call& call, Extents& e) {
  if (const char* error = check_matmul(call)) return error;
  const View &a = call.in[0], &c = call.out[0];
  e = {c.shape[0], c.shape[1], c.shape[2], a.shape[static_cast<const matmul_attrs*>(call.attrs)->transpose_a ? 1 : 2]};
  if (e.m >= int64_t{1} << 30 || e.n >= int64_t{1} << 30 || e.k >= int64_t{1} << 30 || e.batch >= int64_t{1} << 24)
    return "an extent is too large";
  return nullptr;
}

void plan_matmul(const Call& call, CudaPlan& plan) {
  Extents e;
  plan.error = extents_of(call, e);
  if (plan.error != nullptr) return;
  const int64_t size = e.batch * e.m * e.n;
  const int splits = divide_product(e.m, e.n, e.k, e.batch, size).splits;
  plan.workspace = splits > 1 ? static_cast<size_t>(splits * size) * sizeof(float) : 0;
}

// `line` is the extent of the operand that is contiguous.
Operand matrix(const View& view, int64_t lines, int64_t line) {
  Operand op;
  op.data = static_cast<const float*>(view.data);
  op.batch_step = view.shape[0] == 1 ? 0 : lines * line;
  op.place_step = line;
  op.vectors = vectors_fit(op.data, {line, op.batch_step});
  return op;
}

void launch_matmul(const Call& call, const CudaTarget& target) {
  Extents e;
  extents_of(call, e);
  const auto& attrs = *static_cast<const matmul_attrs*>(call.attrs);
  const bool ta = attrs.transpose_a != 0, tb = attrs.transpose_b != 0;
  const int64_t size = e.batch * e.m * e.n;
  const Division division = divide_product(e.m, e.n, e.k, e.batch, size);
  auto* const out = static_cast<float*>(call.out[0].data);

  Product p;
  p.a = ta ? matrix(call.in[0], e.k, e.m) : matrix(call.in[0], e.m, e.k);
  p.b = tb ? matrix(call.in[1], e.n, e.k) : matrix(call.in[1], e.k, e.n);
  p.m = static_cast<int>(e.m);
  p.n = static_cast<int>(e.n);
  p.k = static_cast<int>(e.k);
  p.batch = static_cast<int>(e.batch);
  p.bias = call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
  p.activation = static_cast<int>(attrs.activation);
  p.splits = division.splits;
  p.split_step = size;
  p.c.data = p.splits > 1 ? reinterpret_cast<float*>(call.workspace) : out;
  p.c.batch_step = e.m * e.n;
  p.c.column_step = e.n;
  p.c.pairs = pairs_fit(p.c.data, {e.n});

  if (ta && tb)
    launch_product<Reading{false, false, false, true}>(p, division.tile, target);
  else if (ta)
    launch_product<Reading{false, false, false, false}>(p, division.tile, target);
  else if (tb)
    launch_product<Reading{false, true, false, true}>(p, division.tile, target);
  else
    launch_product<Reading{false, true, false, false}>(p, division.tile, target);
  if (p.splits > 1) finish_splits(p.c.data, p.splits, size, p.bias, e.n, p.activation, out, target);
}

}  // namespace

const CudaKernel matmul_cuda_kernel = {"matmul", plan_matmul, launch_matmul};

}  // namespace berrante
