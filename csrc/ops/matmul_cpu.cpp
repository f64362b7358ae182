// matmul: [B, M, K] x [B, K, N], any operand transposed, bias and activation in the epilogue.
//
// Stage 0 packs B into panels of columns (gemm.h); stage 1 multiplies blocks of rows, reading A in place, in either
// order. A few rows (M below kFewRows) go without packing: each is a sum of B's rows, or dot products with them where B
// is transposed.
#include "../cpu/gemm.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kFewRows = 4;

struct Shape {
  int64_t batch, m, n, k;
  int64_t a_batch, a_row, a_column;  // element steps of A
  int64_t b_batch, b_row, b_column;
  bool few;
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
  // Enough tasks for many threads, but blocks that repay their share of B.
  s.block = smaller(kBlockRows, ceil_div(larger(2 * kRows, s.m / 32), 2 * kRows) * 2 * kRows);
  s.blocks = ceil_div(s.m, s.block);
  return s;
}

void plan_matmul(const Call& call, Plan& plan) {
  const auto& attrs = attrs_of<matmul_attrs>(call);
  const View &a = call.in[0], &b = call.in[1], &c = call.out[0];
  if (call.n_in < 2 || a.rank != 3 || b.rank != 3 || c.rank != 3) {
    plan.error = "expected two operands and a result of rank 3";
    return;
  }
  const Shape s = shape_of(call);
  const int64_t am = attrs.transpose_a ? a.shape[2] : a.shape[1];
  const int64_t bk = attrs.transpose_b ? b.shape[2] : b.shape[1], bn = attrs.transpose_b ? b.shape[1] : b.shape[2];
  if (am != s.m || bk != s.k || bn != s.n || (a.shape[0] != 1 && a.shape[0] != s.batch) ||
      (b.shape[0] != 1 && b.shape[0] != s.batch)) {
    plan.error = "the operands' extents do not fit";
    return;
  }
  if (call.n_in > 2 && (call.in[2].rank != 1 || call.in[2].shape[0] != s.n)) {
    plan.error = "expected a bias of N elements";
    return;
  }
  const int64_t panels = panels_of(s.n);
  plan.cost =
      static_cast<double>(s.batch * s.m * s.n) * static_cast<double>(s.k) * 0.03 + static_cast<double>(s.n * s.k) * 0.2;
  if (s.few) {
    plan.tasks[0] = s.batch * (s.n * s.k >= 65536 ? panels : 1);
    return;
  }
  plan.stages = 2;
  plan.tasks[0] = (s.b_batch ? s.batch : 1) * panels;
  plan.tasks[1] = s.batch * s.blocks;
  plan.workspace = static_cast<size_t>((s.b_batch ? s.batch : 1) * padded_columns(s.n) * s.k) * 4;
}

// Columns n0 .. n1 of all rows, without packing.
void run_few(const Shape& s, const float* a, const float* b, const float* bias, int64_t activation, float* c,
             int64_t n0, int64_t n1) {
  for (int64_t i = 0; i < s.m; ++i) {
    float* row = c + i * s.n;
    if (s.b_column == 1) {
      for (int64_t j = n0; j < n1; ++j) row[j] = 0.0f;
      for (int64_t k = 0; k < s.k; ++k) {
        const float x = a[i * s.a_row + k * s.a_column];
        const float* from = b + k * s.b_row;
        for (int64_t j = n0; j < n1; ++j) row[j] += x * from[j];
      }
    } else {
      for (int64_t j = n0; j < n1; ++j) {
        const float* from = b + j * s.b_column;
        vf sum = vf{};
        int64_t k = 0;
        if (s.a_column == 1)
          for (; k + kLanes <= s.k; k += kLanes) sum += load(a + i * s.a_row + k) * load(from + k);
        float total = sum_lanes(sum);
        for (; k < s.k; ++k) total += a[i * s.a_row + k * s.a_column] * from[k];
        row[j] = total;
      }
    }
    if (bias != nullptr)
      for (int64_t j = n0; j < n1; ++j) row[j] += bias[j];
    activate(row + n0, n1 - n0, activation);
  }
}

void run_matmul(const Call& call, const Range& range) {
  const Shape s = shape_of(call);
  const int64_t activation = attrs_of<matmul_attrs>(call).activation;
  const float *a = static_cast<const float*>(call.in[0].data), *b = static_cast<const float*>(call.in[1].data);
  const float* bias = call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
  float* c = static_cast<float*>(call.out[0].data);
  float* packed = reinterpret_cast<float*>(call.workspace);
  const int64_t panels = panels_of(s.n);
  if (s.few) {
    const int64_t parts = s.n * s.k >= 65536 ? panels : 1;
    for (int64_t task = range.begin; task < range.end; ++task) {
      const int64_t batch = task / parts, part = task % parts;
      const int64_t n0 = parts == 1 ? 0 : part * kColumns, n1 = parts == 1 ? s.n : smaller(s.n, n0 + kColumns);
      run_few(s, a + batch * s.a_batch, b + batch * s.b_batch, bias, activation, c + batch * s.m * s.n, n0, n1);
    }
    return;
  }
  const int64_t packed_size = padded_columns(s.n) * s.k;
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
    const float* from = packed + (s.b_batch ? batch * packed_size : 0);
    const float* row[kRowPointers];
    for (int64_t i = 0; i < rows; ++i) row[i] = a + batch * s.a_batch + (m0 + i) * s.a_row;
    multiply_block(
        row, rows, s.a_column, &whole, 1, s.n, [&](int64_t n0) { return Panel{from + n0 * s.k, panel_width(n0, s.n)}; },
        bias, activation, false, c + (batch * s.m + m0) * s.n, s.n);
  }
}

}  // namespace

BERRANTE_KERNEL(matmul, plan_matmul, run_matmul);

}  // namespace BERRANTE_ISA
}  // namespace berrante
