// moments: [A, R, B] -> mean and biased variance [A, B], in one pass over memory.
//
// Blocks of kBlock rows (B > 1) or kBlock elements (B == 1) are read twice while they lie in the cache: their mean,
// then the squares around it. Blocks are merged by the formula of Chan, Golub and LeVeque ("Updating formulae and a
// pairwise algorithm for computing sample variances", 1979), which keeps the variance of data far from zero. A long R
// is cut into a fixed number of shares, merged in order by the second stage.
#include "../core/checks.h"
#include "../cpu/gemm.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kBlock = 128;
constexpr int64_t kWide = 64;          // columns handled together
constexpr int64_t kShareSize = 32768;  // elements of one share

struct Shape {
  int64_t a, r, b, shares;
};

Shape shape_of(const Call& call) {
  const View& x = call.in[0];
  Shape s{x.shape[0], x.shape[1], x.shape[2], 1};
  s.shares = larger(1, smaller(64, s.r * s.b / kShareSize));
  return s;
}

void plan_moments(const Call& call, Plan& plan) {
  plan.error = check_moments(call);
  if (plan.error != nullptr) return;
  const Shape s = shape_of(call);
  plan.cost = static_cast<double>(s.a * s.r * s.b) * 0.4;
  plan.tasks[0] = s.a * s.shares;
  if (s.shares > 1) {
    plan.stages = 2;
    plan.tasks[1] = ceil_div(s.a * s.b, 1024);
    plan.workspace = static_cast<size_t>(2 * s.a * s.shares * s.b) * 4;  // means, then sums of squares
  }
}

// Adds a group of m elements (mean, squares) to one of n.
BERRANTE_INLINE void merge(int64_t n, float* mean, float* squares, int64_t m, float other_mean, float other_squares) {
  const float share = static_cast<float>(m) / static_cast<float>(n + m);
  const float d = other_mean - *mean;
  *mean += d * share;
  *squares += other_squares + d * d * share * static_cast<float>(n);
}

// Rows r0 .. r1 of [R, B].
void fold_columns(const float* x, int64_t r0, int64_t r1, int64_t b, float* mean, float* squares) {
  for (int64_t j0 = 0; j0 < b; j0 += kWide) {
    const int64_t n = smaller(kWide, b - j0);
    for (int64_t j = 0; j < n; ++j) mean[j0 + j] = squares[j0 + j] = 0.0f;
    for (int64_t r = r0; r < r1; r += kBlock) {
      const int64_t end = smaller(r1, r + kBlock);
      float m[kWide] = {}, s[kWide] = {};
      for (int64_t q = r; q < end; ++q)
        for (int64_t j = 0; j < n; ++j) m[j] += x[q * b + j0 + j];
      for (int64_t j = 0; j < n; ++j) m[j] /= static_cast<float>(end - r);
      for (int64_t q = r; q < end; ++q)
        for (int64_t j = 0; j < n; ++j) {
          const float d = x[q * b + j0 + j] - m[j];
          s[j] += d * d;
        }
      for (int64_t j = 0; j < n; ++j) merge(r - r0, mean + j0 + j, squares + j0 + j, end - r, m[j], s[j]);
    }
  }
}

// Elements i0 .. i1 of a row.
void fold_row(const float* x, int64_t i0, int64_t i1, float* mean, float* squares) {
  constexpr int64_t kChains = 16, kElements = kBlock * kChains;
  *mean = *squares = 0.0f;
  const auto total = [](const float* chain) {
    float lane[kChains];
    for (int64_t c = 0; c < kChains; ++c) lane[c] = chain[c];
    for (int64_t half = kChains / 2; half > 0; half /= 2)
      for (int64_t c = 0; c < half; ++c) lane[c] += lane[c + half];
    return lane[0];
  };
  for (int64_t i = i0; i < i1; i += kElements) {
    const int64_t n = smaller(kElements, i1 - i);
    const float* p = x + i;
    float sum[kChains] = {}, square[kChains] = {};
    int64_t k = 0;
    for (; k + kChains <= n; k += kChains)
      for (int64_t c = 0; c < kChains; ++c) sum[c] += p[k + c];
    for (int64_t c = 0; k < n; ++k, ++c) sum[c] += p[k];
    const float m = total(sum) / static_cast<float>(n);
    for (k = 0; k + kChains <= n; k += kChains)
      for (int64_t c = 0; c < kChains; ++c) square[c] += (p[k + c] - m) * (p[k + c] - m);
    for (int64_t c = 0; k < n; ++k, ++c) square[c] += (p[k] - m) * (p[k] - m);
    merge(i - i0, mean, squares, n, m, total(square));
  }
}

void run_moments(const Call& call, const Range& range) {
  const Shape s = shape_of(call);
  const float* x = static_cast<const float*>(call.in[0].data);
  float *mean = static_cast<float*>(call.out[0].data), *variance = static_cast<float*>(call.out[1].data);
  float *means = reinterpret_cast<float*>(call.workspace), *squares = means + s.a * s.shares * s.b;
  const float count = static_cast<float>(s.r);
  const auto share_start = [&](int64_t share) { return s.r * share / s.shares; };
  if (range.stage == 0) {
    for (int64_t task = range.begin; task < range.end; ++task) {
      const int64_t a = task / s.shares, r0 = share_start(task % s.shares), r1 = share_start(task % s.shares + 1);
      float* m = s.shares > 1 ? means + task * s.b : mean + a * s.b;
      float* q = s.shares > 1 ? squares + task * s.b : variance + a * s.b;
      if (s.b == 1)
        fold_row(x + a * s.r, r0, r1, m, q);
      else
        fold_columns(x + a * s.r * s.b, r0, r1, s.b, m, q);
      if (s.shares == 1)
        for (int64_t j = 0; j < s.b; ++j) q[j] /= count;
    }
    return;
  }
  const int64_t end = smaller(s.a * s.b, range.end * 1024);
  for (int64_t i = range.begin * 1024; i < end; ++i) {
    const int64_t from = i / s.b * s.shares * s.b + i % s.b;
    float m = means[from], q = squares[from];
    for (int64_t share = 1; share < s.shares; ++share)
      merge(share_start(share), &m, &q, share_start(share + 1) - share_start(share), means[from + share * s.b],
            squares[from + share * s.b]);
    mean[i] = m;
    variance[i] = q / count;
  }
}

}  // namespace

BERRANTE_KERNEL(moments, plan_moments, run_moments);

}  // namespace BERRANTE_ISA
}  // namespace berrante
