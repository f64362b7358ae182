// cp.async: copies from global into shared memory that run while the thread goes on. A thread's copies since its last
// commit are a group; wait<n> returns when all but the n newest groups are there, for this thread: the others see them
// after the next barrier. Emulated, a target holds NaN from the copy's start until the wait. Before sm_80 a copy is a
// plain one.
#pragma once
#include <type_traits>

#include "device.cuh"

namespace berrante {

// Copies kBytes (4, 8 or 16, both sides so aligned), or writes zeros where `valid` is false; the source is then not
// read.
template <int kBytes>
__device__ __forceinline__ void copy_async(void* shared, const void* global, bool valid = true) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16);
#ifdef BERRANTE_CUDA_EMULATED
  emulator::copy_async(shared, valid ? global : nullptr, kBytes);
#elif __CUDA_ARCH__ >= 800
  const auto target = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int size = valid ? kBytes : 0;
  if constexpr (kBytes == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(global), "r"(size) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(target), "l"(global), "n"(kBytes), "r"(size)
                 : "memory");
#else
  using Piece = std::conditional_t<kBytes == 16, uint4, std::conditional_t<kBytes == 8, uint2, unsigned> >;
  *static_cast<Piece*>(shared) = valid ? *static_cast<const Piece*>(global) : Piece{};
#endif
}

__device__ __forceinline__ void copy_async_commit() {
#ifdef BERRANTE_CUDA_EMULATED
  emulator::copy_async_commit();
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

template <int kNewest>
__device__ __forceinline__ void copy_async_wait() {
#ifdef BERRANTE_CUDA_EMULATED
  emulator::copy_async_wait(kNewest);
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kNewest) : "memory");
#endif
}

}  // namespace berrante
