// Moving elements without changing them on CUDA: transpose, slice, concat, pad.
// Any dtype, by its size.
//
// transpose, slice and each input of concat are strided copies, whose
// dimensions are merged where they lie together on both sides. Where both sides
// run along the same dimension, elements are grouped into units of up to 16
// bytes and a thread moves one; where they run along different ones, a block
// turns a square of 32 x 32 in (padded) shared memory, so that reads and writes
// are both coalesced. pad is one thread a unit of the output.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "../core/checks.h"
#include "../cuda/access.cuh"
#include "../cuda/cuda_kernel.h"
#include "../cuda/launch.cuh"

namespace berrante {
namespace {

constexpr int kThreads = 256;
constexpr int kDimensions = kMaxRank + 1;
constexpr int kSquare = 32;
constexpr int64_t kNarrow = 8;  // a plane less wide is not worth turning

struct Copy : Dimensions {
  int64_t start;  // of the source
  int64_t to_start;
};

int64_t size_of(const Copy& copy) {
  int64_t n = 1;
  for (int i = 0; i < copy.rank; ++i) n *= copy.shape[i];
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

template <class Index>
struct Strides {
  int rank;
  Index size;
  Divider<Index> shape[kDimensions];
  int64_t from[kDimensions], to[kDimensions];
};

template <class Unit, class Index>
__global__ void __launch_bounds__(kThreads)
    copy_kernel(const __grid_constant__ Strides<Index> s, const Unit* from, Unit* to) {
  const Index step = static_cast<Index>(gridDim.x) * kThreads;
  for (Index index = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x; index < s.size; index += step) {
    Index rest = index;
    int64_t source = 0, target = 0;
    for (int d = s.rank - 1; d > 0; --d) {
      Index at;
      rest = s.shape[d].divide(rest, &at);
      source += static_cast<int64_t>(at) * s.from[d];
      target += static_cast<int64_t>(at) * s.to[d];
    }
    source += static_cast<int64_t>(rest) * s.from[0];
    target += static_cast<int64_t>(rest) * s.to[0];
    to[target] = from[source];
  }
}

// A plane whose source runs along its rows and whose target runs along its
// columns, for each of the other positions.
struct Planes {
  int rank;
  int64_t shape[kDimensions], from[kDimensions], to[kDimensions];
  int64_t rows, columns, column_from, row_to;
  int64_t row_squares, column_squares;
};

template <class T>
__global__ void __launch_bounds__(kThreads) turn_kernel(const __grid_constant__ Planes p, const T* from, T* to) {
  auto* square = dynamic_shared<T>();  // [column][row], one element of padding a column
  const int across = static_cast<int>(threadIdx.x) % kSquare, down = static_cast<int>(threadIdx.x) / kSquare;
  int64_t rest = blockIdx.x;
  const int64_t column = rest % p.column_squares * kSquare;
  rest /= p.column_squares;
  const int64_t row = rest % p.row_squares * kSquare;
  rest /= p.row_squares;
  for (int d = p.rank - 1; d >= 0; --d) {
    const int64_t at = rest % p.shape[d];
    rest /= p.shape[d];
    from += at * p.from[d];
    to += at * p.to[d];
  }
#pragma unroll
  for (int k = 0; k < kSquare; k += kThreads / kSquare)
    if (row + across < p.rows && column + down + k < p.columns)
      square[(down + k) * (kSquare + 1) + across] = from[row + across + (column + down + k) * p.column_from];
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kSquare; k += kThreads / kSquare)
    if (row + down + k < p.rows && column + across < p.columns)
      to[(row + down + k) * p.row_to + column + across] = square[across * (kSquare + 1) + down + k];
}

template <class Unit>
void launch_units(const Copy& copy, const Unit* from, Unit* to, const CudaTarget& target) {
  const int64_t size = size_of(copy);
  const auto with_index = [&]<class Index>() {
    Strides<Index> s{};
    s.rank = copy.rank;
    s.size = static_cast<Index>(size);
    for (int d = 0; d < copy.rank; ++d) {
      s.shape[d] = Divider<Index>(copy.shape[d]);
      s.from[d] = copy.from[d];
      s.to[d] = copy.to[d];
    }
    launch(copy_kernel<Unit, Index>, blocks_for(size, kThreads, target.multiprocessors * 64), kThreads, 0,
           target.stream, s, from + copy.start, to + copy.to_start);
  };
  if (size < kIndexLimit) return with_index.template operator()<uint32_t>();
  with_index.template operator()<uint64_t>();
}

// The copy in units of n elements, where it is one; the last dimension is dense
// on both sides.
bool widen(Copy& copy, int64_t n) {
  const int last = copy.rank - 1;
  if (copy.from[last] != 1 || copy.to[last] != 1) return false;
  if (copy.shape[last] % n != 0 || copy.start % n != 0 || copy.to_start % n != 0) return false;
  for (int d = 0; d < last; ++d)
    if (copy.from[d] % n != 0 || copy.to[d] % n != 0) return false;
  copy.shape[last] /= n;
  copy.start /= n;
  copy.to_start /= n;
  for (int d = 0; d < last; ++d) copy.from[d] /= n, copy.to[d] /= n;
  return true;
}

template <class T>
bool launch_turn(const Copy& copy, const T* from, T* to, cudaStream_t stream) {
  const int last = copy.rank - 1;
  if (copy.to[last] != 1 || copy.from[last] == 1 || copy.shape[last] < kNarrow) return false;
  Planes p{};
  p.columns = copy.shape[last];
  p.column_from = copy.from[last];
  for (int d = 0; d < last; ++d) {
    if (p.rows == 0 && copy.from[d] == 1 && copy.shape[d] >= kNarrow) {
      p.rows = copy.shape[d];
      p.row_to = copy.to[d];
      continue;
    }
    p.shape[p.rank] = copy.shape[d];
    p.from[p.rank] = copy.from[d];
    p.to[p.rank++] = copy.to[d];
  }
  if (p.rows == 0) return false;
  p.row_squares = ceil_div(p.rows, kSquare);
  p.column_squares = ceil_div(p.columns, kSquare);
  const int64_t blocks = size_of(copy) / (p.rows * p.columns) * p.row_squares * p.column_squares;
  if (blocks >= kIndexLimit) return false;
  launch(turn_kernel<T>, static_cast<unsigned>(blocks), kThreads, sizeof(T) * kSquare * (kSquare + 1), stream, p,
         from + copy.start, to + copy.to_start);
  return true;
}

void launch_copy(Copy copy, const View& x, const View& y, const CudaTarget& target) {
  if (size_of(copy) == 0) return;
  if (copy.rank == 0) copy.shape[copy.rank] = copy.from[copy.rank] = copy.to[copy.rank] = 1, copy.rank = 1;
  const int64_t bytes = element_size(x.dtype);
  const auto fits = [&](int64_t unit) { return is_aligned(x.data, unit) && is_aligned(y.data, unit); };
  if (fits(16) && widen(copy, 16 / bytes))
    return launch_units(copy, data_of<const uint4>(x), data_of<uint4>(y), target);
  if (bytes == 4) {
    const auto* from = data_of<const uint32_t>(x);
    auto* to = data_of<uint32_t>(y);
    if (!launch_turn(copy, from, to, target.stream)) launch_units(copy, from, to, target);
    return;
  }
  if (fits(4) && widen(copy, 4)) return launch_units(copy, data_of<const uint32_t>(x), data_of<uint32_t>(y), target);
  const auto* from = data_of<const uint8_t>(x);
  auto* to = data_of<uint8_t>(y);
  if (!launch_turn(copy, from, to, target.stream)) launch_units(copy, from, to, target);
}

// --- transpose, slice, concat
// ----------------------------------------------------------------------------------------

void plan_transpose(const Call& call, CudaPlan& plan) { plan.error = check_transpose(call); }

void launch_transpose(const Call& call, const CudaTarget& target) {
  const View &x = call.in[0], &y = call.out[0];
  const Ints& perm = attrs_of<transpose_attrs>(call).perm;
  int64_t from[kMaxRank], to[kMaxRank];
  dense_steps(x, from);
  dense_steps(y, to);
  Copy copy{};
  for (int i = 0; i < y.rank; ++i) add_dimension(copy, y.shape[i], from[perm.data[i]], to[i]);
  launch_copy(copy, x, y, target);
}

void plan_slice(const Call& call, CudaPlan& plan) { plan.error = check_slice(call); }

void launch_slice(const Call& call, const CudaTarget& target) {
  const View &x = call.in[0], &y = call.out[0];
  const auto& t = attrs_of<slice_attrs>(call);
  int64_t from[kMaxRank], to[kMaxRank];
  dense_steps(x, from);
  dense_steps(y, to);
  Copy copy{};
  for (int i = 0; i < y.rank; ++i) {
    copy.start += t.start.data[i] * from[i];
    add_dimension(copy, y.shape[i], from[i] * t.step.data[i], to[i]);
  }
  launch_copy(copy, x, y, target);
}

void plan_concat(const Call& call, CudaPlan& plan) { plan.error = check_concat(call); }

void launch_concat(const Call& call, const CudaTarget& target) {
  const View& y = call.out[0];
  int64_t before = 0;
  for (int k = 0; k < call.n_in; ++k) {
    const int64_t row = call.in[k].shape[1] * y.shape[2];
    Copy copy{};
    copy.to_start = before;
    add_dimension(copy, y.shape[0], row, y.shape[1] * y.shape[2]);
    add_dimension(copy, row, 1, 1);
    launch_copy(copy, call.in[k], y, target);
    before += row;
  }
}

// --- pad
// -------------------------------------------------------------------------------------------------------------

template <class Index>
struct Padding {
  int rank;
  Index size;
  Divider<Index> shape[kDimensions], step[kDimensions];
  int64_t low[kDimensions], extent[kDimensions],
      from[kDimensions];  // extent and steps of the source
};

template <class Unit, class Index>
__global__ void __launch_bounds__(kThreads)
    pad_kernel(const __grid_constant__ Padding<Index> p, const Unit* from, Unit value, Unit* to) {
  const Index stride = static_cast<Index>(gridDim.x) * kThreads;
  for (Index index = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x; index < p.size; index += stride) {
    Index rest = index;
    int64_t source = 0;
    bool inside = true;
    for (int d = p.rank - 1; d >= 0; --d) {
      Index at;
      rest = p.shape[d].divide(rest, &at);
      const int64_t place = static_cast<int64_t>(at) - p.low[d];
      inside = inside && place >= 0;
      if (!inside) break;
      Index gap = 0, element = static_cast<Index>(place);
      if (p.step[d].divisor != 1) element = p.step[d].divide(element, &gap);
      inside = gap == 0 && static_cast<int64_t>(element) < p.extent[d];
      source += static_cast<int64_t>(element) * p.from[d];
    }
    to[index] = inside ? from[source] : value;
  }
}

void plan_pad(const Call& call, CudaPlan& plan) { plan.error = check_pad(call); }

// Units of n elements; the dimensions up to `axis` change, what lies inside
// moves as a whole.
template <class Unit, class Index>
void launch_padding(const Call& call, const CudaTarget& target, int axis, int64_t inner, Unit value) {
  const auto& t = attrs_of<pad_attrs>(call);
  const View &x = call.in[0], &y = call.out[0];
  Padding<Index> p{};
  p.rank = axis + 2;
  int64_t size = inner, step = inner;
  p.shape[axis + 1] = Divider<Index>(inner);
  p.step[axis + 1] = Divider<Index>(1);
  p.extent[axis + 1] = inner;
  p.from[axis + 1] = 1;
  for (int d = axis; d >= 0; --d) {
    p.shape[d] = Divider<Index>(y.shape[d]);
    p.step[d] = Divider<Index>(t.interior.data[d] + 1);
    p.low[d] = t.low.data[d];
    p.extent[d] = x.shape[d];
    p.from[d] = step;
    size *= y.shape[d];
    step *= x.shape[d];
  }
  p.size = static_cast<Index>(size);
  launch(pad_kernel<Unit, Index>, blocks_for(size, kThreads, target.multiprocessors * 64), kThreads, 0, target.stream,
         p, data_of<const Unit>(x), value, data_of<Unit>(y));
}

template <class T>
void launch_pad_typed(const Call& call, const CudaTarget& target, T value) {
  const auto& t = attrs_of<pad_attrs>(call);
  const View &x = call.in[0], &y = call.out[0];
  int axis = y.rank - 1;
  int64_t inner = 1, largest = 1;
  while (axis >= 0 && t.low.data[axis] == 0 && t.interior.data[axis] == 0 && x.shape[axis] == y.shape[axis])
    inner *= y.shape[axis--];
  for (int d = 0; d < x.rank; ++d) largest = std::max({largest, t.interior.data[d] + 1, std::abs(t.low.data[d])});
  if (count_of(y) == 0) return;
  const bool small = count_of(y) < kIndexLimit && largest < kIndexLimit / 4;
  constexpr int64_t kElements = 16 / sizeof(T);
  if (inner % kElements == 0 && is_aligned(x.data, 16) && is_aligned(y.data, 16)) {
    T values[kElements];
    std::fill(values, values + kElements, value);
    uint4 unit;
    memcpy(&unit, values, sizeof unit);
    return small ? launch_padding<uint4, uint32_t>(call, target, axis, inner / kElements, unit)
                 : launch_padding<uint4, uint64_t>(call, target, axis, inner / kElements, unit);
  }
  small ? launch_padding<T, uint32_t>(call, target, axis, inner, value)
        : launch_padding<T, uint64_t>(call, target, axis, inner, value);
}

void launch_pad(const Call& call, const CudaTarget& target) {
  const double value = attrs_of<pad_attrs>(call).value;
  if (call.in[0].dtype == DType::float32) return launch_pad_typed(call, target, static_cast<float>(value));
  if (call.in[0].dtype == DType::int32) return launch_pad_typed(call, target, static_cast<int32_t>(value));
  launch_pad_typed(call, target, static_cast<uint8_t>(value));
}

}  // namespace

const CudaKernel transpose_cuda_kernel = {"transpose", plan_transpose, launch_transpose};
const CudaKernel slice_cuda_kernel = {"slice", plan_slice, launch_slice};
const CudaKernel concat_cuda_kernel = {"concat", plan_concat, launch_concat};
const CudaKernel pad_cuda_kernel = {"pad", plan_pad, launch_pad};

}  // namespace berrante
