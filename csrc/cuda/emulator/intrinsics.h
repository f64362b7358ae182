// Device functions that a host compiler does not have, with the meaning of the CUDA manuals. Approximate functions
// (__expf, ...) are the exact ones here.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

// --- bits
// ---------------------------------------------------------------------------------------------------------------
inline float __int_as_float(int x) { return __builtin_bit_cast(float, x); }
inline float __uint_as_float(unsigned x) { return __builtin_bit_cast(float, x); }
inline int __float_as_int(float x) { return __builtin_bit_cast(int, x); }
inline unsigned __float_as_uint(float x) { return __builtin_bit_cast(unsigned, x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32); }
inline int __mulhi(int a, int b) { return static_cast<int>((static_cast<int64_t>(a) * b) >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; ++i) r |= (x >> i & 1) << (31 - i);
  return r;
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
  unsigned r = 0;
  for (int i = 0; i < 4; ++i) r |= static_cast<unsigned>(bytes >> (8 * (selector >> (4 * i) & 7)) & 255) << (8 * i);
  return r;
}

// --- conversions: integers saturate, NaN gives 0
// -------------------------------------------------------------------------
inline int berrante_to_int(float x) {
  if (x != x) return 0;
  if (x >= 2147483648.0f) return 2147483647;
  if (x < -2147483648.0f) return -2147483647 - 1;
  return static_cast<int>(x);
}
inline int __float2int_rz(float x) { return berrante_to_int(x); }
inline int __float2int_rn(float x) { return berrante_to_int(std::nearbyint(x)); }
inline int __float2int_rd(float x) { return berrante_to_int(std::floor(x)); }
inline int __float2int_ru(float x) { return berrante_to_int(std::ceil(x)); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }

// --- arithmetic
// -----------------------------------------------------------------------------------------------------------
using std::max;
using std::min;
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __frsqrt_rn(float x) { return 1.0f / std::sqrt(x); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline float __expf(float x) { return std::exp(x); }
inline float __exp2f(float x) { return std::exp2(x); }
inline float __logf(float x) { return std::log(x); }
inline float __log2f(float x) { return std::log2(x); }
inline float __powf(float x, float y) { return std::pow(x, y); }
inline float __sinf(float x) { return std::sin(x); }
inline float __cosf(float x) { return std::cos(x); }
inline float __tanhf(float x) { return std::tanh(x); }
inline float sinpif(float x) { return static_cast<float>(std::sin(3.14159265358979323846 * x)); }
inline float cospif(float x) { return static_cast<float>(std::cos(3.14159265358979323846 * x)); }
inline void sincospif(float x, float* sine, float* cosine) { *sine = sinpif(x), *cosine = cospif(x); }

// --- memory
// ---------------------------------------------------------------------------------------------------------------
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldcs(const T* p) {
  return *p;
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
template <class T>
void __stcs(T* p, T x) {
  *p = x;
}
template <class T>
void __stcg(T* p, T x) {
  *p = x;
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// --- atomics: of integers only
// --------------------------------------------------------------------------------------------
template <class T, class F>
T berrante_atomic(T* p, F f) {
  static_assert(std::is_integral_v<T>, "sums have a fixed order: float atomics are not used");
  const T old = *p;
  *p = f(old);
  return old;
}
template <class T>
T atomicAdd(T* p, std::type_identity_t<T> x) {
  return berrante_atomic(p, [x](T old) { return static_cast<T>(old + x); });
}
template <class T>
T atomicSub(T* p, std::type_identity_t<T> x) {
  return berrante_atomic(p, [x](T old) { return static_cast<T>(old - x); });
}
template <class T>
T atomicMax(T* p, std::type_identity_t<T> x) {
  return berrante_atomic(p, [x](T old) { return old > x ? old : x; });
}
template <class T>
T atomicMin(T* p, std::type_identity_t<T> x) {
  return berrante_atomic(p, [x](T old) { return old < x ? old : x; });
}
template <class T>
T atomicOr(T* p, std::type_identity_t<T> x) {
  return berrante_atomic(p, [x](T old) { return static_cast<T>(old | x); });
}
template <class T>
T atomicAnd(T* p, std::type_identity_t<T> x) {
  return berrante_atomic(p, [x](T old) { return static_cast<T>(old & x); });
}
template <class T>
T atomicExch(T* p, std::type_identity_t<T> x) {
  return berrante_atomic(p, [x](T) { return x; });
}
template <class T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> x) {
  return berrante_atomic(p, [=](T old) { return old == expected ? x : old; });
}
inline unsigned atomicInc(unsigned* p, unsigned limit) {
  return berrante_atomic(p, [limit](unsigned old) { return old >= limit ? 0u : old + 1; });
}
