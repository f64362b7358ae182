// The register tile of all matrix products and convolutions.
//
// C[rows x columns] = A B, where row i of A is read in place, element k at row[i][k * a_step], and row k of B is a
// vector load. So A is never packed: a tile needs only the address of each of its rows, and a depth that is made of
// several runs in memory (the rows of a convolution's patch) is a list of segments that all rows share. Accumulators
// stay in registers over the whole depth. Tiles are kRows x 2 vectors or, for the last few columns, 2 kRows x 1 vector.
#pragma once
#include "math.h"
#include "transpose.h"

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
constexpr int kColumns = kVectors * kLanes;  // of a wide tile; a narrow one has kLanes
constexpr int kBlockRows = 96 / kRows * kRows;
constexpr int kRowPointers = kBlockRows + 2 * kRows;  // a block's, and what its last tile reads beyond it

BERRANTE_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
BERRANTE_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
BERRANTE_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// `count` steps of the depth: A's rows from element `a` on, B's rows from `k` on.
struct Segment {
  int64_t a, k, count;
};

// Columns of B: row k's first column lies at b[k * step], and a whole panel of columns may be read there.
struct Panel {
  const float* b;
  int64_t step;
};

// The panel that starts at column n0 has this many columns, of which the last may be zeros.
BERRANTE_INLINE int64_t panel_width(int64_t n0, int64_t n) { return n - n0 <= kLanes ? kLanes : kColumns; }
BERRANTE_INLINE int64_t panels_of(int64_t n) { return ceil_div(n, kColumns); }
BERRANTE_INLINE int64_t padded_columns(int64_t n) { return ceil_div(n, kLanes) * kLanes; }

struct Tile {
  const float* const* row;
  int64_t a_step;
  const Segment* segment;
  int64_t segments;
  Panel panel;
  const float* start;  // one panel of columns: what C begins with; null: C is added to
  float* c;
  int64_t ld, rows, columns;  // what exists of C
};

// Stores R rows of which `rows` exist, each of `columns` elements.
template <int R, int V>
BERRANTE_INLINE void store_tile(const Tile& t, const vf (&sum)[R][V]) {
  const bool add = t.start == nullptr;
  if (t.rows == R && t.columns == V * kLanes) {
#pragma GCC unroll 32
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
      for (int j = 0; j < V; ++j) {
        float* p = t.c + i * t.ld + j * kLanes;
        store(p, add ? load(p) + sum[i][j] : sum[i][j]);
      }
    return;
  }
  alignas(64) float edge[R * V * kLanes];
#pragma GCC unroll 32
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < V; ++j) store(edge + (i * V + j) * kLanes, sum[i][j]);
  for (int64_t i = 0; i < t.rows; ++i) {
    const float* from = edge + i * V * kLanes;
    float* to = t.c + i * t.ld;
    if (add)
      for (int64_t j = 0; j < t.columns; ++j) to[j] += from[j];
    else if (V == 1 && t.ld == t.columns && (t.rows - i) * t.ld >= kLanes)
      store(to, load(from));  // what goes too far is written again with the next rows
    else
      for (int64_t j = 0; j < t.columns; ++j) to[j] = from[j];
  }
}

template <int R, int V>
static __attribute__((noinline)) void run_tile(const Tile& t) {
  vf sum[R][V];
#pragma GCC unroll 32
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < V; ++j) sum[i][j] = t.start == nullptr ? vf{} : load(t.start + j * kLanes);
  for (int64_t s = 0; s < t.segments; ++s) {
    const Segment& segment = t.segment[s];
    const float* row[R];
#pragma GCC unroll 32
    for (int i = 0; i < R; ++i) row[i] = t.row[i] + segment.a;
    const float* b = t.panel.b + segment.k * t.panel.step;
    const int64_t end = segment.count * t.a_step;
    for (int64_t k = 0; k != end; k += t.a_step, b += t.panel.step) {
      vf column[V];
#pragma GCC unroll 8
      for (int j = 0; j < V; ++j) column[j] = load(b + j * kLanes);
#pragma GCC unroll 32
      for (int i = 0; i < R; ++i) {
        const vf x = splat(row[i][k]);
#pragma GCC unroll 8
        for (int j = 0; j < V; ++j) sum[i][j] += x * column[j];
      }
    }
  }
  store_tile<R, V>(t, sum);
}

// x = activation(x) over n neighbours.
static inline void activate(float* x, int64_t n, int64_t activation) {
  const auto kind = static_cast<Activation>(activation);
  if (kind == Activation::linear) return;
  for (int64_t i = 0; i < n; i += kLanes) {
    const int rest = static_cast<int>(smaller(kLanes, n - i));
    vf v = rest == kLanes ? load(x + i) : load_first(x + i, rest);
    v = kind == Activation::relu      ? select((v > 0.0f) | (v != v), v, splat(0.0f))
        : kind == Activation::sigmoid ? sigmoid(v)
                                      : tanh(v);
    rest == kLanes ? store(x + i, v) : store_first(x + i, v, rest);
  }
}

// A block of at most kBlockRows rows of C [rows x n], rows `ld` apart. `row` has kRowPointers entries, of which `rows`
// are set; `panel(n0)` gives B's columns from n0 on. `bias` (null: none) has n elements. With `add`, C is added to.
template <class PanelAt>
BERRANTE_INLINE void multiply_block(const float** row, int64_t rows, int64_t a_step, const Segment* segment,
                                    int64_t segments, int64_t n, PanelAt panel, const float* bias, int64_t activation,
                                    bool add, float* c, int64_t ld) {
  for (int i = 0; i < 2 * kRows; ++i) row[rows + i] = row[rows - 1];
  for (int64_t n0 = 0; n0 < n;) {
    const int64_t width = panel_width(n0, n), columns = smaller(width, n - n0);
    alignas(64) float start[kColumns] = {};
    if (bias != nullptr) __builtin_memcpy(start, bias + n0, static_cast<size_t>(columns) * 4);
    const bool narrow = width == kLanes;
    const int64_t step = narrow ? 2 * kRows : kRows;
    Tile tile{row, a_step, segment, segments, panel(n0), add ? nullptr : start, c + n0, ld, 0, columns};
    for (int64_t i = 0; i < rows; i += step, tile.row += step, tile.c += step * ld) {
      tile.rows = smaller(step, rows - i);
      narrow ? run_tile<2 * kRows, 1>(tile) : run_tile<kRows, kVectors>(tile);
    }
    n0 += width;
  }
  if (ld == n)
    activate(c, rows * n, activation);
  else
    for (int64_t i = 0; i < rows; ++i) activate(c + i * ld, n, activation);
}

// B's columns n0 .. of n, element (k, j) at b[k * step_k + j * step_j], into a panel [depth][panel_width].
static inline void pack_panel(const float* b, int64_t step_k, int64_t step_j, int64_t depth, int64_t n0, int64_t n,
                              float* out) {
  const int64_t width = panel_width(n0, n), columns = smaller(width, n - n0);
  b += n0 * step_j;
  int64_t k = 0;
  if (step_j == 1 && columns == width)
    for (; k < depth; ++k)
      for (int64_t j = 0; j < width; j += kLanes) store(out + k * width + j, load(b + k * step_k + j));
  else if (step_k == 1 && columns == width)
    for (int64_t j = 0; j < width; j += kLanes)
      for (k = 0; k + kLanes <= depth; k += kLanes) {
        vf v[kLanes];
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) v[i] = load(b + (j + i) * step_j + k);
        transpose(v);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) store(out + (k + i) * width + j, v[i]);
      }
  for (; k < depth; ++k) {
    for (int64_t j = 0; j < columns; ++j) out[k * width + j] = b[k * step_k + j * step_j];
    for (int64_t j = columns; j < width; ++j) out[k * width + j] = 0.0f;
  }
}

}  // namespace BERRANTE_ISA
}  // namespace berrante
