// The micro-operations of core/micro.def on the device, one function each, with the meaning of ops/map_cpu.cpp. A
// micro-operation that is listed but not written here does not compile.
#pragma once
#include "device.cuh"

namespace berrante {

// A 4-byte lane: float or int32.
union Word {
  float f;
  int32_t i;
};

__device__ __forceinline__ Word word_of(float x) {
  Word w;
  w.f = x;
  return w;
}
__device__ __forceinline__ Word word_of(int32_t x) {
  Word w;
  w.i = x;
  return w;
}

__device__ __forceinline__ float floor_mod(float x, float y) {
  const float r = fmodf(x, y);
  return r != 0.0f && ((r < 0.0f) != (y < 0.0f)) ? r + y : r;
}
__device__ __forceinline__ int32_t wrap(uint32_t x) { return static_cast<int32_t>(x); }
__device__ __forceinline__ int32_t floor_div(int32_t x, int32_t y) {
  if (y == 0) return 0;
  if (y == -1) return wrap(0u - static_cast<uint32_t>(x));
  const int32_t q = x / y, rest = x - q * y;
  return q - (rest != 0 && (rest < 0) != (y < 0));
}
__device__ __forceinline__ float clipped_probability(float x) {
  const float low = 1e-7f, high = static_cast<float>(1.0 - 1e-7);
  return x < low ? low : x > high ? high : x;
}
__device__ __forceinline__ float crossentropy(float target, float x) {
  const float p = clipped_probability(x);
  return -(target * logf(p) + (1.0f - target) * logf(1.0f - p));
}
__device__ __forceinline__ float crossentropy_slope(float target, float x) {
  const float low = 1e-7f, high = static_cast<float>(1.0 - 1e-7);
  const float p = clipped_probability(x);
  const float slope = (p - target) / (p * (1.0f - p));
  return x < low || x > high ? 0.0f : x == low || x == high ? 0.5f * slope : slope;
}

// Philox4x32-10 (Salmon et al., 2011): block number in the counter's low words, seed words as the key.
__device__ __forceinline__ void philox(Word a, Word b, int64_t block, uint32_t word[4]) {
  uint32_t k0 = static_cast<uint32_t>(a.i), k1 = static_cast<uint32_t>(b.i);
  uint32_t c0 = static_cast<uint32_t>(block), c1 = static_cast<uint32_t>(block >> 32), c2 = 0, c3 = 0;
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint32_t h0 = __umulhi(0xD2511F53u, c0), l0 = 0xD2511F53u * c0;
    const uint32_t h2 = __umulhi(0xCD9E8D57u, c2), l2 = 0xCD9E8D57u * c2;
    c0 = h2 ^ c1 ^ k0;
    c2 = h0 ^ c3 ^ k1;
    c1 = l2;
    c3 = l0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  word[0] = c0;
  word[1] = c1;
  word[2] = c2;
  word[3] = c3;
}
// Below 2^-14 float16's numbers are the multiples of 2^-24, to which a sum with 0.5 rounds.
__device__ __forceinline__ float nearest_f16(float x) {
  const auto bits = static_cast<uint32_t>(__float_as_int(x));
  const float size = fabsf(x);
  if (x != x) return x;
  if (size < 0x1p-14f) return copysignf((size + 0.5f) - 0.5f, x);
  if (size >= 65520.0f) return copysignf(__int_as_float(0x7f800000), x);
  return __int_as_float(wrap((bits + 0xfffu + ((bits >> 13) & 1u)) & 0xffffe000u));
}
__device__ __forceinline__ float nearest_bf16(float x) {
  const auto bits = static_cast<uint32_t>(__float_as_int(x));
  return x != x ? x : __int_as_float(wrap((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u));
}
__device__ __forceinline__ float unit(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

#define MICRO_FUNCTION(name)                                                                     \
  template <class Index>                                                                         \
  __device__ __forceinline__ Word micro_##name([[maybe_unused]] Word a, [[maybe_unused]] Word b, \
                                               [[maybe_unused]] Word c, [[maybe_unused]] Index index)
#define FLOAT(name, expression)           \
  MICRO_FUNCTION(name) {                  \
    [[maybe_unused]] const float x = a.f; \
    [[maybe_unused]] const float y = b.f; \
    return word_of(expression);           \
  }
#define FLOATS(name, expression) \
  MICRO_FUNCTION(name) {         \
    const float x = a.f;         \
    const float y = b.f;         \
    const float z = c.f;         \
    return word_of(expression);  \
  }
#define INTEGER(name, expression)           \
  MICRO_FUNCTION(name) {                    \
    [[maybe_unused]] const int32_t x = a.i; \
    [[maybe_unused]] const int32_t y = b.i; \
    return word_of(expression);             \
  }
#define TEST(name, expression) FLOAT(name, static_cast<int32_t>(expression))
#define TEST_INTEGER(name, expression) INTEGER(name, static_cast<int32_t>(expression))

FLOAT(add_f, x + y)
FLOAT(sub_f, x - y)
FLOAT(mul_f, x* y)
FLOAT(div_f, x / y)
FLOAT(max_f, x > y || x != x ? x : y)
FLOAT(min_f, x < y || x != x ? x : y)
FLOAT(pow_f, powf(x, y))
FLOAT(mod_f, floor_mod(x, y))
FLOAT(floordiv_f, floorf(x / y))
FLOAT(atan2_f, atan2f(x, y))
FLOAT(neg_f, -x)
FLOAT(abs_f, fabsf(x))
FLOAT(sign_f, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x)
FLOAT(square_f, x* x)
FLOAT(sqrt_f, sqrtf(x))
FLOAT(rsqrt_f, 1.0f / sqrtf(x))
FLOAT(reciprocal_f, 1.0f / x)
FLOAT(exp_f, expf(x))
FLOAT(expm1_f, expm1f(x))
FLOAT(log_f, logf(x))
FLOAT(log1p_f, log1pf(x))
FLOAT(tanh_f, tanhf(x))
FLOAT(sigmoid_f, 1.0f / (1.0f + expf(-x)))
FLOAT(softplus_f, x != x ? x : (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x))))
FLOAT(erf_f, erff(x))
FLOAT(floor_f, floorf(x))
FLOAT(ceil_f, ceilf(x))
FLOAT(round_f, rintf(x))
FLOAT(trunc_f, truncf(x))
FLOAT(round_f16, nearest_f16(x))
FLOAT(round_bf16, nearest_bf16(x))
FLOAT(sin_f, sinf(x))
FLOAT(cos_f, cosf(x))
FLOAT(tan_f, tanf(x))
FLOAT(asin_f, asinf(x))
FLOAT(acos_f, acosf(x))
FLOAT(atan_f, atanf(x))
FLOAT(sinh_f, sinhf(x))
FLOAT(cosh_f, coshf(x))
FLOAT(asinh_f, asinhf(x))
FLOAT(acosh_f, acoshf(x))
FLOAT(atanh_f, atanhf(x))
FLOATS(multiply_add_f, x* y + z)
FLOATS(subtract_product_f, z - x * y)
FLOATS(blend_f, x + (y - x) * z)
FLOATS(root_ratio_f, x / (sqrtf(y) + z))
FLOAT(crossentropy_f, crossentropy(x, y))
FLOAT(crossentropy_slope_f, crossentropy_slope(x, y))
TEST(eq_f, x == y)
TEST(ne_f, x != y)
TEST(lt_f, x < y)
TEST(le_f, x <= y)
TEST(isnan_f, x != x)
TEST(isfinite_f, fabsf(x) < __int_as_float(0x7f800000))
INTEGER(add_i, wrap(static_cast<uint32_t>(x) + static_cast<uint32_t>(y)))
INTEGER(sub_i, wrap(static_cast<uint32_t>(x) - static_cast<uint32_t>(y)))
INTEGER(mul_i, wrap(static_cast<uint32_t>(x) * static_cast<uint32_t>(y)))
INTEGER(max_i, x > y ? x : y)
INTEGER(min_i, x < y ? x : y)
INTEGER(mod_i, y == 0 || y == -1 ? 0 : x - floor_div(x, y) * y)
INTEGER(floordiv_i, floor_div(x, y))
INTEGER(neg_i, wrap(0u - static_cast<uint32_t>(x)))
INTEGER(abs_i, x < 0 ? wrap(0u - static_cast<uint32_t>(x)) : x)
INTEGER(sign_i, (x > 0) - (x < 0))
INTEGER(and_i, x& y)
INTEGER(or_i, x | y)
INTEGER(xor_i, x ^ y)
TEST_INTEGER(eq_i, x == y)
TEST_INTEGER(ne_i, x != y)
TEST_INTEGER(lt_i, x < y)
TEST_INTEGER(le_i, x <= y)
FLOAT(to_i, __float2int_rz(x))  // saturates, and turns NaN into 0
INTEGER(to_f, static_cast<float>(x))
MICRO_FUNCTION(select) { return a.i != 0 ? b : c; }
MICRO_FUNCTION(coordinate) {
  return word_of(static_cast<int32_t>(index / static_cast<Index>(a.i) % static_cast<Index>(b.i)));
}
// From the four words of the element's block.
__device__ __forceinline__ Word uniform_of(const uint32_t word[4], int k) { return word_of(unit(word[k])); }
__device__ __forceinline__ Word normal_of(const uint32_t word[4], int k) {
  const float radius = sqrtf(-2.0f * logf(unit(word[k & 2]) + 0x1p-24f));
  const float angle = 6.28318530717958647692f * unit(word[(k & 2) + 1]);
  return word_of((k & 1) != 0 ? radius * sinf(angle) : radius * cosf(angle));
}

#undef MICRO_FUNCTION
#undef FLOAT
#undef FLOATS
#undef INTEGER
#undef TEST
#undef TEST_INTEGER

enum MicroCode {
#define MICRO(name, arity, to, from) micro_code_##name,
#include "../core/micro.def"
#undef MICRO
};
// Those that are computed for four elements together, not by a micro_<name> of one.
__device__ __forceinline__ constexpr bool is_random(int code) {
  return code == micro_code_uniform || code == micro_code_normal || code == micro_code_bits;
}
#define RANDOM(name)                                                      \
  template <class Index>                                                  \
  __device__ __forceinline__ Word micro_##name(Word, Word, Word, Index) { \
    return word_of(0);                                                    \
  }
RANDOM(uniform)
RANDOM(normal)
RANDOM(bits)
#undef RANDOM

// Four neighbouring elements, the first at a multiple of four.
struct alignas(16) Words {
  Word w[4];
};

// `index`, unsigned, is the first element's.
template <class Index>
__device__ __forceinline__ Words micro_operation(int code, const Words& a, const Words& b, const Words& c,
                                                 Index index) {
  Words result;
  if (is_random(code)) {
    uint32_t word[4];
    philox(a.w[0], b.w[0], static_cast<int64_t>(index / 4), word);
#pragma unroll
    for (int k = 0; k < 4; ++k)
      result.w[k] = code == micro_code_uniform  ? uniform_of(word, k)
                    : code == micro_code_normal ? normal_of(word, k)
                                                : word_of(wrap(word[k]));
    return result;
  }
  switch (code) {
#define MICRO(name, arity, to, from)                                           \
  case micro_code_##name:                                                      \
    if constexpr (!is_random(micro_code_##name)) {                             \
      _Pragma("unroll") for (int k = 0; k < 4; ++k) result.w[k] =              \
          micro_##name(a.w[k], b.w[k], c.w[k], static_cast<Index>(index + k)); \
      return result;                                                           \
    }                                                                          \
    break;
#include "../core/micro.def"
#undef MICRO
  }
#pragma unroll
  for (int k = 0; k < 4; ++k) result.w[k] = word_of(0);
  return result;
}

}  // namespace berrante
