// softmax, log_softmax and softmax_cross_entropy over the rows of [M, N].
//
// Every row is shifted by its maximum, so no exponential overflows. Rows are independent: a task is a block of them.
// softmax_cross_entropy writes the probabilities too, because the gradient is probabilities - targets.
#include "../cpu/gemm.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kTaskSize = 4096;  // elements, about

int64_t rows_a_task(int64_t n) { return larger(1, kTaskSize / larger(1, n)); }

void divide(const View& x, double nanoseconds, Plan& plan) {
  plan.tasks[0] = ceil_div(x.shape[0], rows_a_task(x.shape[1]));
  plan.cost = static_cast<double>(x.shape[0] * x.shape[1]) * nanoseconds;
}

const char* check_rows(const View& x, const View& y) {
  if (x.rank != 2 || y.rank != 2 || x.shape[0] != y.shape[0] || x.shape[1] != y.shape[1])
    return "expected [M, N] -> [M, N]";
  return x.dtype != DType::float32 || y.dtype != DType::float32 ? "expected float32" : nullptr;
}

// Calls part(i, lanes) for each vector of a row of n elements; fewer than kLanes lanes at the end.
template <class F>
BERRANTE_INLINE void each_vector(int64_t n, F part) {
  for (int64_t i = 0; i < n; i += kLanes) part(i, static_cast<int>(smaller(kLanes, n - i)));
}

BERRANTE_INLINE vf load_part(const float* p, int lanes, float fill) {
  return lanes == kLanes ? load(p) : load_first(p, lanes, fill);
}
BERRANTE_INLINE void store_part(float* p, vf v, int lanes) { lanes == kLanes ? store(p, v) : store_first(p, v, lanes); }

float row_maximum(const float* x, int64_t n) {
  vf highest = splat(-kInfinity);
  each_vector(n, [&](int64_t i, int lanes) {
    const vf v = load_part(x + i, lanes, -kInfinity);
    highest = select((v > highest) | (v != v), v, highest);
  });
  float lane[kLanes], result = -kInfinity;
  __builtin_memcpy(lane, &highest, sizeof lane);
  for (int i = 0; i < kLanes; ++i) result = lane[i] > result || lane[i] != lane[i] ? lane[i] : result;
  return result;
}

// y = exp(x - maximum), and their sum.
float exponentials(const float* x, float* y, int64_t n, float maximum) {
  vf total = {};
  each_vector(n, [&](int64_t i, int lanes) {
    const vf e = exp(load_part(x + i, lanes, -kInfinity) - maximum);
    total += e;
    store_part(y + i, e, lanes);
  });
  return sum_lanes(total);
}

void scale(float* y, int64_t n, float factor) {
  each_vector(n, [&](int64_t i, int lanes) { store_part(y + i, load_part(y + i, lanes, 0.0f) * factor, lanes); });
}

// log of one number, by the vector function, so that a result does not depend on the C library.
float log_of(float x) { return log(splat(x))[0]; }

void plan_softmax(const Call& call, Plan& plan) {
  plan.error = check_rows(call.in[0], call.out[0]);
  if (plan.error == nullptr) divide(call.in[0], 1.0, plan);
}

// Calls row(m) for the rows of the tasks in `range`.
template <class F>
void each_row(const View& x, const Range& range, F row) {
  const int64_t step = rows_a_task(x.shape[1]), end = smaller(x.shape[0], range.end * step);
  for (int64_t m = range.begin * step; m < end; ++m) row(m);
}

void run_softmax(const Call& call, const Range& range) {
  const int64_t n = call.in[0].shape[1];
  each_row(call.in[0], range, [&](int64_t m) {
    const float* x = static_cast<const float*>(call.in[0].data) + m * n;
    float* y = static_cast<float*>(call.out[0].data) + m * n;
    scale(y, n, 1.0f / exponentials(x, y, n, row_maximum(x, n)));
  });
}

void plan_log_softmax(const Call& call, Plan& plan) { plan_softmax(call, plan); }

void run_log_softmax(const Call& call, const Range& range) {
  const int64_t n = call.in[0].shape[1];
  each_row(call.in[0], range, [&](int64_t m) {
    const float* x = static_cast<const float*>(call.in[0].data) + m * n;
    float* y = static_cast<float*>(call.out[0].data) + m * n;
    const float highest = row_maximum(x, n);
    const float shift = highest + log_of(exponentials(x, y, n, highest));
    each_vector(n, [&](int64_t i, int lanes) {
      // Two steps where the maximum is finite: x - highest is exact near it.
      store_part(y + i, load_part(x + i, lanes, 0.0f) - highest - (shift - highest), lanes);
    });
  });
}

void plan_softmax_cross_entropy(const Call& call, Plan& plan) {
  if (call.n_in != 2 || call.n_out != 2) {
    plan.error = "expected logits and targets -> loss and probabilities";
    return;
  }
  const View &x = call.in[0], &target = call.in[1], &loss = call.out[0];
  plan.error = check_rows(x, call.out[1]);
  if (plan.error != nullptr) return;
  const bool labels = target.dtype == DType::int32 && target.rank == 1 && target.shape[0] == x.shape[0];
  if (!labels && (target.dtype != DType::float32 || check_rows(x, target) != nullptr)) {
    plan.error = "expected float32 targets [M, N] or int32 labels [M]";
    return;
  }
  if (loss.rank != 1 || loss.shape[0] != x.shape[0] || loss.dtype != DType::float32) {
    plan.error = "expected a loss [M]";
    return;
  }
  divide(x, 1.5, plan);
}

void run_softmax_cross_entropy(const Call& call, const Range& range) {
  const int64_t n = call.in[0].shape[1];
  const auto clip = static_cast<float>(attrs_of<softmax_cross_entropy_attrs>(call).clip);
  const bool labels = call.in[1].dtype == DType::int32;
  const float lowest = clip > 0 ? log_of(clip) : -kInfinity, uppermost = clip > 0 ? log_of(1.0f - clip) : kInfinity;
  each_row(call.in[0], range, [&](int64_t m) {
    const float* x = static_cast<const float*>(call.in[0].data) + m * n;
    float* p = static_cast<float*>(call.out[1].data) + m * n;
    float* loss = static_cast<float*>(call.out[0].data) + m;
    const float highest = row_maximum(x, n), total = exponentials(x, p, n, highest), log_total = log_of(total);
    scale(p, n, 1.0f / total);
    if (labels) {
      const int32_t label = static_cast<const int32_t*>(call.in[1].data)[m];
      if (label < 0 || label >= n) {
        *loss = __builtin_nanf("");
        return;
      }
      const float l = x[label] - highest - log_total;
      *loss = -(l < lowest ? lowest : l > uppermost ? uppermost : l);
      return;
    }
    const float* target = static_cast<const float*>(call.in[1].data) + m * n;
    vf sum = {};
    each_vector(n, [&](int64_t i, int lanes) {
      // Beyond the row: a finite logarithm times a target of zero.
      vf l = load_part(x + i, lanes, highest) - highest - log_total;
      l = select(l < lowest, splat(lowest), select(l > uppermost, splat(uppermost), l));
      sum += load_part(target + i, lanes, 0.0f) * l;
    });
    *loss = -sum_lanes(sum);
  });
}

}  // namespace

BERRANTE_KERNEL(softmax, plan_softmax, run_softmax);
BERRANTE_KERNEL(log_softmax, plan_log_softmax, run_log_softmax);
BERRANTE_KERNEL(softmax_cross_entropy, plan_softmax_cross_entropy, run_softmax_cross_entropy);

}  // namespace BERRANTE_ISA
}  // namespace berrante
