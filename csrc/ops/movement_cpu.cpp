// Moving elements without changing them: transpose, slice, concat, pad. Any dtype, by its size.
//
// transpose and slice are one strided copy: dimensions that lie together on both sides are merged, and the innermost
// two become a plane of rows and columns. Where the input runs along the plane's rows instead of its columns, the plane
// is walked in square blocks, so that both sides use whole cache lines.
#include "../core/checks.h"
#include "../cpu/gemm.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kTaskSize = 16384;  // elements, about
constexpr int64_t kSquare = 16;

int64_t size_of(DType dtype) { return dtype == DType::float32 || dtype == DType::int32 ? 4 : 1; }

int64_t count_of(const View& x, int from, int to) {
  int64_t n = 1;
  for (int i = from; i < to; ++i) n *= x.shape[i];
  return n;
}

// Element steps of a dense tensor.
void dense_steps(const View& x, int64_t* step) {
  int64_t n = 1;
  for (int i = x.rank - 1; i >= 0; --i) {
    step[i] = n;
    n *= x.shape[i];
  }
}

// A copy from steps `from`, starting at `start`, into steps `to`. Always at least two dimensions.
struct Copy : Dimensions {
  int64_t start;
  int64_t planes, strip, strips, tasks;  // strips of rows a plane
};

void insert_first(Copy& copy) {
  for (int i = copy.rank; i > 0; --i) {
    copy.shape[i] = copy.shape[i - 1];
    copy.from[i] = copy.from[i - 1];
    copy.to[i] = copy.to[i - 1];
  }
  copy.shape[0] = 1;
  copy.from[0] = copy.to[0] = 0;
  ++copy.rank;
}

void finish(Copy& copy) {
  while (copy.rank < 2) insert_first(copy);
  const int columns = copy.rank - 1, rows = copy.rank - 2;
  if (copy.from[columns] != 1)
    for (int i = 0; i < rows; ++i)
      if (copy.from[i] == 1) {  // these become the rows
        int64_t* const lists[] = {copy.shape, copy.from, copy.to};
        for (int64_t* list : lists) {
          const int64_t value = list[i];
          for (int k = i; k < rows; ++k) list[k] = list[k + 1];
          list[rows] = value;
        }
        break;
      }
  copy.planes = 1;
  for (int i = 0; i < rows; ++i) copy.planes *= copy.shape[i];
  copy.strip = ceil_div(larger(1, kTaskSize / larger(1, copy.shape[columns])), kSquare) * kSquare;
  copy.strips = ceil_div(copy.shape[rows], copy.strip);
  const int64_t unit = smaller(copy.strip, copy.shape[rows]) * copy.shape[columns];
  copy.tasks = ceil_div(copy.planes * copy.strips, larger(1, kTaskSize / larger(1, unit)));
}

template <class T>
void copy_rows(const Copy& copy, const T* from, T* to, int64_t rows) {
  const int last = copy.rank - 1;
  const int64_t columns = copy.shape[last], row_from = copy.from[last - 1], row_to = copy.to[last - 1];
  const int64_t step_from = copy.from[last], step_to = copy.to[last];
  if (step_from == 1 && step_to == 1) {
    for (int64_t i = 0; i < rows; ++i, from += row_from, to += row_to) {
      if (columns > 16)
        __builtin_memcpy(to, from, static_cast<size_t>(columns) * sizeof(T));
      else
        for (int64_t j = 0; j < columns; ++j) to[j] = from[j];
    }
    return;
  }
  const int64_t square = row_from == 1 ? kSquare : columns;
  for (int64_t i0 = 0; i0 < rows; i0 += kSquare)
    for (int64_t j0 = 0; j0 < columns; j0 += square)
      for (int64_t i = i0; i < smaller(rows, i0 + kSquare); ++i)
        for (int64_t j = j0; j < smaller(columns, j0 + square); ++j)
          to[i * row_to + j * step_to] = from[i * row_from + j * step_from];
}

template <class T>
void run_copy(const Copy& copy, const Call& call, const Range& range) {
  const int64_t units = copy.planes * copy.strips;
  const T* from = static_cast<const T*>(call.in[0].data) + copy.start;
  T* to = static_cast<T*>(call.out[0].data);
  for (int64_t unit = units * range.begin / copy.tasks; unit < units * range.end / copy.tasks; ++unit) {
    const int rows = copy.rank - 2;
    const int64_t first = unit % copy.strips * copy.strip;
    int64_t rest = unit / copy.strips, at_from = first * copy.from[rows], at_to = first * copy.to[rows];
    for (int i = rows - 1; i >= 0; --i) {
      at_from += rest % copy.shape[i] * copy.from[i];
      at_to += rest % copy.shape[i] * copy.to[i];
      rest /= copy.shape[i];
    }
    copy_rows(copy, from + at_from, to + at_to, smaller(copy.strip, copy.shape[rows] - first));
  }
}

void run_sized(const Copy& copy, const Call& call, const Range& range) {
  if (size_of(call.in[0].dtype) == 4) return run_copy<uint32_t>(copy, call, range);
  run_copy<uint8_t>(copy, call, range);
}

void plan_copy(const Copy& copy, const View& y, Plan& plan) {
  const int64_t n = count_of(y, 0, y.rank);
  plan.tasks[0] = n == 0 ? 0 : copy.tasks;
  plan.cost = static_cast<double>(n) * (copy.from[copy.rank - 1] == 1 ? 0.3 : 1.0);
}

// --- transpose and slice ---------------------------------------------------------------------------------------------

Copy copy_of_transpose(const Call& call) {
  const Ints& perm = attrs_of<transpose_attrs>(call).perm;
  int64_t from[kMaxRank], to[kMaxRank];
  dense_steps(call.in[0], from);
  dense_steps(call.out[0], to);
  Copy copy{};
  for (int i = 0; i < call.out[0].rank; ++i) add_dimension(copy, call.out[0].shape[i], from[perm.data[i]], to[i]);
  finish(copy);
  return copy;
}

void plan_transpose(const Call& call, Plan& plan) {
  plan.error = check_transpose(call);
  if (plan.error != nullptr) return;
  plan_copy(copy_of_transpose(call), call.out[0], plan);
}
void run_transpose(const Call& call, const Range& range) { run_sized(copy_of_transpose(call), call, range); }

Copy copy_of_slice(const Call& call) {
  const auto& t = attrs_of<slice_attrs>(call);
  int64_t from[kMaxRank], to[kMaxRank];
  dense_steps(call.in[0], from);
  dense_steps(call.out[0], to);
  Copy copy{};
  for (int i = 0; i < call.out[0].rank; ++i) {
    copy.start += t.start.data[i] * from[i];
    add_dimension(copy, call.out[0].shape[i], from[i] * t.step.data[i], to[i]);
  }
  finish(copy);
  return copy;
}

void plan_slice(const Call& call, Plan& plan) {
  plan.error = check_slice(call);
  if (plan.error != nullptr) return;
  plan_copy(copy_of_slice(call), call.out[0], plan);
}
void run_slice(const Call& call, const Range& range) { run_sized(copy_of_slice(call), call, range); }

// --- concat ----------------------------------------------------------------------------------------------------------

void plan_concat(const Call& call, Plan& plan) {
  plan.error = check_concat(call);
  if (plan.error != nullptr) return;
  const View& y = call.out[0];
  plan.tasks[0] = y.shape[0] * call.n_in;
  plan.cost = static_cast<double>(count_of(y, 0, 3)) * 0.3 + static_cast<double>(plan.tasks[0]) * 5;
}

void run_concat(const Call& call, const Range& range) {
  const View& y = call.out[0];
  const int64_t bytes = y.shape[2] * size_of(y.dtype);
  for (int64_t task = range.begin; task < range.end; ++task) {
    const int64_t a = task / call.n_in, k = task % call.n_in, n = call.in[k].shape[1];
    int64_t before = 0;
    for (int64_t i = 0; i < k; ++i) before += call.in[i].shape[1];
    __builtin_memcpy(static_cast<char*>(y.data) + (a * y.shape[1] + before) * bytes,
                     static_cast<const char*>(call.in[k].data) + a * n * bytes, static_cast<size_t>(n * bytes));
  }
}

// --- pad -------------------------------------------------------------------------------------------------------------

// Rows run along the last dimension that the padding changes; what lies inside it moves in blocks of `inner` elements.
struct Rows {
  int axis;  // -1: nothing changes
  int64_t inner, count, a_task;
};

Rows rows_of_pad(const Call& call) {
  const auto& t = attrs_of<pad_attrs>(call);
  const View &x = call.in[0], &y = call.out[0];
  Rows rows{y.rank - 1, 1, 1, 1};
  while (rows.axis >= 0 && t.low.data[rows.axis] == 0 && t.interior.data[rows.axis] == 0 &&
         x.shape[rows.axis] == y.shape[rows.axis])
    rows.inner *= y.shape[rows.axis--];
  rows.count = count_of(y, 0, larger(0, rows.axis));
  rows.a_task = larger(1, kTaskSize / larger(1, rows.inner * (rows.axis < 0 ? 1 : y.shape[rows.axis])));
  return rows;
}

void plan_pad(const Call& call, Plan& plan) {
  plan.error = check_pad(call);
  if (plan.error != nullptr) return;
  const View& y = call.out[0];
  const Rows rows = rows_of_pad(call);
  plan.tasks[0] = ceil_div(rows.count, rows.a_task);
  plan.cost = static_cast<double>(count_of(y, 0, y.rank)) * 0.4 + static_cast<double>(rows.count) * 5;
}

template <class T>
void pad_rows(const Call& call, const Range& range, T value) {
  const auto& t = attrs_of<pad_attrs>(call);
  const View &x = call.in[0], &y = call.out[0];
  const Rows rows = rows_of_pad(call);
  const int axis = rows.axis < 0 ? 0 : rows.axis;
  const bool whole = rows.axis < 0;
  const int64_t in = whole ? 1 : x.shape[axis], out = whole ? 1 : y.shape[axis];
  const int64_t low = whole ? 0 : t.low.data[axis], step = whole ? 1 : t.interior.data[axis] + 1;
  // The input elements i0 .. i1 of a row that land inside the output.
  const int64_t i0 = low < 0 ? ceil_div(-low, step) : 0, i1 = out > low ? smaller(in, (out - 1 - low) / step + 1) : 0;
  for (int64_t row = range.begin * rows.a_task; row < smaller(rows.count, range.end * rows.a_task); ++row) {
    bool inside = true;
    int64_t rest = row, source = 0, size = 1;
    for (int d = axis - 1; d >= 0; --d) {
      const int64_t gap = t.interior.data[d] + 1, p = rest % y.shape[d] - t.low.data[d];
      rest /= y.shape[d];
      inside = inside && p >= 0 && p % gap == 0 && p / gap < x.shape[d];
      source += p / gap * size;
      size *= x.shape[d];
    }
    T* to = static_cast<T*>(y.data) + row * out * rows.inner;
    if (!inside || step != 1 || low + i0 > 0 || low + i1 < out)
      for (int64_t k = 0; k < out * rows.inner; ++k) to[k] = value;
    if (!inside || i1 <= i0) continue;
    const T* from = static_cast<const T*>(x.data) + source * in * rows.inner;
    if (step == 1) {
      __builtin_memcpy(to + (low + i0) * rows.inner, from + i0 * rows.inner,
                       static_cast<size_t>((i1 - i0) * rows.inner) * sizeof(T));
      continue;
    }
    for (int64_t i = i0; i < i1; ++i)
      for (int64_t k = 0; k < rows.inner; ++k) to[(low + i * step) * rows.inner + k] = from[i * rows.inner + k];
  }
}

void run_pad(const Call& call, const Range& range) {
  const double value = attrs_of<pad_attrs>(call).value;
  if (call.in[0].dtype == DType::float32) return pad_rows(call, range, static_cast<float>(value));
  if (call.in[0].dtype == DType::int32) return pad_rows(call, range, static_cast<int32_t>(value));
  pad_rows(call, range, static_cast<uint8_t>(value));
}

}  // namespace

BERRANTE_KERNEL(transpose, plan_transpose, run_transpose);
BERRANTE_KERNEL(slice, plan_slice, run_slice);
BERRANTE_KERNEL(concat, plan_concat, run_concat);
BERRANTE_KERNEL(pad, plan_pad, run_pad);

}  // namespace BERRANTE_ISA
}  // namespace berrante
