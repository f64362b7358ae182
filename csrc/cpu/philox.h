// Philox4x32-10 (Salmon et al., 2011) in vectors, and what turns its words into numbers.
//
// The counter is the block's number in its low words, the key a seed of two words. Blocks go side by side in 64-bit
// lanes, each word in the low half of its lane, so that one multiplication of halves gives both words of a product; the
// high halves may hold anything, as multiplications do not read them.
#pragma once
#include "math.h"

namespace berrante {
namespace BERRANTE_ISA {

typedef uint64_t vq __attribute__((vector_size(kVectorBytes)));
typedef uint64_t vq_any __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
constexpr int kWide = kLanes / 2;  // 64-bit lanes of a vector
constexpr int kStreams = 4;        // vectors that go through the rounds together, to hide the multiplications' latency
constexpr int kBlocks = kStreams * kWide;

// The products of the low halves.
BERRANTE_INLINE vq multiply_halves(vq a, vq b) {
#if defined(__x86_64__) && !defined(__clang__) && BERRANTE_LANES == 16 && defined(__AVX512F__)
  typedef int32_t halves __attribute__((vector_size(64)));
  typedef long long wholes __attribute__((vector_size(64)));
  return (vq)__builtin_ia32_pmuludq512_mask((halves)a, (halves)b, wholes{}, 255);
#elif defined(__x86_64__) && !defined(__clang__) && BERRANTE_LANES == 8
  typedef int32_t halves __attribute__((vector_size(32)));
  return (vq)__builtin_ia32_pmuludq256((halves)a, (halves)b);
#elif defined(__x86_64__) && !defined(__clang__) && BERRANTE_LANES == 4
  typedef int32_t halves __attribute__((vector_size(16)));
  return (vq)__builtin_ia32_pmuludq128((halves)a, (halves)b);
#else
  return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);  // Clang makes one instruction of this
#endif
}

struct Blocks {
  vq front[kStreams], back[kStreams];  // words 0 and 1, words 2 and 3 of each block, as in memory
};

BERRANTE_INLINE Blocks philox(uint32_t key0, uint32_t key1, uint64_t block) {
  const vq first_factor = vq{} + 0xD2511F53u, second_factor = vq{} + 0xCD9E8D57u;
  vq c0[kStreams], c1[kStreams], c2[kStreams], c3[kStreams];
  for (int s = 0; s < kStreams; ++s) {
    vq number;
    for (int i = 0; i < kWide; ++i) number[i] = block + static_cast<uint64_t>(s * kWide + i);
    c0[s] = number, c1[s] = number >> 32, c2[s] = c3[s] = vq{};
  }
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round) {
    const vq k0 = vq{} + static_cast<uint64_t>(key0), k1 = vq{} + static_cast<uint64_t>(key1);
#pragma GCC unroll 4
    for (int s = 0; s < kStreams; ++s) {
      const vq p0 = multiply_halves(c0[s], first_factor), p1 = multiply_halves(c2[s], second_factor);
      c0[s] = (p1 >> 32) ^ c1[s] ^ k0;
      c2[s] = (p0 >> 32) ^ c3[s] ^ k1;
      c1[s] = p1;
      c3[s] = p0;
    }
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  Blocks result;
  for (int s = 0; s < kStreams; ++s) {
    result.front[s] = (c0[s] & 0xFFFFFFFFu) | (c1[s] << 32);
    result.back[s] = (c2[s] & 0xFFFFFFFFu) | (c3[s] << 32);
  }
  return result;
}

// The words of all blocks, in order.
BERRANTE_INLINE void write_words(const Blocks& blocks, float* out) {
  for (int s = 0; s < kStreams; ++s)
    for (int i = 0; i < kWide; ++i) {
      const uint64_t halves[2] = {blocks.front[s][i], blocks.back[s][i]};
      __builtin_memcpy(out + (s * kWide + i) * 4, halves, 16);
    }
}

// The top 24 bits of a word as a number in [0, 1).
BERRANTE_INLINE vf unit(vf word) { return to_float((vi)((vu)as_int(word) >> 8)) * 0x1p-24f; }

// Sine and cosine of x whole turns, x in [0, 1): the nearest quarter turn, and a polynomial for the rest.
BERRANTE_INLINE void sine_of_turns(vf x, vf& sine, vf& cosine) {
  const vi quarter = to_int(x * 4.0f + 0.5f);
  const vf r = (x - to_float(quarter) * 0.25f) * 6.28318530717958647692f, z = r * r;
  vf s = splat(-1.9515295891e-4f);
  s = s * z + 8.3321608736e-3f;
  s = s * z - 1.6666654611e-1f;
  s = s * z * r + r;
  vf c = splat(2.443315711809948e-5f);
  c = c * z - 1.388731625493765e-3f;
  c = c * z + 4.166664568298827e-2f;
  c = c * z * z - 0.5f * z + 1.0f;
  const vi odd = (quarter & 1) != 0;
  const vf a = select(odd, c, s), b = select(odd, s, c);
  sine = select((quarter & 2) != 0, -a, a);
  cosine = select(((quarter + 1) & 2) != 0, -b, b);
}

}  // namespace BERRANTE_ISA
}  // namespace berrante
