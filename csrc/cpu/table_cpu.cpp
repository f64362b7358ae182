// This instruction set's kernel table, filled from ops.def: a kernel that is listed but not written fails to link.
#include "kernel_table.h"

#include "simd.h"

#define BERRANTE_TEXT2(x) #x
#define BERRANTE_TEXT(x) BERRANTE_TEXT2(x)

namespace berrante {
namespace BERRANTE_ISA {

#define OP(name, ...) extern const Kernel name##_kernel;
#include "../ops.def"
#undef OP

// Multiply-adds from registers alone, enough of them at once to hide their latency: how fast this instruction set can
// be at most. Benchmarks measure it. Gives the sum, so that it is computed, and the floating-point operations done.
static float fma_loop(int64_t rounds, double* flops) {
  constexpr int kSums = 12;
  vf sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = splat(static_cast<float>(i));
  const vf x = splat(0.5f), y = splat(1.0f);
  for (int64_t k = 0; k < rounds; ++k)
#pragma GCC unroll 16
    for (int i = 0; i < kSums; ++i) sum[i] = sum[i] * x + y;
  for (int i = 1; i < kSums; ++i) sum[0] += sum[i];
  *flops = static_cast<double>(rounds) * kSums * kLanes * 2;
  return sum_lanes(sum[0]);
}

extern const KernelTable kTable;
constinit const KernelTable kTable = {BERRANTE_TEXT(BERRANTE_ISA_NAME),
                                      kLanes,
                                      fma_loop,
                                      {
#define OP(name, ...) &name##_kernel,
#include "../ops.def"
#undef OP
                                      }};

}  // namespace BERRANTE_ISA
}  // namespace berrante
