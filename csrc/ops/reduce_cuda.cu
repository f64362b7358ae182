// reduce, arg_reduce and moments on CUDA: folds of [A, R, B] over R (cuda/fold.cuh).
//
// Sums are taken pairwise within the elements that a thread has in flight, so that chains of additions stay short.
// Moments do the same with mean and squares: two passes over registers, merged by the formula of Chan, Golub and
// LeVeque (see moments_cpu.cpp). Which extreme is first does not depend on the order in which pairs of value and place
// meet.
#include "../core/checks.h"
#include "../cuda/cuda_kernel.h"
#include "../cuda/fold.cuh"

namespace berrante {
namespace {

// Whole numbers wrap around, as on the CPU.
struct Plus {
  static __device__ __forceinline__ float fold(float x, float y) { return x + y; }
  static __device__ __forceinline__ int32_t fold(int32_t x, int32_t y) {
    return static_cast<int32_t>(static_cast<uint32_t>(x) + static_cast<uint32_t>(y));
  }
};
struct Times {
  static __device__ __forceinline__ float fold(float x, float y) { return x * y; }
  static __device__ __forceinline__ int32_t fold(int32_t x, int32_t y) {
    return static_cast<int32_t>(static_cast<uint32_t>(x) * static_cast<uint32_t>(y));
  }
};
struct Largest {
  template <class T>
  static __device__ __forceinline__ T fold(T x, T y) {
    return x > y || x != x ? x : y;
  }
};
struct Smallest {
  template <class T>
  static __device__ __forceinline__ T fold(T x, T y) {
    return x < y || x != x ? x : y;
  }
};

// F over the array, halves by halves.
template <class F, class T, int n>
__device__ __forceinline__ T fold_pairs(const T (&v)[n]) {
  T w[n];
#pragma unroll
  for (int i = 0; i < n; ++i) w[i] = v[i];
#pragma unroll
  for (int half = n / 2; half > 0; half /= 2)
#pragma unroll
    for (int i = 0; i < half; ++i) w[i] = F::fold(w[i], w[i + half]);
  return w[0];
}

template <class F, class T>
struct Reduce {
  using Element = T;
  using State = T;
  T* y;
  T first, divisor;  // divisor: 0 for none
  __device__ __forceinline__ T start() const { return first; }
  __device__ __forceinline__ void take(T& state, T x, int64_t) const { state = F::fold(state, x); }
  template <int n, class At>
  __device__ __forceinline__ void take_all(T& state, const T (&v)[n], At) const {
    state = F::fold(state, fold_pairs<F>(v));
  }
  __device__ __forceinline__ void merge(T& state, T other) const { state = F::fold(state, other); }
  __device__ __forceinline__ void store(int64_t output, T state) const { y[output] = state; }
};

// The quotient of a mean; a separate type, as a mean of nothing divides by zero.
template <class T>
struct Mean : Reduce<Plus, T> {
  __device__ __forceinline__ void store(int64_t output, T state) const { this->y[output] = state / this->divisor; }
};

void plan_reduce(const Call& call, CudaPlan& plan) {
  plan.error = check_reduce(call);
  if (plan.error == nullptr) plan.workspace = fold_shape(call.in[0]).states() * 4;
}

template <class T>
void launch_reduce_typed(const Call& call, cudaStream_t stream) {
  constexpr bool kWhole = std::is_integral_v<T>;
  const T high = kWhole ? static_cast<T>(2147483647) : static_cast<T>(__builtin_inff());
  const T low = kWhole ? static_cast<T>(-2147483647 - 1) : static_cast<T>(-__builtin_inff());
  const View& x = call.in[0];
  T* y = data_of<T>(call.out[0]);
  const auto divisor = static_cast<T>(x.shape[1]);
  switch (static_cast<Reduction>(attrs_of<reduce_attrs>(call).kind)) {
    case Reduction::sum: return launch_fold(x, Reduce<Plus, T>{y, 0, 1}, call.workspace, stream);
    case Reduction::mean: return launch_fold(x, Mean<T>{{y, 0, divisor}}, call.workspace, stream);
    case Reduction::maximum: return launch_fold(x, Reduce<Largest, T>{y, low, 1}, call.workspace, stream);
    case Reduction::minimum: return launch_fold(x, Reduce<Smallest, T>{y, high, 1}, call.workspace, stream);
    case Reduction::product: return launch_fold(x, Reduce<Times, T>{y, 1, 1}, call.workspace, stream);
  }
}

void launch_reduce(const Call& call, const CudaTarget& target) {
  if (call.in[0].dtype == DType::float32) return launch_reduce_typed<float>(call, target.stream);
  launch_reduce_typed<int32_t>(call, target.stream);
}

// --- arg_reduce ------------------------------------------------------------------------------------------------------

constexpr int32_t kNowhere = 2147483647;

template <class T>
struct Place {
  T value;
  int32_t at;
};

template <class T>
struct ArgReduce {
  using Element = T;
  using State = Place<T>;
  int32_t* y;
  bool largest;
  __device__ __forceinline__ State start() const { return {0, kNowhere}; }
  __device__ __forceinline__ void merge(State& state, const State& other) const {
    const T x = other.value, best = state.value;
    const bool nan = x != x, best_nan = best != best;
    const bool better = nan != best_nan ? nan : largest ? x > best : x < best;
    const bool same = x == best || (nan && best_nan);
    if (other.at != kNowhere && (state.at == kNowhere || better || (same && other.at < state.at))) state = other;
  }
  __device__ __forceinline__ void take(State& state, T x, int64_t r) const {
    merge(state, {x, static_cast<int32_t>(r)});
  }
  template <int n, class At>
  __device__ __forceinline__ void take_all(State& state, const T (&v)[n], At at) const {
#pragma unroll
    for (int i = 0; i < n; ++i) take(state, v[i], at(i));
  }
  __device__ __forceinline__ void store(int64_t output, const State& state) const { y[output] = state.at; }
};

void plan_arg_reduce(const Call& call, CudaPlan& plan) {
  plan.error = check_arg_reduce(call);
  if (plan.error == nullptr) plan.workspace = fold_shape(call.in[0]).states() * sizeof(Place<float>);
}

void launch_arg_reduce(const Call& call, const CudaTarget& target) {
  const View& x = call.in[0];
  auto* y = data_of<int32_t>(call.out[0]);
  const bool largest = static_cast<Reduction>(attrs_of<arg_reduce_attrs>(call).kind) == Reduction::maximum;
  if (x.dtype == DType::float32) return launch_fold(x, ArgReduce<float>{y, largest}, call.workspace, target.stream);
  launch_fold(x, ArgReduce<int32_t>{y, largest}, call.workspace, target.stream);
}

// --- moments ---------------------------------------------------------------------------------------------------------

struct Moments {
  using Element = float;
  struct State {
    float count, mean, squares;  // squares: of the differences from the mean
  };
  float *mean, *variance;
  float count;
  __device__ __forceinline__ State start() const { return {0.0f, 0.0f, 0.0f}; }
  __device__ __forceinline__ void merge(State& state, const State& other) const {
    if (other.count == 0.0f) return;
    const float both = state.count + other.count, share = other.count / both, d = other.mean - state.mean;
    state.squares += other.squares + d * d * share * state.count;
    state.mean += d * share;
    state.count = both;
  }
  __device__ __forceinline__ void take(State& state, float x, int64_t) const { merge(state, {1.0f, x, 0.0f}); }
  template <int n, class At>
  __device__ __forceinline__ void take_all(State& state, const float (&v)[n], At) const {
    const float m = fold_pairs<Plus>(v) * (1.0f / n);
    float squares[n];
#pragma unroll
    for (int i = 0; i < n; ++i) squares[i] = (v[i] - m) * (v[i] - m);
    merge(state, {static_cast<float>(n), m, fold_pairs<Plus>(squares)});
  }
  __device__ __forceinline__ void store(int64_t output, const State& state) const {
    mean[output] = state.mean;
    variance[output] = state.squares / count;
  }
};

void plan_moments(const Call& call, CudaPlan& plan) {
  plan.error = check_moments(call);
  if (plan.error == nullptr) plan.workspace = fold_shape(call.in[0]).states() * sizeof(Moments::State);
}

void launch_moments(const Call& call, const CudaTarget& target) {
  const View& x = call.in[0];
  launch_fold(x, Moments{data_of<float>(call.out[0]), data_of<float>(call.out[1]), static_cast<float>(x.shape[1])},
              call.workspace, target.stream);
}

}  // namespace

const CudaKernel reduce_cuda_kernel = {"reduce", plan_reduce, launch_reduce};
const CudaKernel arg_reduce_cuda_kernel = {"arg_reduce", plan_arg_reduce, launch_arg_reduce};
const CudaKernel moments_cuda_kernel = {"moments", plan_moments, launch_moments};

}  // namespace berrante
