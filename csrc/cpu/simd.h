// One vocabulary of vectors for every instruction set, in GCC and Clang vector extensions: a kernel is written once in
// terms of `vf` (kLanes floats) and `vi` (kLanes int32) and compiled once per instruction set, each copy in a namespace
// of its own (BERRANTE_ISA, given by cmake/isa.cmake).
//
// Rules for every file that includes this one, because the linker keeps only one copy of an inline function or template
// and must never keep an AVX-512 copy for an older machine: everything stays inside namespace BERRANTE_ISA; no headers
// of the C++ standard library that bring inline code; no dynamic initialisers.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../core/kernel.h"

#define BERRANTE_INLINE static inline __attribute__((always_inline))

namespace berrante {
namespace BERRANTE_ISA {

constexpr int kLanes = BERRANTE_LANES;
constexpr int kVectorBytes = kLanes * 4;

typedef float vf __attribute__((vector_size(kVectorBytes)));
typedef int32_t vi __attribute__((vector_size(kVectorBytes)));
typedef uint32_t vu __attribute__((vector_size(kVectorBytes)));
// The same at any address.
typedef float vf_any __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
typedef int32_t vi_any __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));

BERRANTE_INLINE vf load(const float* p) { return *reinterpret_cast<const vf_any*>(p); }
BERRANTE_INLINE vi load(const int32_t* p) { return *reinterpret_cast<const vi_any*>(p); }
BERRANTE_INLINE void store(float* p, vf v) { *reinterpret_cast<vf_any*>(p) = v; }
BERRANTE_INLINE void store(int32_t* p, vi v) { *reinterpret_cast<vi_any*>(p) = v; }

BERRANTE_INLINE vf splat(float x) { return x - vf{}; }
BERRANTE_INLINE vi splat_int(int32_t x) { return x - vi{}; }

// The first n lanes of p; the others are `fill`. For the tails of rows, where reading on would leave the tensor.
BERRANTE_INLINE vf load_first(const float* p, int n, float fill = 0.0f) {
  vf v = splat(fill);
  __builtin_memcpy(&v, p, static_cast<size_t>(n) * sizeof(float));
  return v;
}
BERRANTE_INLINE void store_first(float* p, vf v, int n) {
  __builtin_memcpy(p, &v, static_cast<size_t>(n) * sizeof(float));
}

// Comparisons of vectors give lanes of 0 or -1; select takes a where the mask is set.
BERRANTE_INLINE vf select(vi mask, vf a, vf b) { return mask ? a : b; }
BERRANTE_INLINE vi select(vi mask, vi a, vi b) { return mask ? a : b; }

BERRANTE_INLINE vf as_float(vi v) { return (vf)v; }
BERRANTE_INLINE vi as_int(vf v) { return (vi)v; }
BERRANTE_INLINE vf to_float(vi v) { return __builtin_convertvector(v, vf); }
BERRANTE_INLINE vi to_int(vf v) { return __builtin_convertvector(v, vi); }  // lanes must be within int32

BERRANTE_INLINE bool all(vi mask) {
#if BERRANTE_LANES == 8 && defined(__AVX__)
  return __builtin_ia32_movmskps256(as_float(mask)) == 255;
#else
  int64_t half[kVectorBytes / 8], both = -1;
  __builtin_memcpy(half, &mask, sizeof half);
  for (int64_t lanes : half) both &= lanes;
  return both == -1;
#endif
}

BERRANTE_INLINE vf max(vf a, vf b) { return a > b ? a : b; }
BERRANTE_INLINE vf min(vf a, vf b) { return a < b ? a : b; }

// Lane 0 + lane 1 + ... in a fixed tree order.
BERRANTE_INLINE float sum_lanes(vf v) {
  float lane[kLanes];
  __builtin_memcpy(lane, &v, sizeof lane);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
  return lane[0];
}

template <class Attrs>
BERRANTE_INLINE const Attrs& attrs_of(const Call& call) {
  return *static_cast<const Attrs*>(call.attrs);
}

}  // namespace BERRANTE_ISA
}  // namespace berrante

// Defines this instruction set's entry of ops.def: BERRANTE_KERNEL(conv2d, plan_conv2d, run_conv2d), inside
// namespace berrante::BERRANTE_ISA. The two functions live in an anonymous namespace there.
#define BERRANTE_KERNEL(name, plan, run) \
  extern const Kernel name##_kernel;     \
  constinit const Kernel name##_kernel = {#name, plan, run}
