// The kernels of one instruction set, in the order of ops.def.
#pragma once
#include <string_view>

#include "../core/kernel.h"

namespace berrante {

enum class Op : int32_t {
#define OP(name, ...) name,
#include "../ops.def"
#undef OP
  count
};

struct KernelTable {
  const char* isa;
  int lanes;
  float (*fma_loop)(int64_t rounds, double* flops);  // see table_cpu.cpp
  const Kernel* kernels[static_cast<int>(Op::count)];
};

// The table chosen for this machine, or the one that BERRANTE_ISA names. Throws std::runtime_error if that one was not
// built or the machine cannot run it. Chosen once.
const KernelTable& kernel_table();

// A built table by name ("baseline", "avx2", "avx512", "neon"), null if it was not built.
const KernelTable* find_kernel_table(std::string_view isa);
bool machine_runs(std::string_view isa);

}  // namespace berrante
