// Tensor cores: mma.sync over one warp, D (16 x 8, float32) += A (16 x K) B (K x 8), and ldmatrix. The only place with
// their PTX; the emulator computes the same fragments over the warp's lanes.
//
// Fragments, with g = lane / 4 and t = lane % 4 (the PTX manual's layout):
//   d[0..3]                rows g, g, g + 8, g + 8; columns 2t, 2t + 1, 2t, 2t + 1
//   tf32, K = 8   a[0..3]  (row, k): (g, t), (g + 8, t), (g, t + 4), (g + 8, t + 4)
//                 b[0..1]  (k, column): (t, g), (t + 4, g)
//   16 bits, K = 16        each register holds two neighbours in k, the first in the low half
//                 a[0..3]  (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8)
//                 b[0..1]  (2t, g), (2t + 8, g)
// tf32 needs sm_80, bf16 sm_80, f16 sm_80 (sm_75 has only K = 8); below, the calls trap.
#pragma once
#include "device.cuh"
#ifdef BERRANTE_CUDA_EMULATED
#include "emulator/mma.h"
#endif

namespace berrante {

#ifdef BERRANTE_CUDA_EMULATED

inline uint32_t to_tf32(float x) { return emulator::round_tf32(x); }
inline uint32_t pack_bf16(float low, float high) {
  return emulator::bf16_of(low) | static_cast<uint32_t>(emulator::bf16_of(high)) << 16;
}
inline uint32_t pack_f16(float low, float high) {
  return emulator::f16_of(low) | static_cast<uint32_t>(emulator::f16_of(high)) << 16;
}
inline void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { emulator::mma_tf32(d, a, b); }
inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { emulator::mma_bf16(d, a, b); }
inline void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { emulator::mma_f16(d, a, b); }
inline void load_matrices(uint32_t (&r)[4], const void* row) { emulator::load_matrices(r, row, false); }
inline void load_matrices_transposed(uint32_t (&r)[4], const void* row) { emulator::load_matrices(r, row, true); }

#else

// To the nearest number with 10 bits of mantissa, ties away from zero.
__device__ __forceinline__ uint32_t to_tf32(float x) {
#if __CUDA_ARCH__ >= 800
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
#else
  return __float_as_uint(x);
#endif
}

// Two numbers rounded to nearest even.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
#if __CUDA_ARCH__ >= 800
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
#else
  __trap();
  return 0;
#endif
}
__device__ __forceinline__ uint32_t pack_f16(float low, float high) {
#if __CUDA_ARCH__ >= 800
  uint32_t r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
#else
  __trap();
  return 0;
#endif
}

#if __CUDA_ARCH__ >= 800
#define BERRANTE_MMA(name, shape_and_types)                                                             \
  __device__ __forceinline__ void name(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { \
    asm volatile("mma.sync.aligned." shape_and_types                                                    \
                 " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                     \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                       \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                   \
  }
#else
#define BERRANTE_MMA(name, shape_and_types) \
  __device__ __forceinline__ void name(float (&)[4], const uint32_t (&)[4], const uint32_t (&)[2]) { __trap(); }
#endif
BERRANTE_MMA(mma_tf32, "m16n8k8.row.col.f32.tf32.tf32.f32")
BERRANTE_MMA(mma_bf16, "m16n8k16.row.col.f32.bf16.bf16.f32")
BERRANTE_MMA(mma_f16, "m16n8k16.row.col.f32.f16.f16.f32")
#undef BERRANTE_MMA

// ldmatrix.x4: four 8 x 8 matrices of 16-bit elements (or 8 x 4 of 32 bits). Lanes 8i .. 8i + 7 point to the rows of
// matrix i, 16 bytes each and so aligned, in shared memory; r[i] is elements (g, 2t) and (g, 2t + 1) of matrix i, or of
// its transpose.
__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], const void* row) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], const void* row) {
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

#endif

}  // namespace berrante
