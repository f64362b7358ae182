// reduce: [A, R, B] -> [A, B], sum, mean, max, min or product, float32 and int32.
//
// Rows (B == 1) are folded vector by vector, short ones many at a time; otherwise B's columns are folded row by row. A
// long R is cut into a fixed number of shares whose results are combined in order by the second stage, so the result
// does not depend on threads. Sums run in blocks of kBlock rows whose totals are added, so that the error grows with
// the number of blocks, not of elements.
#include "../core/checks.h"
#include "../cpu/gemm.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kBlock = 256;
constexpr int64_t kShareSize = 32768;  // elements of one share
constexpr int64_t kShortRow = 16;      // elements, at most

struct Shape {
  int64_t a, r, b, shares;
};

Shape shape_of(const Call& call) {
  const View& x = call.in[0];
  Shape s{x.shape[0], x.shape[1], x.shape[2], 1};
  s.shares = larger(1, smaller(64, s.r * s.b / kShareSize));
  return s;
}

void plan_reduce(const Call& call, Plan& plan) {
  plan.error = check_reduce(call);
  if (plan.error != nullptr) return;
  const Shape s = shape_of(call);
  plan.cost = static_cast<double>(s.a * s.r * s.b) * 0.3;
  plan.tasks[0] = s.a * s.shares;
  if (s.shares > 1) {
    plan.stages = 2;
    plan.tasks[1] = ceil_div(s.a * s.b, 4096);
    plan.workspace = static_cast<size_t>(s.a * s.shares * s.b) * 4;
  }
}

template <class T>
BERRANTE_INLINE T start_of(Reduction kind) {
  const bool whole = static_cast<T>(0.5) == static_cast<T>(0);
  const T high = whole ? static_cast<T>(2147483647) : static_cast<T>(__builtin_inff());
  switch (kind) {
    case Reduction::product: return static_cast<T>(1);
    case Reduction::maximum: return whole ? static_cast<T>(-2147483647 - 1) : -high;
    case Reduction::minimum: return high;
    default: return static_cast<T>(0);
  }
}

struct Plus {
  template <class T>
  BERRANTE_INLINE T fold(T x, T y) {
    return x + y;
  }
};
struct Times {
  template <class T>
  BERRANTE_INLINE T fold(T x, T y) {
    return x * y;
  }
};
struct Largest {
  template <class T>
  BERRANTE_INLINE T fold(T x, T y) {
    return x > y || x != x ? x : y;
  }
};
struct Smallest {
  template <class T>
  BERRANTE_INLINE T fold(T x, T y) {
    return x < y || x != x ? x : y;
  }
};

// Rows r0 .. r1 of [R, B] into total [B].
template <class F, class T>
void fold_columns(const T* x, int64_t r0, int64_t r1, int64_t b, T start, T* total) {
  constexpr int64_t kWide = 64;
  for (int64_t j0 = 0; j0 < b; j0 += kWide) {
    const int64_t n = smaller(kWide, b - j0);
    T whole[kWide], block[kWide];
    for (int64_t j = 0; j < n; ++j) whole[j] = start;
    for (int64_t r = r0; r < r1; r += kBlock) {
      for (int64_t j = 0; j < n; ++j) block[j] = start;
      for (int64_t q = r; q < smaller(r1, r + kBlock); ++q) {
        const T* row = x + q * b + j0;
        for (int64_t j = 0; j < n; ++j) block[j] = F::fold(block[j], row[j]);
      }
      for (int64_t j = 0; j < n; ++j) whole[j] = F::fold(whole[j], block[j]);
    }
    for (int64_t j = 0; j < n; ++j) total[j0 + j] = whole[j];
  }
}

// One row of n elements, in 16 interleaved chains.
template <class F, class T>
T fold_row(const T* x, int64_t n, T start) {
  constexpr int64_t kChains = 16;
  T whole = start;
  for (int64_t i = 0; i < n; i += kBlock * kChains) {
    T chain[kChains];
    for (int64_t c = 0; c < kChains; ++c) chain[c] = start;
    const int64_t end = smaller(n, i + kBlock * kChains);
    int64_t k = i;
    for (; k + kChains <= end; k += kChains)
      for (int64_t c = 0; c < kChains; ++c) chain[c] = F::fold(chain[c], x[k + c]);
    for (int64_t c = 0; k < end; ++k, ++c) chain[c] = F::fold(chain[c], x[k]);
    for (int64_t half = kChains / 2; half > 0; half /= 2)
      for (int64_t c = 0; c < half; ++c) chain[c] = F::fold(chain[c], chain[c + half]);
    whole = F::fold(whole, chain[0]);
  }
  return whole;
}

// Rows a0 .. a1 of [A, R], R short: kRowsAtOnce rows side by side.
template <class F, class T>
void fold_short_rows(const T* x, int64_t a0, int64_t a1, int64_t r, T start, T* total) {
  constexpr int64_t kRowsAtOnce = 16;
  for (int64_t a = a0; a < a1; a += kRowsAtOnce) {
    const int64_t rows = smaller(kRowsAtOnce, a1 - a);
    const T* from = x + a * r;
    T row[kRowsAtOnce];
    for (int64_t l = 0; l < kRowsAtOnce; ++l) row[l] = start;
    if (rows == kRowsAtOnce)
      for (int64_t j = 0; j < r; ++j)
        for (int64_t l = 0; l < kRowsAtOnce; ++l) row[l] = F::fold(row[l], from[l * r + j]);
    else
      for (int64_t j = 0; j < r; ++j)
        for (int64_t l = 0; l < rows; ++l) row[l] = F::fold(row[l], from[l * r + j]);
    for (int64_t l = 0; l < rows; ++l) total[a + l] = row[l];
  }
}

template <class F, class T>
void run_kind(const Call& call, const Range& range, Reduction kind) {
  const Shape s = shape_of(call);
  const T* x = static_cast<const T*>(call.in[0].data);
  T *y = static_cast<T*>(call.out[0].data), *partial = reinterpret_cast<T*>(call.workspace);
  const T start = start_of<T>(kind);
  const auto finish = [&](T total) {
    return kind == Reduction::mean ? static_cast<T>(total / static_cast<T>(s.r)) : total;
  };
  if (range.stage == 0 && s.b == 1 && s.r <= kShortRow) {
    fold_short_rows<F, T>(x, range.begin, range.end, s.r, start, y);
    for (int64_t a = range.begin; a < range.end; ++a) y[a] = finish(y[a]);
    return;
  }
  if (range.stage == 0) {
    for (int64_t task = range.begin; task < range.end; ++task) {
      const int64_t a = task / s.shares, share = task % s.shares;
      const int64_t r0 = s.r * share / s.shares, r1 = s.r * (share + 1) / s.shares;
      T* to = s.shares > 1 ? partial + task * s.b : y + a * s.b;
      const T* from = x + a * s.r * s.b;
      if (s.b == 1)
        to[0] = fold_row<F, T>(from + r0, r1 - r0, start);
      else
        fold_columns<F, T>(from, r0, r1, s.b, start, to);
      if (s.shares == 1)
        for (int64_t j = 0; j < s.b; ++j) to[j] = finish(to[j]);
    }
    return;
  }
  const int64_t end = smaller(s.a * s.b, range.end * 4096);
  for (int64_t i = range.begin * 4096; i < end; ++i) {
    const T* from = partial + i / s.b * s.shares * s.b + i % s.b;
    T total = from[0];
    for (int64_t share = 1; share < s.shares; ++share) total = F::fold(total, from[share * s.b]);
    y[i] = finish(total);
  }
}

template <class T>
void run_typed(const Call& call, const Range& range) {
  const auto kind = static_cast<Reduction>(attrs_of<reduce_attrs>(call).kind);
  if (kind == Reduction::maximum) return run_kind<Largest, T>(call, range, kind);
  if (kind == Reduction::minimum) return run_kind<Smallest, T>(call, range, kind);
  if (kind == Reduction::product) return run_kind<Times, T>(call, range, kind);
  run_kind<Plus, T>(call, range, kind);
}

void run_reduce(const Call& call, const Range& range) {
  if (call.in[0].dtype == DType::float32) return run_typed<float>(call, range);
  run_typed<int32_t>(call, range);
}

}  // namespace

BERRANTE_KERNEL(reduce, plan_reduce, run_reduce);

}  // namespace BERRANTE_ISA
}  // namespace berrante
