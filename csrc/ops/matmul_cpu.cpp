// matmul: [B, M, K] x [B, K, N], any operand transposed, bias and activation in the epilogue.
//
// Many rows: stage 0 packs B into panels of columns (gemm.h); stage 1 multiplies blocks of rows, reading A in place, in
// either order. Fewer rows than repay a pass over all of B: a task packs a panel or a few and multiplies all rows with
// them. A few rows (M below kFewRows) go without packing: sums of B's rows, or dot products with them where B is
// transposed.
#include "../core/checks.h"
#include "../cpu/gemm.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kFewRows = 4;
constexpr int64_t kSomeRows = 256;                    // up to which a task is a panel, if there are many panels
constexpr int64_t kManyPanels = 16, kMostPanels = 4;  // kMostPanels: of one task, so that rows of B are read in runs
constexpr int64_t kPackedRows = 64;                   // of B, packed for all panels of a task before the next ones
constexpr int64_t kFewColumns = 8 * kLanes;           // columns of one task of a few rows

struct Shape {
  int64_t batch, m, n, k;
  int64_t a_batch, a_row, a_column;  // element steps of A
  int64_t b_batch, b_row, b_column;
  bool few, by_panel;
  int64_t panels;         // of a task, by panel
  int64_t block, blocks;  // rows a task, tasks a batch
};

Shape shape_of(const Call& call) {
  const auto& attrs = attrs_of<matmul_attrs>(call);
  const View &a = call.in[0], &b = call.in[1], &c = call.out[0];
  Shape s;
  s.batch = c.shape[0];
  s.m = c.shape[1];
  s.n = c.shape[2];
  s.k = attrs.transpose_a ? a.shape[1] : a.shape[2];
  s.a_row = attrs.transpose_a ? 1 : s.k;
  s.a_column = attrs.transpose_a ? s.m : 1;
  s.b_row = attrs.transpose_b ? 1 : s.n;
  s.b_column = attrs.transpose_b ? s.k : 1;
  s.a_batch = a.shape[0] == 1 ? 0 : s.m * s.k;
  s.b_batch = b.shape[0] == 1 ? 0 : s.n * s.k;
  s.few = s.m < kFewRows;
  s.by_panel = !s.few && panels_of(s.n) >= (s.m <= kBlockRows / 2 ? 2 : kManyPanels) && s.m <= kSomeRows;
  s.panels = kMostPanels;
  while (s.panels > 1 && panels_of(s.n) / s.panels < kManyPanels) s.panels /= 2;
  // Enough tasks for many threads, but blocks that repay their share of B.
  s.block = smaller(kBlockRows, ceil_div(larger(2 * kRows, s.m / 32), 2 * kRows) * 2 * kRows);
  s.blocks = ceil_div(s.m, s.block);
  return s;
}

void plan_matmul(const Call& call, Plan& plan) {
  plan.error = check_matmul(call);
  if (plan.error != nullptr) return;
  const Shape s = shape_of(call);
  const int64_t panels = panels_of(s.n);
  plan.cost =
      static_cast<double>(s.batch * s.m * s.n) * static_cast<double>(s.k) * 0.03 + static_cast<double>(s.n * s.k) * 0.2;
  if (s.few) {
    plan.tasks[0] = s.batch * ceil_div(s.n, kFewColumns);
    return;
  }
  if (s.by_panel) {
    plan.tasks[0] = s.batch * ceil_div(panels, s.panels);
    plan.scratch = static_cast<size_t>(s.k * s.panels * kColumns) * 4;
    return;
  }
  plan.stages = 2;
  plan.tasks[0] = (s.b_batch ? s.batch : 1) * panels;
  plan.tasks[1] = s.batch * s.blocks;
  plan.workspace = static_cast<size_t>((s.b_batch ? s.batch : 1) * padded_columns(s.n) * s.k) * 4;
}

// What all tasks of one call work with; A, B and C of one batch.
struct Operands {
  const float *a, *b, *bias;
  float* c;
  int64_t activation;
};

// R rows by up to 8 vectors of columns, B's rows read in place.
template <int R>
void sum_rows(const Shape& s, const Operands& o, int64_t i0, int64_t n0, int64_t n1) {
  constexpr int V = R == 1 ? 8 : 4;
  const Segment whole{0, 0, s.k};
  const float* row[R];
  for (int i = 0; i < R; ++i) row[i] = o.a + (i0 + i) * s.a_row;
  alignas(64) float start[V * kLanes] = {};
  const auto tile = [&](int64_t n, int64_t columns) {
    if (o.bias != nullptr) __builtin_memcpy(start, o.bias + n, static_cast<size_t>(columns) * 4);
    return Tile{row, s.a_column, &whole, 1, {o.b + n, s.b_row}, start, o.c + i0 * s.n + n, s.n, R, columns};
  };
  int64_t n = n0;
  for (; n + V * kLanes <= n1; n += V * kLanes) run_tile<R, V>(tile(n, V * kLanes));
  for (; n + kLanes <= n1; n += kLanes) run_tile<R, 1>(tile(n, kLanes));
  for (; n < n1; ++n)
    for (int i = 0; i < R; ++i) {
      float sum = o.bias != nullptr ? o.bias[n] : 0.0f;
      for (int64_t k = 0; k < s.k; ++k) sum += row[i][k * s.a_column] * o.b[k * s.b_row + n];
      o.c[(i0 + i) * s.n + n] = sum;
    }
}

// J dot products of one row of A with neighbouring columns of a transposed B.
template <int J>
void dot_products(const Shape& s, const Operands& o, int64_t i, int64_t n) {
  const float *x = o.a + i * s.a_row, *from = o.b + n * s.b_column;
  vf sum[J] = {};
  int64_t k = 0;
  if (s.a_column == 1)
    for (; k + kLanes <= s.k; k += kLanes) {
      const vf v = load(x + k);
#pragma GCC unroll 8
      for (int j = 0; j < J; ++j) sum[j] += v * load(from + j * s.b_column + k);
    }
  for (int j = 0; j < J; ++j) {
    float total = sum_lanes(sum[j]);
    for (int64_t rest = k; rest < s.k; ++rest) total += x[rest * s.a_column] * from[j * s.b_column + rest];
    o.c[i * s.n + n + j] = total + (o.bias != nullptr ? o.bias[n + j] : 0.0f);
  }
}

// Columns n0 .. n1 of a few rows.
void run_few(const Shape& s, const Operands& o, int64_t n0, int64_t n1) {
  if (s.b_column == 1) {
    if (s.m == 1) sum_rows<1>(s, o, 0, n0, n1);
    if (s.m == 2) sum_rows<2>(s, o, 0, n0, n1);
    if (s.m == 3) sum_rows<3>(s, o, 0, n0, n1);
  } else {
    for (int64_t i = 0; i < s.m; ++i) {
      int64_t n = n0;
      for (; n + 8 <= n1; n += 8) dot_products<8>(s, o, i, n);
      for (; n < n1; ++n) dot_products<1>(s, o, i, n);
    }
  }
  for (int64_t i = 0; i < s.m; ++i) activate(o.c + i * s.n + n0, n1 - n0, o.activation);
}

// Some panels of columns, n0 .. n1, packed into scratch, for all rows.
void run_panels(const Shape& s, const Operands& o, int64_t n0, int64_t n1, float* packed) {
  for (int64_t k = 0; k < s.k; k += kPackedRows)
    for (int64_t n = n0; n < n1; n += kColumns)
      pack_panel(o.b + k * s.b_row, s.b_row, s.b_column, smaller(kPackedRows, s.k - k), n, s.n,
                 packed + (n - n0) * s.k + k * panel_width(n, s.n));
  const Segment whole{0, 0, s.k};
  for (int64_t m0 = 0; m0 < s.m; m0 += kBlockRows) {
    const int64_t rows = smaller(kBlockRows, s.m - m0);
    const float* row[kRowPointers];
    for (int64_t i = 0; i < rows; ++i) row[i] = o.a + (m0 + i) * s.a_row;
    multiply_block(
        row, rows, s.a_column, &whole, 1, n1 - n0,
        [&](int64_t n) { return Panel{packed + n * s.k, panel_width(n0 + n, s.n)}; },
        o.bias == nullptr ? nullptr : o.bias + n0, o.activation, false, o.c + m0 * s.n + n0, s.n);
  }
}

void run_matmul(const Call& call, const Range& range) {
  const Shape s = shape_of(call);
  const float *a = static_cast<const float*>(call.in[0].data), *b = static_cast<const float*>(call.in[1].data);
  const float* bias = call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
  float* c = static_cast<float*>(call.out[0].data);
  const auto operands = [&](int64_t batch) {
    return Operands{a + batch * s.a_batch, b + batch * s.b_batch, bias, c + batch * s.m * s.n,
                    attrs_of<matmul_attrs>(call).activation};
  };
  if (s.few || s.by_panel) {
    const int64_t width = s.few ? kFewColumns : s.panels * kColumns, parts = ceil_div(s.n, width);
    for (int64_t task = range.begin; task < range.end; ++task) {
      const int64_t n0 = task % parts * width, n1 = smaller(s.n, n0 + width);
      if (s.few)
        run_few(s, operands(task / parts), n0, n1);
      else
        run_panels(s, operands(task / parts), n0, n1, reinterpret_cast<float*>(range.scratch));
    }
    return;
  }
  float* packed = reinterpret_cast<float*>(call.workspace);
  const int64_t panels = panels_of(s.n), packed_size = padded_columns(s.n) * s.k;
  if (range.stage == 0) {
    for (int64_t task = range.begin; task < range.end; ++task) {
      const int64_t batch = task / panels, n0 = task % panels * kColumns;
      pack_panel(b + batch * s.b_batch, s.b_row, s.b_column, s.k, n0, s.n, packed + batch * packed_size + n0 * s.k);
    }
    return;
  }
  const Segment whole{0, 0, s.k};
  for (int64_t task = range.begin; task < range.end; ++task) {
    const int64_t batch = task / s.blocks, m0 = task % s.blocks * s.block, rows = smaller(s.block, s.m - m0);
    const Operands o = operands(batch);
    const float* from = packed + (s.b_batch ? batch * packed_size : 0);
    const float* row[kRowPointers];
    for (int64_t i = 0; i < rows; ++i) row[i] = o.a + (m0 + i) * s.a_row;
    multiply_block(
        row, rows, s.a_column, &whole, 1, s.n, [&](int64_t n0) { return Panel{from + n0 * s.k, panel_width(n0, s.n)}; },
        bias, o.activation, false, o.c + m0 * s.n, s.n);
  }
}

}  // namespace

BERRANTE_KERNEL(matmul, plan_matmul, run_matmul);

}  // namespace BERRANTE_ISA
}  // namespace berrante
