// gather and scatter_add on CUDA.
//
// gather moves rows in units of up to 16 bytes, a thread each. scatter_add
// sorts the indices (stably, so that equal ones keep their order), finds where
// the updates of each row of the table start, and then each thread adds up one
// pack of one row, in order: no two threads write the same element, and rows
// that nothing falls to become zeros in the same launch.
#include "../core/checks.h"
#include "../cuda/cuda_kernel.h"
#include "../cuda/sort.cuh"

namespace berrante {
namespace {

constexpr int kThreads = 256;

// x [A, n, B units], indices [M] -> y [A, M, B units]
template <class Unit, class Index>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(const Unit* x, const int32_t* indices, Unit* y, Index size, Divider<Index> inner, Divider<Index> rows,
                  int64_t n, Unit missing) {
  const Index step = static_cast<Index>(gridDim.x) * kThreads;
  for (Index index = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x; index < size; index += step) {
    Index b, m;
    const Index a = rows.divide(inner.divide(index, &b), &m);
    const int64_t at = indices[m];
    y[index] = at >= 0 && at < n ? x[(static_cast<int64_t>(a) * n + at) * inner.divisor + b] : missing;
  }
}

void plan_gather(const Call& call, CudaPlan& plan) { plan.error = check_gather(call); }

template <class Unit>
void gather_units(const Call& call, const CudaTarget& target, Unit missing) {
  const View &x = call.in[0], &y = call.out[0];
  const int64_t inner = y.shape[2] * element_size(x.dtype) / static_cast<int64_t>(sizeof(Unit));
  const int64_t size = y.shape[0] * y.shape[1] * inner;
  const auto with_index = [&]<class Index>() {
    launch(gather_kernel<Unit, Index>, blocks_for(size, kThreads, target.multiprocessors * 64), kThreads, 0,
           target.stream, data_of<const Unit>(x), data_of<const int32_t>(call.in[1]), data_of<Unit>(y),
           static_cast<Index>(size), Divider<Index>(inner), Divider<Index>(y.shape[1]), x.shape[1], missing);
  };
  if (size < kIndexLimit) return with_index.template operator()<uint32_t>();
  with_index.template operator()<uint64_t>();
}

void launch_gather(const Call& call, const CudaTarget& target) {
  const View &x = call.in[0], &y = call.out[0];
  const int64_t bytes = y.shape[2] * element_size(x.dtype);
  const auto fits = [&](int64_t unit) {
    return bytes % unit == 0 && is_aligned(x.data, static_cast<size_t>(unit)) &&
           is_aligned(y.data, static_cast<size_t>(unit));
  };
  const uint32_t missing = x.dtype == DType::float32 ? 0x7fc00000u : 0u;
  if (fits(16)) return gather_units(call, target, make_uint4(missing, missing, missing, missing));
  if (fits(4)) return gather_units(call, target, missing);
  gather_units(call, target, uint8_t{0});
}

// --- scatter_add
// -----------------------------------------------------------------------------------------------------

// An index outside the table sorts behind all rows.
struct RowOf {
  const int32_t* indices;
  uint32_t rows;
  __device__ __forceinline__ uint32_t operator()(int64_t, int64_t i) const {
    const int32_t at = indices[i];
    return at < 0 || static_cast<uint32_t>(at) >= rows ? rows : static_cast<uint32_t>(at);
  }
};

// starts [rows + 1]: how many sorted indices are below each row.
__global__ void __launch_bounds__(kThreads)
    find_starts_kernel(const uint32_t* sorted, int64_t count, int64_t rows, int32_t* starts) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row > rows) return;
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (sorted[middle] < row)
      low = middle + 1;
    else
      high = middle;
  }
  starts[row] = static_cast<int32_t>(low);
}

struct Scatter {
  const float* updates;  // [A, M, B]
  const int32_t *starts, *positions;
  float* table;  // [A, n, B]
  int64_t m, n, b;
  bool aligned;
};

template <int kWidth, class Index>
__global__ void __launch_bounds__(kThreads)
    add_rows_kernel(Scatter p, Index size, Divider<Index> inner, Divider<Index> rows) {
  constexpr int kAhead = 4;  // updates read before they are added
  const Index step = static_cast<Index>(gridDim.x) * kThreads;
  for (Index index = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x; index < size; index += step) {
    Index column, row;
    const Index a = rows.divide(inner.divide(index, &column), &row);
    const float* from = p.updates + static_cast<int64_t>(a) * p.m * p.b + static_cast<int64_t>(column) * kWidth;
    Pack<float, kWidth> sum;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) sum.v[i] = 0.0f;
    const int32_t end = p.starts[row + 1];
    int32_t k = p.starts[row];
    for (; k + kAhead <= end; k += kAhead) {
      Pack<float, kWidth> pack[kAhead];
#pragma unroll
      for (int j = 0; j < kAhead; ++j) pack[j] = load_pack<kWidth>(from + p.positions[k + j] * p.b, p.aligned);
#pragma unroll
      for (int j = 0; j < kAhead; ++j)
#pragma unroll
        for (int i = 0; i < kWidth; ++i) sum.v[i] += pack[j].v[i];
    }
    for (; k < end; ++k) {
      const Pack<float, kWidth> pack = load_pack<kWidth>(from + p.positions[k] * p.b, p.aligned);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) sum.v[i] += pack.v[i];
    }
    store_pack<kWidth>(p.table + static_cast<int64_t>(index) * kWidth, sum, p.aligned);
  }
}

// Sorted rows and positions, starts, then what sorting needs; each on 16 bytes.
struct ScatterSpace {
  size_t positions, starts, sort, total;
};
ScatterSpace space_of(int64_t m, int64_t n) {
  const auto whole = [](int64_t words) { return static_cast<size_t>(ceil_div(words, 4) * 16); };
  ScatterSpace s{whole(m), 2 * whole(m), 2 * whole(m) + whole(n + 1), 0};
  s.total = s.sort + sort_workspace(1, m);
  return s;
}

void plan_scatter_add(const Call& call, CudaPlan& plan) {
  plan.error = check_scatter_add(call);
  if (plan.error != nullptr) return;
  const int64_t indices = call.in[0].shape[0], rows = call.out[0].shape[1];
  if (indices >= kIndexLimit || rows >= kIndexLimit)
    plan.error = "at most 2^31 - 1 indices and rows";
  else
    plan.workspace = space_of(indices, rows).total;
}

void launch_scatter_add(const Call& call, const CudaTarget& target) {
  const View &x = call.in[1], &y = call.out[0];
  const int64_t m = x.shape[1], n = y.shape[1], b = y.shape[2];
  if (count_of(y) == 0) return;
  const ScatterSpace space = space_of(m, n);
  auto* sorted = reinterpret_cast<uint32_t*>(call.workspace);
  auto* positions = reinterpret_cast<int32_t*>(call.workspace + space.positions);
  auto* starts = reinterpret_cast<int32_t*>(call.workspace + space.starts);
  int bits = 1;
  while (bits < 32 && (n >> bits) > 0) ++bits;
  launch_sort(1, m, bits, RowOf{data_of<const int32_t>(call.in[0]), static_cast<uint32_t>(n)},
              SortBuffer{sorted, positions, m}, call.workspace + space.sort, target.stream);
  launch(find_starts_kernel, blocks_for(n + 1, kThreads), kThreads, 0, target.stream, sorted, m, n, starts);
  const int width = b % 4 == 0 ? 4 : 1;
  Scatter p{data_of<const float>(x), starts, positions, data_of<float>(y), m, n, b, false};
  p.aligned = is_aligned(x.data, 16) && is_aligned(y.data, 16);
  const int64_t size = count_of(y) / width;
  const unsigned blocks = blocks_for(size, kThreads, target.multiprocessors * 64);
  const auto with_index = [&]<class Index>() {
    launch(width == 4 ? add_rows_kernel<4, Index> : add_rows_kernel<1, Index>, blocks, kThreads, 0, target.stream, p,
           static_cast<Index>(size), Divider<Index>(b / width), Divider<Index>(n));
  };
  if (size < kIndexLimit) return with_index.template operator()<uint32_t>();
  with_index.template operator()<uint64_t>();
}

}  // namespace

const CudaKernel gather_cuda_kernel = {"gather", plan_gather, launch_gather};
const CudaKernel scatter_add_cuda_kernel = {"scatter_add", plan_scatter_add, launch_scatter_add};

}  // namespace berrante
