// Vector mathematics over vf: exp, log, tanh, sigmoid, softplus, expm1, log1p, erf. Each reduces its argument to a
// small range and evaluates a polynomial; a few units in the last place over the whole range, specials as in IEEE 754.
#pragma once
#include "simd.h"

namespace berrante {
namespace BERRANTE_ISA {

constexpr float kInfinity = __builtin_inff();

// 2^n for n in [-126, 127].
BERRANTE_INLINE vf power_of_two(vi n) { return as_float((n + 127) << 23); }

// exp(r) - 1 for |r| <= ln2 / 2, but for the last term, r itself.
BERRANTE_INLINE vf exp_beyond_r(vf r) {
  vf p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * (r * r);
}
BERRANTE_INLINE vf exp_near_zero(vf r) { return exp_beyond_r(r) + r + 1.0f; }

constexpr float kRounding = 12582912.0f;  // 1.5 * 2^23: added to a number it rounds it to an integer in the low bits
constexpr float kLog2E = 1.44269504088896341f, kLn2High = 0.693145751953125f, kLn2Low = 1.42860682030941723212e-6f;

// What is rare, out of the way of the loops: a vector with a lane that the short form does not cover.
#define BERRANTE_RARE static __attribute__((noinline, unused))

BERRANTE_INLINE vf absolute(vf x) { return as_float(as_int(x) & 0x7fffffff); }
BERRANTE_INLINE vf copy_sign(vf magnitude, vf sign) {
  return as_float((as_int(magnitude) & 0x7fffffff) | (as_int(sign) & static_cast<int32_t>(0x80000000)));
}

// exp(x) = 2^n exp(r), |r| <= ln2 / 2, for |x| <= 87: 2^n comes straight from the low bits of the rounded number.
BERRANTE_INLINE vf exp_of_ordinary(vf x) {
  const vf shifted = x * kLog2E + (kRounding + 127.0f);
  const vf n = shifted - (kRounding + 127.0f);
  return exp_near_zero(x - n * kLn2High - n * kLn2Low) * as_float(as_int(shifted) << 23);
}

// The same with n split in two, so that denormal results come out right.
BERRANTE_RARE vf exp_anywhere(vf x) {
  vf clamped = min(max(x, splat(-104.0f)), splat(89.0f));
  clamped = select(x != x, splat(0.0f), clamped);
  const vf n_float = (clamped * kLog2E + (kRounding + 127.0f)) - (kRounding + 127.0f);
  const vi n = to_int(n_float);
  const vf p = exp_near_zero(clamped - n_float * kLn2High - n_float * kLn2Low);
  const vi half = n >> 1;
  vf y = p * power_of_two(half) * power_of_two(n - half);
  y = select(x > 88.7228393f, splat(kInfinity), y);
  return select(x != x, x, y);
}

BERRANTE_INLINE vf exp(vf x) {
  if (all(absolute(x) <= 87.0f)) return exp_of_ordinary(x);
  return exp_anywhere(x);
}

// exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1).
BERRANTE_INLINE vf expm1_of_ordinary(vf x) {
  const vf shifted = x * kLog2E + (kRounding + 127.0f);
  const vf n = shifted - (kRounding + 127.0f);
  const vf r = x - n * kLn2High - n * kLn2Low, scale = as_float(as_int(shifted) << 23);
  return (exp_beyond_r(r) + r) * scale + (scale - 1.0f);
}

BERRANTE_INLINE vf expm1(vf x) {
  if (all(absolute(x) <= 87.0f)) return expm1_of_ordinary(x);
  return select(absolute(x) <= 87.0f, expm1_of_ordinary(x), exp_anywhere(x) - 1.0f);
}

// log(x) = e ln2 + log(m), m in [sqrt(1/2), sqrt(2)), for normal x.
BERRANTE_INLINE vf log_of_ordinary(vf x) {
  // Unsigned, as bits of any x may come here: they wrap.
  const vu e_bits = ((vu)as_int(x) - 0x3f3504f3u) & 0xff800000u;
  const vf e = to_float((vi)e_bits >> 23);
  const vf m = as_float((vi)((vu)as_int(x) - e_bits)) - 1.0f;
  const vf z = m * m;
  const vf p8 = splat(7.0376836292e-2f);
  const vf p76 = -1.1514610310e-1f * m + 1.1676998740e-1f;
  const vf p54 = -1.2420140846e-1f * m + 1.4249322787e-1f;
  const vf p32 = -1.6668057665e-1f * m + 2.0000714765e-1f;
  const vf p10 = -2.4999993993e-1f * m + 3.3333331174e-1f;
  const vf p = (p8 * z + p76) * (z * z) * z + ((p54 * z + p32) * z + p10);
  vf y = p * m * z;
  y = y + e * -2.12194440e-4f;
  y = y - 0.5f * z;
  return m + y + e * 0.693359375f;
}

BERRANTE_RARE vf log_anywhere(vf x) {
  const vi denormal = x < 1.17549435e-38f;
  const vf y = log_of_ordinary(select(denormal, x * 8388608.0f, x));
  vf special = select(denormal, y - 15.9423847f, y);
  special = select(x == splat(kInfinity), x, special);
  special = select(x == splat(0.0f), splat(-kInfinity), special);
  return select((x < 0.0f) | (x != x), splat(__builtin_nanf("")), special);
}

BERRANTE_INLINE vf log(vf x) {
  if (all((x >= 1.17549435e-38f) & (x < kInfinity))) return log_of_ordinary(x);
  return log_anywhere(x);
}

// (exp(2 x) - 1) / (exp(2 x) + 1); a NaN passes both limits.
BERRANTE_INLINE vf tanh(vf x) {
  const vf e = expm1_of_ordinary(max(splat(-20.0f), min(splat(20.0f), x + x)));
  return e / (e + 2.0f);
}

BERRANTE_INLINE vf sigmoid(vf x) { return 1.0f / (1.0f + exp(-x)); }

// log(1 + x) keeps the low bits that 1 + x loses.
BERRANTE_INLINE vf log1p(vf x) {
  const vf u = 1.0f + x;
  const vf d = u - 1.0f;
  const vf y = log(u) * (x / select(d == splat(0.0f), splat(1.0f), d));
  return select((d == splat(0.0f)) | (x == splat(kInfinity)), x, y);
}

BERRANTE_INLINE vf softplus(vf x) { return select(x != x, x, max(x, splat(0.0f)) + log1p(exp(-absolute(x)))); }

// x P(x^2) up to 1, 1 - exp(-Q(|x|)) beyond: minimax polynomials.
BERRANTE_INLINE vf erf(vf x) {
  const vf a = min(absolute(x), splat(4.0f));
  const vf z = x * x;
  vf p = splat(7.853861223e-5f);
  p = p * z - 8.010193585e-4f;
  p = p * z + 5.188327681e-3f;
  p = p * z - 2.685381193e-2f;
  p = p * z + 1.128358515e-1f;
  p = p * z - 3.761262582e-1f;
  p = p * z + 1.128379166f;
  vf q = splat(-1.863792096e-4f);
  q = q * a + 2.947658474e-3f;
  q = q * a - 2.183806467e-2f;
  q = q * a + 1.031067559e-1f;
  q = q * a + 6.381448314e-1f;
  q = q * a + 1.127089191f;
  q = q * a + 3.415228414e-4f;
  const vf large = copy_sign(1.0f - exp_of_ordinary(-q), x);
  return select(x != x, x, select(a < 1.0f, p * x, large));
}

}  // namespace BERRANTE_ISA
}  // namespace berrante
