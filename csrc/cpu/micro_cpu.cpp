// The micro-operations of map (core/micro.def): each is one vector loop over a tile, found in a table by its code.
#include "micro.h"
#include "philox.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

template <class F>
BERRANTE_INLINE void each1(const float* a, float* out, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, f(load(a + i)));
  if (i < n) store_first(out + i, f(load_first(a + i, static_cast<int>(n - i))), static_cast<int>(n - i));
}
template <class F>
BERRANTE_INLINE void each2(const float* a, const float* b, float* out, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, f(load(a + i), load(b + i)));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_first(out + i, f(load_first(a + i, rest), load_first(b + i, rest, 1.0f)), rest);
  }
}
template <class F>
BERRANTE_INLINE void each3(const float* a, const float* b, const float* c, float* out, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, f(load(a + i), load(b + i), load(c + i)));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_first(out + i, f(load_first(a + i, rest), load_first(b + i, rest, 1.0f), load_first(c + i, rest, 1.0f)),
                rest);
  }
}
BERRANTE_INLINE vf one_if(vi mask) { return as_float(mask & 1); }
BERRANTE_INLINE vi vi_of(vf v) { return as_int(v); }
BERRANTE_INLINE vf vf_of(vi v) { return as_float(v); }

#define UNARY(name, expression)                                                                          \
  void micro_##name(const float* a, const float*, const float*, float* out, int64_t n, const Context&) { \
    each1(a, out, n, [](vf x) { return expression; });                                                   \
  }
#define BINARY(name, expression)                                                                           \
  void micro_##name(const float* a, const float* b, const float*, float* out, int64_t n, const Context&) { \
    each2(a, b, out, n, [](vf x, vf y) { return expression; });                                            \
  }
#define TERNARY(name, expression)                                                                            \
  void micro_##name(const float* a, const float* b, const float* c, float* out, int64_t n, const Context&) { \
    each3(a, b, c, out, n, [](vf x, vf y, vf z) { return expression; });                                     \
  }
#define SCALAR(name, expression)                                                                         \
  void micro_##name(const float* a, const float*, const float*, float* out, int64_t n, const Context&) { \
    for (int64_t i = 0; i < n; ++i) {                                                                    \
      const float x = a[i];                                                                              \
      out[i] = expression;                                                                               \
    }                                                                                                    \
  }
#define SCALAR2(name, expression)                                                                          \
  void micro_##name(const float* a, const float* b, const float*, float* out, int64_t n, const Context&) { \
    for (int64_t i = 0; i < n; ++i) {                                                                      \
      const float x = a[i], y = b[i];                                                                      \
      out[i] = expression;                                                                                 \
    }                                                                                                      \
  }
#define INTEGER2(name, expression)                                                                         \
  void micro_##name(const float* a, const float* b, const float*, float* out, int64_t n, const Context&) { \
    for (int64_t i = 0; i < n; ++i) {                                                                      \
      int32_t x, y, r;                                                                                     \
      __builtin_memcpy(&x, a + i, 4);                                                                      \
      __builtin_memcpy(&y, b + i, 4);                                                                      \
      r = expression;                                                                                      \
      __builtin_memcpy(out + i, &r, 4);                                                                    \
    }                                                                                                      \
  }

BERRANTE_INLINE vf root(vf x) {
  for (int i = 0; i < kLanes; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
}

BINARY(add_f, x + y)
BINARY(sub_f, x - y)
BINARY(mul_f, x* y)
BINARY(div_f, x / y)
BINARY(max_f, select((x > y) | (x != x), x, y))
BINARY(min_f, select((x < y) | (x != x), x, y))
SCALAR2(pow_f, __builtin_powf(x, y))
BERRANTE_INLINE float floor_mod(float x, float y) {
  const float r = __builtin_fmodf(x, y);
  return r != 0.0f && ((r < 0.0f) != (y < 0.0f)) ? r + y : r;
}
SCALAR2(mod_f, floor_mod(x, y))
SCALAR2(floordiv_f, __builtin_floorf(x / y))
SCALAR2(atan2_f, __builtin_atan2f(x, y))
UNARY(neg_f, -x)
UNARY(abs_f, absolute(x))
UNARY(sign_f, select(x > 0.0f, splat(1.0f), select(x < 0.0f, splat(-1.0f), x)))
UNARY(square_f, x* x)
UNARY(sqrt_f, root(x))
UNARY(rsqrt_f, 1.0f / root(x))
UNARY(reciprocal_f, 1.0f / x)
UNARY(exp_f, exp(x))
UNARY(expm1_f, expm1(x))
UNARY(log_f, log(x))
UNARY(log1p_f, log1p(x))
UNARY(tanh_f, tanh(x))
UNARY(sigmoid_f, sigmoid(x))
UNARY(softplus_f, softplus(x))
UNARY(erf_f, erf(x))
SCALAR(floor_f, __builtin_floorf(x))
SCALAR(ceil_f, __builtin_ceilf(x))
SCALAR(round_f, __builtin_rintf(x))
SCALAR(trunc_f, __builtin_truncf(x))
// Below 2^-14 float16's numbers are the multiples of 2^-24, to which a sum with 0.5 rounds.
BERRANTE_INLINE vf nearest_f16(vf x) {
  const vu bits = (vu)as_int(x);
  const vf size = absolute(x), normal = as_float((vi)((bits + 0xfffu + ((bits >> 13) & 1u)) & 0xffffe000u));
  const vi sign = (vi)(bits & 0x80000000u);
  const vf small = as_float(as_int((size + 0.5f) - 0.5f) | sign);
  const vf large = as_float(as_int(splat(kInfinity)) | sign);
  return select(x != x, x, select(size < 0x1p-14f, small, select(size >= 65520.0f, large, normal)));
}
BERRANTE_INLINE vf nearest_bf16(vf x) {
  const vu bits = (vu)as_int(x);
  return select(x != x, x, as_float((vi)((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u)));
}
UNARY(round_f16, nearest_f16(x))
UNARY(round_bf16, nearest_bf16(x))
SCALAR(sin_f, __builtin_sinf(x))
SCALAR(cos_f, __builtin_cosf(x))
SCALAR(tan_f, __builtin_tanf(x))
SCALAR(asin_f, __builtin_asinf(x))
SCALAR(acos_f, __builtin_acosf(x))
SCALAR(atan_f, __builtin_atanf(x))
SCALAR(sinh_f, __builtin_sinhf(x))
SCALAR(cosh_f, __builtin_coshf(x))
SCALAR(asinh_f, __builtin_asinhf(x))
SCALAR(acosh_f, __builtin_acoshf(x))
SCALAR(atanh_f, __builtin_atanhf(x))
TERNARY(multiply_add_f, x* y + z)
TERNARY(subtract_product_f, z - x * y)
TERNARY(blend_f, x + (y - x) * z)
TERNARY(root_ratio_f, x / (root(y) + z))
constexpr float kLeast = 1e-7f, kMost = static_cast<float>(1.0 - 1e-7);
BERRANTE_INLINE vf clipped(vf x) {
  const vf y = select((x > kLeast) | (x != x), x, splat(kLeast));
  return select(y > kMost, splat(kMost), y);
}
BERRANTE_INLINE vf crossentropy(vf target, vf x) {
  const vf p = clipped(x);
  return -(target * log(p) + (1.0f - target) * log(1.0f - p));
}
BERRANTE_INLINE vf crossentropy_slope(vf target, vf x) {
  const vf p = clipped(x);
  const vf slope = (p - target) / (p * (1.0f - p));
  const vf inside = select((x < kLeast) | (x > kMost), splat(0.0f), slope);
  return select((x == kLeast) | (x == kMost), 0.5f * slope, inside);
}
BINARY(crossentropy_f, crossentropy(x, y))
BINARY(crossentropy_slope_f, crossentropy_slope(x, y))
BINARY(eq_f, one_if(x == y))
BINARY(ne_f, one_if(x != y))
BINARY(lt_f, one_if(x < y))
BINARY(le_f, one_if(x <= y))
UNARY(isnan_f, one_if(x != x))
UNARY(isfinite_f, one_if(absolute(x) < kInfinity))
// Wrapping arithmetic, through unsigned lanes.
BINARY(add_i, vf_of((vi)((vu)vi_of(x) + (vu)vi_of(y))))
BINARY(sub_i, vf_of((vi)((vu)vi_of(x) - (vu)vi_of(y))))
BINARY(mul_i, vf_of((vi)((vu)vi_of(x) * (vu)vi_of(y))))
BINARY(max_i, vf_of(select(vi_of(x) > vi_of(y), vi_of(x), vi_of(y))))
BINARY(min_i, vf_of(select(vi_of(x) < vi_of(y), vi_of(x), vi_of(y))))
BERRANTE_INLINE int32_t floor_div(int32_t x, int32_t y) {
  if (y == 0) return 0;
  const int64_t a = x, b = y, q = a / b;
  return static_cast<int32_t>(q - (a % b != 0 && (a % b < 0) != (b < 0)));
}
INTEGER2(floordiv_i, floor_div(x, y))
INTEGER2(mod_i, static_cast<int32_t>(y == 0 ? 0 : static_cast<int64_t>(x) - static_cast<int64_t>(floor_div(x, y)) * y))
UNARY(neg_i, vf_of((vi)(0u - (vu)vi_of(x))))
UNARY(abs_i, vf_of(select(vi_of(x) < 0, (vi)(0u - (vu)vi_of(x)), vi_of(x))))
UNARY(sign_i, vf_of((vi_of(x) < 0) - (vi_of(x) > 0)))
BINARY(and_i, vf_of(vi_of(x) & vi_of(y)))
BINARY(or_i, vf_of(vi_of(x) | vi_of(y)))
BINARY(xor_i, vf_of(vi_of(x) ^ vi_of(y)))
BINARY(eq_i, one_if(vi_of(x) == vi_of(y)))
BINARY(ne_i, one_if(vi_of(x) != vi_of(y)))
BINARY(lt_i, one_if(vi_of(x) < vi_of(y)))
BINARY(le_i, one_if(vi_of(x) <= vi_of(y)))
BERRANTE_INLINE vf truncate(vf x) {
  const vi inside = (x > -2147483648.0f) & (x < 2147483648.0f);
  const vi whole = to_int(select(inside, x, splat(0.0f)));
  const vi limit = select(x >= 2147483648.0f, splat_int(2147483647), splat_int(static_cast<int32_t>(0x80000000)));
  return vf_of(select(inside, whole, select(x != x, splat_int(0), limit)));
}
UNARY(to_i, truncate(x))
UNARY(to_f, to_float(vi_of(x)))

void micro_select(const float* a, const float* b, const float* c, float* out, int64_t n, const Context&) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, select(vi_of(load(a + i)) != 0, load(b + i), load(c + i)));
  for (; i < n; ++i) {
    int32_t condition;
    __builtin_memcpy(&condition, a + i, 4);
    __builtin_memcpy(out + i, condition != 0 ? b + i : c + i, 4);
  }
}

void micro_coordinate(const float* a, const float* b, const float*, float* out, int64_t n, const Context& at) {
  const int64_t inner = int_at(a), extent = int_at(b);
  for (int64_t i = 0; i < n; ++i) {
    const auto x = static_cast<int32_t>((at.first + i) / inner % extent);
    __builtin_memcpy(out + i, &x, 4);
  }
}

// f(blocks, out) for every kBlocks blocks: it writes their 4 * kBlocks values.
template <class F>
BERRANTE_INLINE void each_block(const float* a, const float* b, float* out, int64_t n, const Context& at, F f) {
  const auto seed0 = static_cast<uint32_t>(int_at(a)), seed1 = static_cast<uint32_t>(int_at(b));
  alignas(64) float values[4 * kBlocks];
  for (int64_t i = -(at.first % 4); i < n; i += 4 * kBlocks) {
    const Blocks blocks = philox(seed0, seed1, static_cast<uint64_t>(at.first + i) / 4);
    if (i >= 0 && i + 4 * kBlocks <= n) {
      f(blocks, out + i);
      continue;
    }
    f(blocks, values);
    const int64_t first = i < 0 ? -i : 0, last = n - i < 4 * kBlocks ? n - i : 4 * kBlocks;
    __builtin_memcpy(out + i + first, values + first, static_cast<size_t>(last - first) * 4);
  }
}

void micro_uniform(const float* a, const float* b, const float*, float* out, int64_t n, const Context& at) {
  each_block(a, b, out, n, at, [](const Blocks& blocks, float* y) {
    write_words(blocks, y);
    for (int i = 0; i < 4 * kBlocks; i += kLanes) store(y + i, unit(load(y + i)));
  });
}
void micro_bits(const float* a, const float* b, const float*, float* out, int64_t n, const Context& at) {
  each_block(a, b, out, n, at, [](const Blocks& blocks, float* y) { write_words(blocks, y); });
}
// Box-Muller on word pairs: the even words give radii, the odd ones angles.
void micro_normal(const float* a, const float* b, const float*, float* out, int64_t n, const Context& at) {
  each_block(a, b, out, n, at, [](const Blocks& blocks, float* y) {
    alignas(64) float word[4 * kBlocks], even[2 * kBlocks], odd[2 * kBlocks];
    write_words(blocks, word);
    for (int i = 0; i < 2 * kBlocks; ++i) even[i] = word[2 * i], odd[i] = word[2 * i + 1];
    for (int i = 0; i < 2 * kBlocks; i += kLanes) {
      const vf radius = root(-2.0f * log(unit(load(even + i)) + 0x1p-24f));
      vf sine, cosine;
      sine_of_turns(unit(load(odd + i)), sine, cosine);
      store(even + i, radius * cosine);
      store(odd + i, radius * sine);
    }
    for (int i = 0; i < 2 * kBlocks; ++i) y[2 * i] = even[i], y[2 * i + 1] = odd[i];
  });
}

}  // namespace

const MicroEntry kMicros[kMicroCodes] = {
#define MICRO(name, arity, to, from) {micro_##name, arity, #from[0] == 'i'},
#include "../core/micro.def"
#undef MICRO
};

}  // namespace BERRANTE_ISA
}  // namespace berrante
