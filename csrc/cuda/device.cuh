// What kernels need of the device besides the language itself: dynamic shared memory, named barriers, reductions over a
// warp and a block in a fixed order. Compiled by nvcc or, with the emulator's <cuda_runtime.h>, by the host's compiler.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

namespace berrante {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// The block's dynamic shared memory, 128-byte aligned: one array, which a kernel divides itself.
template <class T>
__device__ __forceinline__ T* dynamic_shared() {
#ifdef BERRANTE_CUDA_EMULATED
  return static_cast<T*>(emulator::dynamic_shared());
#else
  extern __shared__ __align__(128) unsigned char berrante_dynamic_shared[];
  return reinterpret_cast<T*>(berrante_dynamic_shared);
#endif
}

// Barrier 1 to 15 of the block, for `threads` of its threads (a multiple of 32, whole warps).
#ifdef BERRANTE_CUDA_EMULATED
inline void named_barrier(int id, int threads, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  emulator::barrier(id, threads, file, line);
}
#else
__device__ __forceinline__ void named_barrier(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
#endif

// f over all 32 lanes; every lane gets the same bits.
template <class T, class F>
__device__ __forceinline__ T warp_reduce(T x, F f) {
#pragma unroll
  for (int step = kWarp / 2; step > 0; step /= 2) x = f(x, __shfl_xor_sync(kAllLanes, x, step));
  return x;
}
template <class T>
__device__ __forceinline__ T warp_sum(T x) {
  return warp_reduce(x, [](T a, T b) { return a + b; });
}
template <class T>
__device__ __forceinline__ T warp_max(T x) {
  return warp_reduce(x, [](T a, T b) { return a > b || a != a ? a : b; });
}

// f over all threads of a one-dimensional block of whole warps; every thread gets the result. `shared` holds 32
// elements, which are free again after the next barrier.
template <class T, class F>
__device__ __forceinline__ T block_reduce(T x, T identity, T* shared, F f) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  x = warp_reduce(x, f);
  __syncthreads();
  if (lane == 0) shared[warp] = x;
  __syncthreads();
  x = lane < static_cast<int>(blockDim.x) / kWarp ? shared[lane] : identity;
  return warp_reduce(x, f);
}

}  // namespace berrante
