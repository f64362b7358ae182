// sort and cumsum on CUDA.
//
// sort is cuda/sort.cuh over keys whose unsigned order is the wanted one, with
// NaN last. cumsum cuts R into shares (from the shape alone): their totals, the
// running sums of those, then the running sums inside each share. A thread has
// a column; for rows (B == 1) a warp has the row, four elements a lane at a
// time. Sums of float32 are kept in float64, as on the CPU.
#include <type_traits>

#include "../core/checks.h"
#include "../cuda/cuda_kernel.h"
#include "../cuda/sort.cuh"

namespace berrante {
namespace {

constexpr int kThreads = 256;

// --- sort
// ------------------------------------------------------------------------------------------------------------

template <class T>
struct KeyOf {
  const T* x;
  int64_t n;
  bool descending;
  __device__ __forceinline__ uint32_t operator()(int64_t row, int64_t i) const {
    const T v = x[row * n + i];
    if (v != v) return 0xffffffffu;
    uint32_t bits;
    if constexpr (std::is_integral_v<T>) {
      bits = static_cast<uint32_t>(v) ^ 0x80000000u;
    } else {
      bits = v == 0 ? 0u : __float_as_uint(v);  // both zeros are equal
      bits ^= bits >> 31 != 0 ? 0xffffffffu : 0x80000000u;
    }
    return descending ? ~bits : bits;
  }
};

template <class T>
struct Sorted {
  const T* x;
  T* values;
  int32_t* positions;
  int64_t n;
  __device__ __forceinline__ void operator()(int64_t row, int64_t k, uint32_t, int32_t position) const {
    values[row * n + k] = x[row * n + position];
    positions[row * n + k] = position;
  }
};

void plan_sort(const Call& call, CudaPlan& plan) {
  plan.error = check_sort(call);
  if (plan.error != nullptr) return;
  const View& x = call.in[0];
  if (x.shape[1] >= kIndexLimit)
    plan.error = "a row may hold at most 2^31 - 1 elements";
  else
    plan.workspace = sort_workspace(x.shape[0], x.shape[1]);
}

template <class T>
void sort_typed(const Call& call, cudaStream_t stream) {
  const View& x = call.in[0];
  const int64_t n = x.shape[1];
  const auto* from = data_of<const T>(x);
  launch_sort(x.shape[0], n, 32, KeyOf<T>{from, n, attrs_of<sort_attrs>(call).descending != 0},
              Sorted<T>{from, data_of<T>(call.out[0]), data_of<int32_t>(call.out[1]), n}, call.workspace, stream);
}

void launch_sort_op(const Call& call, const CudaTarget& target) {
  if (call.in[0].dtype == DType::float32) return sort_typed<float>(call, target.stream);
  sort_typed<int32_t>(call, target.stream);
}

// --- cumsum
// ----------------------------------------------------------------------------------------------------------

template <class T>
using Total = std::conditional_t<std::is_integral_v<T>, uint32_t, double>;

struct Shape {
  int64_t a, r, b, shares;
  bool exclusive, reverse;
  __device__ __forceinline__ int64_t place(int64_t k) const { return reverse ? r - 1 - k : k; }
};

Shape shape_of(const Call& call) {
  const View& x = call.in[0];
  const auto& t = attrs_of<cumsum_attrs>(call);
  Shape s{x.shape[0], x.shape[1], x.shape[2], 1, t.exclusive != 0, t.reverse != 0};
  const int64_t threads = s.a * (s.b == 1 ? kWarp : s.b), least = s.b == 1 ? 512 : 64;
  if (threads == 0) return s;
  const int64_t wanted = ceil_div(1 << 15, threads), most = s.r / least < 256 ? s.r / least : 256;
  s.shares = wanted < most ? wanted : most < 1 ? 1 : most;
  return s;
}

// A share of one column: its total where y is null, else its running sums, from
// the start in `totals`.
template <class T>
__global__ void __launch_bounds__(kThreads) scan_columns_kernel(Shape s, const T* x, T* y, Total<T>* totals) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= s.a * s.shares * s.b) return;
  const int64_t unit = index / s.b, column = index - unit * s.b, a = unit / s.shares, share = unit - a * s.shares;
  const int64_t offset = a * s.r * s.b + column, end = s.r * (share + 1) / s.shares;
  Total<T> sum = y == nullptr || totals == nullptr ? 0 : totals[index];
  for (int64_t k = s.r * share / s.shares; k < end; ++k) {
    const int64_t at = offset + s.place(k) * s.b;
    const Total<T> before = sum;
    sum += static_cast<Total<T>>(x[at]);
    if (y != nullptr) y[at] = static_cast<T>(s.exclusive ? before : sum);
  }
  if (y == nullptr) totals[index] = sum;
}

// The same for rows, a warp each.
template <class T>
__global__ void __launch_bounds__(kThreads) scan_rows_kernel(Shape s, const T* x, T* y, Total<T>* totals) {
  const int64_t index = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  if (index >= s.a * s.shares) return;  // the whole warp
  const int64_t a = index / s.shares, share = index - a * s.shares, end = s.r * (share + 1) / s.shares;
  Total<T> carry = y == nullptr || totals == nullptr ? 0 : totals[index];
  for (int64_t first = s.r * share / s.shares; first < end; first += 4 * kWarp) {
    const int64_t k = first + 4 * lane;
    T v[4];
    Total<T> sum = 0;
    for (int i = 0; i < 4; ++i) {
      v[i] = k + i < end ? x[a * s.r + s.place(k + i)] : T{0};
      sum += static_cast<Total<T>>(v[i]);
    }
    Total<T> running = sum;
    for (int step = 1; step < kWarp; step *= 2) {
      const Total<T> before = __shfl_up_sync(kAllLanes, running, static_cast<unsigned>(step));
      if (lane >= step) running += before;
    }
    const Total<T> before_lane = __shfl_up_sync(kAllLanes, running, 1);
    Total<T> total = lane == 0 ? carry : carry + before_lane;
    for (int i = 0; y != nullptr && i < 4 && k + i < end; ++i) {
      const Total<T> before = total;
      total += static_cast<Total<T>>(v[i]);
      y[a * s.r + s.place(k + i)] = static_cast<T>(s.exclusive ? before : total);
    }
    carry += __shfl_sync(kAllLanes, running, kWarp - 1);
  }
  if (y == nullptr && lane == 0) totals[index] = carry;
}

// totals [A, shares, B] become what comes before each share.
template <class T>
__global__ void __launch_bounds__(kThreads) scan_shares_kernel(Shape s, T* totals) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= s.a * s.b) return;
  const int64_t a = index / s.b;
  T* at = totals + a * s.shares * s.b + (index - a * s.b);
  T sum = 0;
  for (int64_t share = 0; share < s.shares; ++share, at += s.b) {
    const T here = *at;
    *at = sum;
    sum += here;
  }
}

void plan_cumsum(const Call& call, CudaPlan& plan) {
  plan.error = check_cumsum(call);
  if (plan.error != nullptr) return;
  const Shape s = shape_of(call);
  if (s.shares > 1) plan.workspace = static_cast<size_t>(s.a * s.shares * s.b) * 8;
}

template <class T>
void cumsum_typed(const Call& call, cudaStream_t stream) {
  const Shape s = shape_of(call);
  const auto* x = data_of<const T>(call.in[0]);
  T* y = data_of<T>(call.out[0]);
  auto* totals = s.shares > 1 ? reinterpret_cast<Total<T>*>(call.workspace) : nullptr;
  const auto scan = [&](T* to) {
    if (s.b == 1)
      launch(scan_rows_kernel<T>, blocks_for(s.a * s.shares * kWarp, kThreads), kThreads, 0, stream, s, x, to, totals);
    else
      launch(scan_columns_kernel<T>, blocks_for(s.a * s.shares * s.b, kThreads), kThreads, 0, stream, s, x, to, totals);
  };
  if (totals != nullptr) {
    scan(nullptr);
    launch(scan_shares_kernel<Total<T>>, blocks_for(s.a * s.b, kThreads), kThreads, 0, stream, s, totals);
  }
  scan(y);
}

void launch_cumsum(const Call& call, const CudaTarget& target) {
  if (call.in[0].dtype == DType::float32) return cumsum_typed<float>(call, target.stream);
  cumsum_typed<int32_t>(call, target.stream);
}

}  // namespace

const CudaKernel sort_cuda_kernel = {"sort", plan_sort, launch_sort_op};
const CudaKernel cumsum_cuda_kernel = {"cumsum", plan_cumsum, launch_cumsum};

}  // namespace berrante
