#include "mma.h"

#include <cstring>

namespace berrante::emulator {

namespace {

struct Operands {
  float* d;
  const uint32_t *a, *b;
};

// f(register, half) -> number; `per` elements of k in a register.
template <int kDepth, class F>
void multiply(void* const* arguments, F number) {
  constexpr int kPer = kDepth / 8;
  const auto of = [&](int lane) { return static_cast<const Operands*>(arguments[lane]); };
  double a[16][kDepth], b[kDepth][8];
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4, t = lane % 4;
    for (int half = 0; half < kPer; ++half)
      for (int side = 0; side < 2; ++side) {
        const int k = t * kPer + half + side * 4 * kPer;
        a[g][k] = number(of(lane)->a[2 * side], half);
        a[g + 8][k] = number(of(lane)->a[2 * side + 1], half);
        b[k][g] = number(of(lane)->b[side], half);
      }
  }
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + 8 * (i / 2), column = 2 * (lane % 4) + i % 2;
      double sum = of(lane)->d[i];
      for (int k = 0; k < kDepth; ++k) sum += a[row][k] * b[k][column];
      of(lane)->d[i] = static_cast<float>(sum);
    }
}

void run_tf32(void* const* arguments, unsigned) {
  // The hardware does not read the low 13 bits.
  multiply<8>(arguments, [](uint32_t r, int) { return __builtin_bit_cast(float, r & 0xffffe000u); });
}
void run_bf16(void* const* arguments, unsigned) {
  multiply<16>(arguments, [](uint32_t r, int half) { return float_of_bf16(static_cast<uint16_t>(r >> (16 * half))); });
}
void run_f16(void* const* arguments, unsigned) {
  multiply<16>(arguments, [](uint32_t r, int half) { return float_of_f16(static_cast<uint16_t>(r >> (16 * half))); });
}

struct Load {
  uint32_t* r;
  const void* row;
};
template <bool kTransposed>
void run_load(void* const* arguments, unsigned) {
  for (int matrix = 0; matrix < 4; ++matrix) {
    uint16_t element[8][8];
    for (int row = 0; row < 8; ++row) {
      const void* from = static_cast<const Load*>(arguments[8 * matrix + row])->row;
      if (reinterpret_cast<uintptr_t>(from) % 16 != 0) fail("ldmatrix reads a row that is not 16-byte aligned");
      std::memcpy(element[row], from, 16);
    }
    for (int lane = 0; lane < 32; ++lane) {
      const int g = lane / 4, t = lane % 4;
      const uint32_t low = kTransposed ? element[2 * t][g] : element[g][2 * t];
      const uint32_t high = kTransposed ? element[2 * t + 1][g] : element[g][2 * t + 1];
      static_cast<const Load*>(arguments[lane])->r[matrix] = low | high << 16;
    }
  }
}

void all_lanes(WarpFunction run, void* argument) { warp_operation(0xffffffffu, run, argument, "mma.cuh", 0); }

}  // namespace

uint32_t round_tf32(float x) {
  const auto bits = __builtin_bit_cast(uint32_t, x);
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits;
  return (bits + 0x1000u) & 0xffffe000u;
}

uint16_t bf16_of(float x) {
  const auto bits = __builtin_bit_cast(uint32_t, x);
  if (x != x) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

float float_of_bf16(uint16_t x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x) << 16); }

uint16_t f16_of(float x) {
  const auto bits = __builtin_bit_cast(uint32_t, x);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  if (x != x) return 0x7fff;
  const double size = std::fabs(static_cast<double>(x));
  if (size >= 65520.0) return static_cast<uint16_t>(sign | 0x7c00u);
  // In steps of 2^-24 below 2^-14, of 2^(e - 10) above; nearbyint rounds half to even.
  int exponent = size < 0x1p-14 ? -14 : std::ilogb(size);
  const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  // steps is at most 2048, which carries into the exponent as it should.
  const uint32_t magnitude = size < 0x1p-14 ? steps : (static_cast<uint32_t>(exponent + 14) << 10) + steps;
  return static_cast<uint16_t>(sign | magnitude);
}

float float_of_f16(uint16_t x) {
  const int exponent = x >> 10 & 31, mantissa = x & 1023;
  double size;
  if (exponent == 31)
    size = mantissa != 0 ? static_cast<double>(NAN) : static_cast<double>(INFINITY);
  else
    size = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return static_cast<float>((x & 0x8000) != 0 ? -size : size);
}

void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Operands mine{d, a, b};
  all_lanes(run_tf32, &mine);
}
void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Operands mine{d, a, b};
  all_lanes(run_bf16, &mine);
}
void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  Operands mine{d, a, b};
  all_lanes(run_f16, &mine);
}
void load_matrices(uint32_t (&r)[4], const void* row, bool transposed) {
  Load mine{r, row};
  all_lanes(transposed ? run_load<true> : run_load<false>, &mine);
}

}  // namespace berrante::emulator
