// softmax, log_softmax and softmax_cross_entropy over the rows of [M, N].
//
// Every row is shifted by its maximum, so no exponential overflows. Rows are independent: a task is a block of them.
// softmax_cross_entropy writes the probabilities too, because the gradient is probabilities - targets.
// Long rows run vector by vector; short ones (few classes) kLanes rows at a time, one row a lane.
#include "../core/checks.h"
#include "../cpu/gemm.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kTaskSize = 4096;  // elements, about
constexpr int64_t kShortRow = 31;    // elements, at most

int64_t rows_a_task(int64_t n) { return larger(1, kTaskSize / larger(1, n)); }

void divide(const View& x, double nanoseconds, Plan& plan) {
  plan.tasks[0] = ceil_div(x.shape[0], rows_a_task(x.shape[1]));
  plan.cost = static_cast<double>(x.shape[0] * x.shape[1]) * nanoseconds;
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

// kLanes short rows [rows, n], turned: column j holds element j of every row; lanes without a row hold zeros.
struct Columns {
  int64_t rows, n;
  vf column[kShortRow];

  void read(const float* x) {
    float lane[kShortRow][kLanes] = {};
    for (int64_t l = 0; l < rows; ++l)
      for (int64_t j = 0; j < n; ++j) lane[j][l] = x[l * n + j];
    for (int64_t j = 0; j < n; ++j) column[j] = load(lane[j]);
  }
  void write(float* y) const {
    float lane[kShortRow][kLanes];
    for (int64_t j = 0; j < n; ++j) store(lane[j], column[j]);
    for (int64_t l = 0; l < rows; ++l)
      for (int64_t j = 0; j < n; ++j) y[l * n + j] = lane[j][l];
  }
  vf maximum() const {
    vf highest = column[0];
    for (int64_t j = 1; j < n; ++j)
      highest = select((column[j] > highest) | (column[j] != column[j]), column[j], highest);
    return highest;
  }
  // Each column becomes exp(column - shift); gives the sums.
  vf exponentiate(vf shift) {
    vf total = {};
    for (int64_t j = 0; j < n; ++j) total += column[j] = exp(column[j] - shift);
    return total;
  }
  void scale(vf factor) {
    for (int64_t j = 0; j < n; ++j) column[j] *= factor;
  }
};

void plan_softmax(const Call& call, Plan& plan) {
  plan.error = check_softmax(call);
  if (plan.error == nullptr) divide(call.in[0], 1.0, plan);
}

// Calls row(m) for the rows of the tasks in `range`, or block(m, rows) for up to kLanes of them where rows are short.
template <class Row, class Block>
BERRANTE_INLINE void each_row(const View& x, const Range& range, Row row, Block block) {
  const int64_t n = x.shape[1], step = rows_a_task(n), end = smaller(x.shape[0], range.end * step);
  if (n > kShortRow || n == 0)
    for (int64_t m = range.begin * step; m < end; ++m) row(m);
  else
    for (int64_t m = range.begin * step; m < end; m += kLanes) block(m, smaller(kLanes, end - m));
}

void run_softmax(const Call& call, const Range& range) {
  const int64_t n = call.in[0].shape[1];
  const float* in = static_cast<const float*>(call.in[0].data);
  float* out = static_cast<float*>(call.out[0].data);
  each_row(
      call.in[0], range,
      [&](int64_t m) {
        const float* x = in + m * n;
        float* y = out + m * n;
        scale(y, n, 1.0f / exponentials(x, y, n, row_maximum(x, n)));
      },
      [&](int64_t m, int64_t rows) {
        Columns c{rows, n, {}};
        c.read(in + m * n);
        c.scale(1.0f / c.exponentiate(c.maximum()));
        c.write(out + m * n);
      });
}

void plan_log_softmax(const Call& call, Plan& plan) { plan_softmax(call, plan); }

void run_log_softmax(const Call& call, const Range& range) {
  const int64_t n = call.in[0].shape[1];
  const float* in = static_cast<const float*>(call.in[0].data);
  float* out = static_cast<float*>(call.out[0].data);
  // Two steps where the maximum is finite: x - highest is exact near it.
  each_row(
      call.in[0], range,
      [&](int64_t m) {
        const float* x = in + m * n;
        float* y = out + m * n;
        const float highest = row_maximum(x, n);
        const float shift = highest + log_of(exponentials(x, y, n, highest));
        each_vector(n, [&](int64_t i, int lanes) {
          store_part(y + i, load_part(x + i, lanes, 0.0f) - highest - (shift - highest), lanes);
        });
      },
      [&](int64_t m, int64_t rows) {
        Columns c{rows, n, {}};
        c.read(in + m * n);
        const vf highest = c.maximum();
        vf total = {};
        for (int64_t j = 0; j < n; ++j) total += exp(c.column[j] - highest);
        const vf shift = highest + log(total);
        for (int64_t j = 0; j < n; ++j) c.column[j] = c.column[j] - highest - (shift - highest);
        c.write(out + m * n);
      });
}

void plan_softmax_cross_entropy(const Call& call, Plan& plan) {
  plan.error = check_softmax_cross_entropy(call);
  if (plan.error == nullptr) divide(call.in[0], 1.5, plan);
}

// What softmax_cross_entropy works on.
struct Entropy {
  int64_t n;
  const float *x, *target;  // target null: labels
  const int32_t* label;
  float *loss, *p;
  float lowest, uppermost;  // of a logarithm

  bool known(int64_t m) const { return label[m] >= 0 && label[m] < n; }
};

Entropy entropy_of(const Call& call) {
  const auto clip = static_cast<float>(attrs_of<softmax_cross_entropy_attrs>(call).clip);
  const bool labels = call.in[1].dtype == DType::int32;
  Entropy e;
  e.n = call.in[0].shape[1];
  e.x = static_cast<const float*>(call.in[0].data);
  e.target = labels ? nullptr : static_cast<const float*>(call.in[1].data);
  e.label = labels ? static_cast<const int32_t*>(call.in[1].data) : nullptr;
  e.loss = static_cast<float*>(call.out[0].data), e.p = static_cast<float*>(call.out[1].data);
  e.lowest = clip > 0 ? log_of(clip) : -kInfinity, e.uppermost = clip > 0 ? log_of(1.0f - clip) : kInfinity;
  return e;
}

vf clipped(vf l, const Entropy& e) {
  return select(l < e.lowest, splat(e.lowest), select(l > e.uppermost, splat(e.uppermost), l));
}

void entropy_of_row(const Entropy& e, int64_t m) {
  const float* x = e.x + m * e.n;
  float* p = e.p + m * e.n;
  const float highest = row_maximum(x, e.n), total = exponentials(x, p, e.n, highest), log_total = log_of(total);
  scale(p, e.n, 1.0f / total);
  if (e.target == nullptr) {
    e.loss[m] = e.known(m) ? -clipped(splat(x[e.label[m]] - highest - log_total), e)[0] : __builtin_nanf("");
    return;
  }
  vf sum = {};
  each_vector(e.n, [&](int64_t i, int lanes) {
    // Beyond the row: a finite logarithm times a target of zero.
    const vf l = clipped(load_part(x + i, lanes, highest) - highest - log_total, e);
    sum += load_part(e.target + m * e.n + i, lanes, 0.0f) * l;
  });
  e.loss[m] = -sum_lanes(sum);
}

void entropy_of_short_rows(const Entropy& e, int64_t m, int64_t rows) {
  Columns c{rows, e.n, {}};
  c.read(e.x + m * e.n);
  const vf highest = c.maximum();
  vf sum = {};
  if (e.target == nullptr) {
    float own[kLanes] = {};
    for (int64_t l = 0; l < rows; ++l)
      own[l] = e.known(m + l) ? e.x[(m + l) * e.n + e.label[m + l]] : __builtin_nanf("");
    const vf logit = load(own), total = c.exponentiate(highest);
    c.scale(1.0f / total);
    sum = clipped(logit - highest - log(total), e);
  } else {
    Columns logits = c, targets{rows, e.n, {}};
    targets.read(e.target + m * e.n);
    const vf total = c.exponentiate(highest), log_total = log(total);
    c.scale(1.0f / total);
    for (int64_t j = 0; j < e.n; ++j) sum += targets.column[j] * clipped(logits.column[j] - highest - log_total, e);
  }
  c.write(e.p + m * e.n);
  store_part(e.loss + m, -sum, static_cast<int>(rows));
}

void run_softmax_cross_entropy(const Call& call, const Range& range) {
  const Entropy e = entropy_of(call);
  each_row(
      call.in[0], range, [&](int64_t m) { entropy_of_row(e, m); },
      [&](int64_t m, int64_t rows) { entropy_of_short_rows(e, m, rows); });
}

}  // namespace

BERRANTE_KERNEL(softmax, plan_softmax, run_softmax);
BERRANTE_KERNEL(log_softmax, plan_log_softmax, run_log_softmax);
BERRANTE_KERNEL(softmax_cross_entropy, plan_softmax_cross_entropy, run_softmax_cross_entropy);

}  // namespace BERRANTE_ISA
}  // namespace berrante
