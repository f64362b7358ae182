// gather: rows of x by index; scatter_add: its adjoint.
//
// Tasks of gather are blocks of output rows. Tasks of scatter_add are blocks of the table's rows: each reads all
// indices and adds the updates that fall to it in their order, so equal indices never meet in two tasks.
#include "../core/checks.h"
#include "../cpu/gemm.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kTaskSize = 8192;  // elements, about
constexpr int64_t kMaxParts = 16;    // scatter_add reads the indices once a part

int64_t size_of(DType dtype) { return dtype == DType::float32 || dtype == DType::int32 ? 4 : 1; }

int64_t rows_a_task(int64_t b) { return larger(1, kTaskSize / larger(1, b)); }

void plan_gather(const Call& call, Plan& plan) {
  plan.error = check_gather(call);
  if (plan.error != nullptr) return;
  const View& y = call.out[0];
  plan.tasks[0] = ceil_div(y.shape[0] * y.shape[1], rows_a_task(y.shape[2]));
  plan.cost = static_cast<double>(y.shape[0] * y.shape[1]) * (4 + static_cast<double>(y.shape[2]) * 0.3);
}

void run_gather(const Call& call, const Range& range) {
  const View &x = call.in[0], &y = call.out[0];
  const auto* indices = static_cast<const int32_t*>(call.in[1].data);
  const int64_t n = x.shape[1], m = y.shape[1], b = y.shape[2], step = rows_a_task(b), bytes = b * size_of(x.dtype);
  for (int64_t row = range.begin * step; row < smaller(y.shape[0] * m, range.end * step); ++row) {
    const int64_t at = indices[row % m];
    char* to = static_cast<char*>(y.data) + row * bytes;
    if (at >= 0 && at < n)
      __builtin_memcpy(to, static_cast<const char*>(x.data) + (row / m * n + at) * bytes, static_cast<size_t>(bytes));
    else if (x.dtype == DType::float32)
      for (int64_t k = 0; k < b; ++k) reinterpret_cast<float*>(to)[k] = __builtin_nanf("");
    else
      __builtin_memset(to, 0, static_cast<size_t>(bytes));
  }
}

int64_t parts_of(const View& y) {
  return larger(1, smaller(smaller(kMaxParts, y.shape[1]), y.shape[1] * y.shape[2] / kTaskSize));
}

void plan_scatter_add(const Call& call, Plan& plan) {
  plan.error = check_scatter_add(call);
  if (plan.error != nullptr) return;
  const View &x = call.in[1], &y = call.out[0];
  plan.tasks[0] = y.shape[0] * parts_of(y);
  plan.cost = static_cast<double>(y.shape[0]) *
              static_cast<double>(y.shape[1] * y.shape[2] + x.shape[1] * (parts_of(y) + x.shape[2])) * 0.3;
}

void run_scatter_add(const Call& call, const Range& range) {
  const View& y = call.out[0];
  const auto* indices = static_cast<const int32_t*>(call.in[0].data);
  const int64_t n = y.shape[1], b = y.shape[2], m = call.in[0].shape[0], parts = parts_of(y);
  for (int64_t task = range.begin; task < range.end; ++task) {
    const int64_t a = task / parts, first = n * (task % parts) / parts, last = n * (task % parts + 1) / parts;
    const float* updates = static_cast<const float*>(call.in[1].data) + a * m * b;
    float* table = static_cast<float*>(y.data) + a * n * b;
    __builtin_memset(table + first * b, 0, static_cast<size_t>((last - first) * b) * 4);
    for (int64_t i = 0; i < m; ++i) {
      const int64_t at = indices[i];
      if (at < first || at >= last) continue;
      for (int64_t k = 0; k < b; ++k) table[at * b + k] += updates[i * b + k];
    }
  }
}

}  // namespace

BERRANTE_KERNEL(gather, plan_gather, run_gather);
BERRANTE_KERNEL(scatter_add, plan_scatter_add, run_scatter_add);

}  // namespace BERRANTE_ISA
}  // namespace berrante
