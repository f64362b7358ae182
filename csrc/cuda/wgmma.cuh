// Warpgroup products of Hopper (sm_90a): wgmma over operands in shared memory, and the mbarriers that order its stages.
// The only place with their PTX; the emulator decodes the same descriptors over the same bytes.
//
// An operand is a tile of rows of 128 bytes along the depth (32 tf32 or 64 16-bit elements), its 16-byte pieces
// exchanged by the 128-byte swizzle: piece c of row r lies at r * 128 + ((c ^ (r % 8)) << 4), from an address that is a
// multiple of 1024. Eight rows are one swizzle atom; the next eight follow 1024 bytes on (the descriptor's stride). An
// instruction takes 32 bytes of depth, a quarter of a row; the descriptor of the next quarter starts 32 bytes further.
//
// D, 64 rows of one warpgroup by kColumns, float32: warp w has rows 16 w to 16 w + 15, and d[4 j + i] are those of
// mma.sync's D (mma.cuh) for the eight columns from 8 j on.
//
// Source: PTX ISA 9.0, "Asynchronous Warpgroup Level Matrix Instructions". Not yet run on a card.
#pragma once
#include "device.cuh"
#ifdef BERRANTE_CUDA_EMULATED
#include "emulator/wgmma.h"
#endif

namespace berrante {

constexpr int kWarpgroup = 128;     // threads
constexpr int kOperandRow = 128;    // bytes
constexpr int kSwizzleAtom = 1024;  // bytes: eight rows
constexpr int kQuarter = 32;        // bytes of depth of one instruction

// Where piece `c` (16 bytes) of a tile's row is, in bytes.
__host__ __device__ __forceinline__ constexpr int operand_place(int row, int c) {
  return row * kOperandRow + ((c ^ (row & 7)) << 4);
}

// The descriptor of a tile at a shared-memory address: address / 16 in bits 0-13, a leading offset that this layout
// does not use in 16-29, the atoms' stride / 16 in 32-45, the 128-byte swizzle (1) in 62-63.
__host__ __device__ __forceinline__ constexpr uint64_t operand_descriptor(uint32_t address) {
  return static_cast<uint64_t>((address & 0x3ffff) >> 4) | uint64_t{1} << 16 | uint64_t{kSwizzleAtom >> 4} << 32 |
         uint64_t{1} << 62;
}
constexpr uint64_t kNextQuarter = kQuarter >> 4;  // added to a descriptor

enum class Factor { tf32, bf16, f16 };

#ifdef BERRANTE_CUDA_EMULATED

inline uint32_t shared_address(const void* p) { return emulator::shared_address(p); }
inline void mbarrier_init(uint64_t* barrier, int arrivals) { emulator::mbarrier_init(barrier, arrivals); }
inline void mbarrier_arrive(uint64_t* barrier) { emulator::mbarrier_arrive(barrier); }
inline void mbarrier_wait(uint64_t* barrier, int phase) { emulator::mbarrier_wait(barrier, phase); }
inline void fence_async_proxy() { emulator::fence_async_proxy(); }
inline void wgmma_fence() {}
inline void wgmma_hold(float (&)[64]) {}
inline void wgmma_commit() { emulator::wgmma_commit(); }
template <int kNewest>
void wgmma_wait() {
  emulator::wgmma_wait(kNewest);
}
template <Factor kFactor>
void wgmma(float (&d)[64], uint64_t a, uint64_t b) {
  emulator::wgmma(d, a, b, kFactor == Factor::tf32 ? 0 : kFactor == Factor::bf16 ? 1 : 2);
}

#else

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// `arrivals` of threads end a phase; phases are numbered 0, 1, 0, 1 ...
__device__ __forceinline__ void mbarrier_init(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void mbarrier_arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}
// Returns once the phase of this parity has ended.
__device__ __forceinline__ void mbarrier_wait(uint64_t* barrier, int phase) {
  uint32_t done;
  do {
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(done)
                 : "r"(shared_address(barrier)), "r"(phase)
                 : "memory");
  } while (done == 0);
}
// What this thread stored in shared memory is seen by wgmma that other threads start after a barrier.
__device__ __forceinline__ void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Before the first wgmma, and after other accesses of its registers.
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kNewest>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kNewest) : "memory");
}

// Keeps the compiler from moving accesses of d across this point: it does not know when wgmma writes them.
__device__ __forceinline__ void wgmma_hold(float (&d)[64]) {
#pragma unroll
  for (float& x : d) asm volatile("" : "+f"(x)::"memory");
}

#define BERRANTE_D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define BERRANTE_D16(i) BERRANTE_D4(i), BERRANTE_D4(i + 4), BERRANTE_D4(i + 8), BERRANTE_D4(i + 12)
#define BERRANTE_WGMMA(shape_and_types, transposes)                                                \
  asm volatile("wgmma.mma_async.sync.aligned." shape_and_types                                     \
               " {%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "          \
               "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "  \
               "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "  \
               "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, " \
               "%64, %65, 1, 1, 1" transposes ";"                                                  \
               : BERRANTE_D16(0), BERRANTE_D16(16), BERRANTE_D16(32), BERRANTE_D16(48)             \
               : "l"(a), "l"(b))

// d += A B, 64 rows by 128 columns, 32 bytes of depth.
template <Factor kFactor>
__device__ __forceinline__ void wgmma(float (&d)[64], uint64_t a, uint64_t b) {
  if constexpr (kFactor == Factor::tf32)
    BERRANTE_WGMMA("m64n128k8.f32.tf32.tf32", "");
  else if constexpr (kFactor == Factor::bf16)
    BERRANTE_WGMMA("m64n128k16.f32.bf16.bf16", ", 0, 0");
  else
    BERRANTE_WGMMA("m64n128k16.f32.f16.f16", ", 0, 0");
}
#undef BERRANTE_D4
#undef BERRANTE_D16
#undef BERRANTE_WGMMA

#endif
#endif

}  // namespace berrante
