// The register tile of all matrix products and convolutions: C[kRows x kColumns] from packed panels.
//
// A panel holds kRows rows of A as [K][kRows], a B panel kColumns columns of B as [K][kColumns]. The tile keeps its
// accumulators in registers over the whole depth: per step kVectors loads of B and kRows broadcasts of A feed
// kRows * kVectors multiply-adds.
#pragma once
#include "math.h"

namespace berrante {
namespace BERRANTE_ISA {

#if BERRANTE_LANES == 16
constexpr int kRows = 12;
#elif BERRANTE_LANES == 8
constexpr int kRows = 6;
#else
constexpr int kRows = 4;
#endif
constexpr int kVectors = 2;
constexpr int kColumns = kVectors * kLanes;
constexpr int64_t kDepth = 256;  // of one block: a B panel of it stays in L1

BERRANTE_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
BERRANTE_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
BERRANTE_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// out [kRows x kColumns], row stride `ld`: = a * b, or += if add.
BERRANTE_INLINE void tile_product(int64_t depth, const float* __restrict a, const float* __restrict b, float* out,
                                  int64_t ld, bool add) {
  vf sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[i][j] = vf{};
  for (int64_t k = 0; k < depth; ++k) {
    vf column[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) column[j] = load(b + j * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const vf row = splat(a[i]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sum[i][j] += row * column[j];
    }
    a += kRows;
    b += kColumns;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      float* p = out + i * ld + j * kLanes;
      store(p, add ? load(p) + sum[i][j] : sum[i][j]);
    }
}

// One tile into C, of which `rows` x `columns` exist; at the edges it goes through a buffer.
static inline __attribute__((noinline)) void tile_into(int64_t depth, const float* a, const float* b, float* c,
                                                       int64_t ld, int64_t rows, int64_t columns, bool add) {
  if (rows == kRows && columns == kColumns) return tile_product(depth, a, b, c, ld, add);
  alignas(64) float edge[kRows * kColumns];
  tile_product(depth, a, b, edge, kColumns, false);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      c[i * ld + j] = add ? c[i * ld + j] + edge[i * kColumns + j] : edge[i * kColumns + j];
}

// B [K x N], element (k, n) at b[k * step_k + n * step_n], into the panel of columns n0 .. as [K][kColumns], zeros
// beyond N.
static inline void pack_b(const float* b, int64_t step_k, int64_t step_n, int64_t depth, int64_t n0, int64_t n_end,
                          float* out) {
  const int64_t columns = smaller(kColumns, n_end - n0);
  for (int64_t k = 0; k < depth; ++k, out += kColumns) {
    const float* from = b + k * step_k + n0 * step_n;
    if (step_n == 1 && columns == kColumns) {
      for (int j = 0; j < kVectors; ++j) store(out + j * kLanes, load(from + j * kLanes));
    } else {
      for (int64_t j = 0; j < columns; ++j) out[j] = from[j * step_n];
      for (int64_t j = columns; j < kColumns; ++j) out[j] = 0.0f;
    }
  }
}

// Rows of C after their last depth block: bias over columns, then the activation.
static inline void finish_row(float* c, int64_t n, const float* bias, int64_t activation) {
  if (bias != nullptr)
    for (int64_t j = 0; j < n; ++j) c[j] += bias[j];
  const auto kind = static_cast<Activation>(activation);
  if (kind == Activation::linear) return;
  int64_t j = 0;
  for (; j < n; j += kLanes) {
    const int rest = static_cast<int>(smaller(kLanes, n - j));
    vf x = rest == kLanes ? load(c + j) : load_first(c + j, rest);
    x = kind == Activation::relu ? max(x, splat(0.0f)) : kind == Activation::sigmoid ? sigmoid(x) : tanh(x);
    rest == kLanes ? store(c + j, x) : store_first(c + j, x, rest);
  }
}

// C rows m0 .. m1 (ld columns apart) = A B with B packed whole as [N / kColumns][K][kColumns]. `pack_a(m, rows, k0,
// depth, out)` writes `rows` rows of A from m on, columns k0 .. k0 + depth, as [depth][kRows] (rows beyond are zeros).
template <class PackA>
BERRANTE_INLINE void multiply_rows(int64_t m0, int64_t m1, int64_t n, int64_t k, const float* packed_b, float* c,
                                   int64_t ld, const float* bias, int64_t activation, float* panel, PackA pack_a) {
  for (int64_t m = m0; m < m1; m += kRows) {
    const int64_t rows = smaller(kRows, m1 - m);
    for (int64_t k0 = 0; k0 < k; k0 += kDepth) {
      const int64_t depth = smaller(kDepth, k - k0);
      pack_a(m, rows, k0, depth, panel);
      for (int64_t n0 = 0; n0 < n; n0 += kColumns)
        tile_into(depth, panel, packed_b + n0 * k + k0 * kColumns, c + m * ld + n0, ld, rows, smaller(kColumns, n - n0),
                  k0 > 0);
    }
    if (k == 0)
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < n; ++j) c[(m + i) * ld + j] = 0.0f;
    for (int64_t i = 0; i < rows; ++i) finish_row(c + (m + i) * ld, n, bias, activation);
  }
}

}  // namespace BERRANTE_ISA
}  // namespace berrante
