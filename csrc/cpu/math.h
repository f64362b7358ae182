// Vector mathematics over vf: exp, log, tanh, sigmoid, softplus, expm1, log1p, erf. Each reduces its argument to a
// small range and evaluates a polynomial; a few units in the last place over the whole range, specials as in IEEE 754.
#pragma once
#include "simd.h"

namespace berrante {
namespace BERRANTE_ISA {

constexpr float kInfinity = __builtin_inff();

// 2^n for n in [-126, 127].
BERRANTE_INLINE vf power_of_two(vi n) { return as_float((n + 127) << 23); }

// exp(r) for |r| <= ln2 / 2.
BERRANTE_INLINE vf exp_near_zero(vf r) {
  vf p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * (r * r) + r + 1.0f;
}

constexpr float kRounding = 12582912.0f;  // 1.5 * 2^23: added to a number it rounds it to an integer in the low bits
constexpr float kLog2E = 1.44269504088896341f, kLn2High = 0.693145751953125f, kLn2Low = 1.42860682030941723212e-6f;

// exp(x) = 2^n exp(r), |r| <= ln2 / 2, n split in two so that denormal results come out right.
BERRANTE_INLINE vf exp(vf x) {
  vf clamped = min(max(x, splat(-104.0f)), splat(89.0f));
  clamped = select(x != x, splat(0.0f), clamped);
  const vf n_float = (clamped * kLog2E + kRounding) - kRounding;
  const vi n = to_int(n_float);
  const vf p = exp_near_zero(clamped - n_float * kLn2High - n_float * kLn2Low);
  const vi half = n >> 1;
  vf y = p * power_of_two(half) * power_of_two(n - half);
  y = select(x > 88.7228393f, splat(kInfinity), y);
  return select(x != x, x, y);
}

// The same for |x| <= 87 alone: 2^n comes straight from the low bits of the rounded number.
BERRANTE_INLINE vf exp_of_ordinary(vf x) {
  const vf shifted = x * kLog2E + (kRounding + 127.0f);
  const vf n = shifted - (kRounding + 127.0f);
  return exp_near_zero(x - n * kLn2High - n * kLn2Low) * as_float(as_int(shifted) << 23);
}

// log(x) = e ln2 + log(m), m in [sqrt(1/2), sqrt(2)).
BERRANTE_INLINE vf log(vf x) {
  const vi denormal = x < 1.17549435e-38f;
  const vf scaled = select(denormal, x * 8388608.0f, x);
  vi bits = as_int(scaled);
  vf e = to_float(((bits >> 23) & 255) - 126);
  e = select(denormal, e - 23.0f, e);
  vf m = as_float((bits & 0x007fffff) | 0x3f000000);
  const vi low = m < 0.707106781186547524f;
  e = select(low, e - 1.0f, e);
  m = select(low, m + m, m) - 1.0f;
  const vf z = m * m;
  vf p = splat(7.0376836292e-2f);
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  vf y = p * m * z;
  y = y + e * -2.12194440e-4f;
  y = y - 0.5f * z;
  y = m + y + e * 0.693359375f;
  y = select(x == splat(kInfinity), x, y);
  y = select(x == splat(0.0f), splat(-kInfinity), y);
  return select((x < 0.0f) | (x != x), splat(__builtin_nanf("")), y);
}

BERRANTE_INLINE vf absolute(vf x) { return as_float(as_int(x) & 0x7fffffff); }
BERRANTE_INLINE vf copy_sign(vf magnitude, vf sign) {
  return as_float((as_int(magnitude) & 0x7fffffff) | (as_int(sign) & static_cast<int32_t>(0x80000000)));
}

// An odd polynomial near 0, 1 - 2 / (exp(2 |x|) + 1) elsewhere.
BERRANTE_INLINE vf tanh(vf x) {
  const vf a = absolute(x);
  const vf z = x * x;
  vf p = splat(-5.70498872745e-3f);
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const vf small = p * z * x + x;
  const vf large = copy_sign(1.0f - 2.0f / (exp_of_ordinary(min(a + a, splat(40.0f))) + 1.0f), x);
  return select(x != x, x, select(a < 0.625f, small, large));
}

BERRANTE_INLINE vf sigmoid(vf x) { return 1.0f / (1.0f + exp(-x)); }

// log(1 + x) keeps the low bits that 1 + x loses.
BERRANTE_INLINE vf log1p(vf x) {
  const vf u = 1.0f + x;
  const vf d = u - 1.0f;
  const vf y = log(u) * (x / select(d == splat(0.0f), splat(1.0f), d));
  return select((d == splat(0.0f)) | (x == splat(kInfinity)) | (x == splat(0.0f)), x, y);
}

BERRANTE_INLINE vf softplus(vf x) { return select(x != x, x, max(x, splat(0.0f)) + log1p(exp(-absolute(x)))); }

}  // namespace BERRANTE_ISA
}  // namespace berrante
