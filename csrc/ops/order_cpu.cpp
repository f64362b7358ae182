// What depends on the order of elements: arg_reduce, cumsum and sort.
//
// arg_reduce and cumsum walk R once for a block of B's columns at a time; sort is a stable merge of positions, row by
// row. A task is one row of A (or of M) and one block of columns.
#include "../core/checks.h"
#include "../cpu/gemm.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kWide = 64;

// Calls block(a, first column, columns) for the tasks in `range`.
template <class F>
void each_block(const View& x, const Range& range, F block) {
  const int64_t b = x.shape[2], blocks = ceil_div(b, kWide);
  for (int64_t task = range.begin; task < range.end; ++task) {
    const int64_t j = task % blocks * kWide;
    block(task / blocks, j, smaller(kWide, b - j));
  }
}

void divide(const View& x, Plan& plan) {
  plan.tasks[0] = x.shape[0] * ceil_div(x.shape[2], kWide);
  plan.cost = static_cast<double>(x.shape[0] * x.shape[1] * x.shape[2]);
}

void plan_arg_reduce(const Call& call, Plan& plan) {
  plan.error = check_arg_reduce(call);
  if (plan.error == nullptr) divide(call.in[0], plan);
}

template <class T>
void arg_reduce_typed(const Call& call, const Range& range) {
  const bool largest = static_cast<Reduction>(attrs_of<arg_reduce_attrs>(call).kind) == Reduction::maximum;
  const int64_t r = call.in[0].shape[1], b = call.in[0].shape[2];
  each_block(call.in[0], range, [&](int64_t a, int64_t j0, int64_t n) {
    const T* x = static_cast<const T*>(call.in[0].data) + a * r * b + j0;
    int32_t* y = static_cast<int32_t*>(call.out[0].data) + a * b + j0;
    T best[kWide];
    for (int64_t j = 0; j < n; ++j) {
      best[j] = x[j];
      y[j] = 0;
    }
    for (int64_t k = 1; k < r; ++k)
      for (int64_t j = 0; j < n; ++j) {
        const T v = x[k * b + j];
        const bool nan = v != v && best[j] == best[j];
        if (nan || (largest ? v > best[j] : v < best[j])) {
          best[j] = v;
          y[j] = static_cast<int32_t>(k);
        }
      }
  });
}

void run_arg_reduce(const Call& call, const Range& range) {
  if (call.in[0].dtype == DType::float32) return arg_reduce_typed<float>(call, range);
  arg_reduce_typed<int32_t>(call, range);
}

void plan_cumsum(const Call& call, Plan& plan) {
  plan.error = check_cumsum(call);
  if (plan.error == nullptr) divide(call.in[0], plan);
}

// Total: what the sum is kept in. int32 wraps around, as numpy's does, hence the unsigned total.
template <class T, class Total>
void cumsum_typed(const Call& call, const Range& range) {
  const auto& t = attrs_of<cumsum_attrs>(call);
  const int64_t r = call.in[0].shape[1], b = call.in[0].shape[2];
  each_block(call.in[0], range, [&](int64_t a, int64_t j0, int64_t n) {
    const T* x = static_cast<const T*>(call.in[0].data) + a * r * b + j0;
    T* y = static_cast<T*>(call.out[0].data) + a * r * b + j0;
    Total sum[kWide] = {};
    for (int64_t k = 0; k < r; ++k) {
      const int64_t row = (t.reverse ? r - 1 - k : k) * b;
      for (int64_t j = 0; j < n; ++j) {
        const Total before = sum[j];
        sum[j] += static_cast<Total>(x[row + j]);
        y[row + j] = static_cast<T>(t.exclusive ? before : sum[j]);
      }
    }
  });
}

void run_cumsum(const Call& call, const Range& range) {
  if (call.in[0].dtype == DType::float32) return cumsum_typed<float, double>(call, range);
  cumsum_typed<int32_t, uint32_t>(call, range);
}

constexpr int64_t kRun = 16;  // sorted by insertion before merging

void plan_sort(const Call& call, Plan& plan) {
  plan.error = check_sort(call);
  if (plan.error != nullptr) return;
  const View& x = call.in[0];
  plan.tasks[0] = x.shape[0];
  plan.scratch = static_cast<size_t>(x.shape[1]) * 4;
  double levels = 4;
  for (int64_t n = kRun; n < x.shape[1]; n *= 2) levels += 1;
  plan.cost = static_cast<double>(x.shape[0] * x.shape[1]) * levels * 3;
}

template <class T>
void sort_row(const T* x, int64_t n, bool descending, T* values, int32_t* positions, int32_t* other) {
  // Whether position q must come before p, which stands before it now; NaN is last in either direction.
  const auto before = [&](int32_t q, int32_t p) {
    const T v = x[q], u = x[p];
    return u != u ? v == v : (descending ? v > u : v < u);
  };
  int32_t *from = positions, *to = other;
  for (int64_t i = 0; i < n; i += kRun)
    for (int64_t k = i; k < smaller(n, i + kRun); ++k) {
      int64_t at = k;
      for (; at > i && before(static_cast<int32_t>(k), from[at - 1]); --at) from[at] = from[at - 1];
      from[at] = static_cast<int32_t>(k);
    }
  for (int64_t run = kRun; run < n; run *= 2) {
    for (int64_t i = 0; i < n; i += 2 * run) {
      const int64_t middle = smaller(n, i + run), end = smaller(n, i + 2 * run);
      int64_t left = i, right = middle;
      for (int64_t k = i; k < end; ++k) {
        const bool take_right = right < end && (left == middle || before(from[right], from[left]));
        to[k] = take_right ? from[right++] : from[left++];
      }
    }
    int32_t* swap = from;
    from = to;
    to = swap;
  }
  for (int64_t k = 0; k < n; ++k) {
    const int32_t p = from[k];
    positions[k] = p;
    values[k] = x[p];
  }
}

template <class T>
void sort_typed(const Call& call, const Range& range) {
  const bool descending = attrs_of<sort_attrs>(call).descending != 0;
  const int64_t n = call.in[0].shape[1];
  for (int64_t m = range.begin; m < range.end; ++m)
    sort_row(static_cast<const T*>(call.in[0].data) + m * n, n, descending, static_cast<T*>(call.out[0].data) + m * n,
             static_cast<int32_t*>(call.out[1].data) + m * n, reinterpret_cast<int32_t*>(range.scratch));
}

void run_sort(const Call& call, const Range& range) {
  if (call.in[0].dtype == DType::float32) return sort_typed<float>(call, range);
  sort_typed<int32_t>(call, range);
}

}  // namespace

BERRANTE_KERNEL(arg_reduce, plan_arg_reduce, run_arg_reduce);
BERRANTE_KERNEL(cumsum, plan_cumsum, run_cumsum);
BERRANTE_KERNEL(sort, plan_sort, run_sort);

}  // namespace BERRANTE_ISA
}  // namespace berrante
