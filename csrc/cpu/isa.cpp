// Which instruction sets were built (BERRANTE_BUILT_ISAS, from cmake/isa.cmake), which of them this machine runs, and
// the choice among them: the last that runs, unless the environment variable BERRANTE_ISA names one.
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "kernel_table.h"

namespace berrante {

#define ISA(name)                    \
  namespace isa_##name {             \
    extern const KernelTable kTable; \
  }
BERRANTE_BUILT_ISAS
#undef ISA

namespace {

// From the narrowest to the widest.
const KernelTable* const kBuilt[] = {
#define ISA(name) &isa_##name::kTable,
    BERRANTE_BUILT_ISAS
#undef ISA
};

const KernelTable& choose() {
  const char* forced = std::getenv("BERRANTE_ISA");
  if (forced != nullptr && *forced != '\0') {
    const KernelTable* table = find_kernel_table(forced);
    std::string built;
    for (const KernelTable* t : kBuilt) built += std::string(built.empty() ? "" : ", ") + t->isa;
    if (table == nullptr)
      throw std::runtime_error("BERRANTE_ISA=" + std::string(forced) + " was not built; this build has " + built);
    if (!machine_runs(forced))
      throw std::runtime_error("BERRANTE_ISA=" + std::string(forced) + ": this machine lacks these instructions");
    return *table;
  }
  const KernelTable* best = nullptr;
  for (const KernelTable* table : kBuilt)
    if (machine_runs(table->isa) && std::string_view(table->isa) != "wide") best = table;
  if (best == nullptr) throw std::runtime_error("this machine runs none of the instruction sets that were built");
  return *best;
}

}  // namespace

const KernelTable& kernel_table() {
  static const KernelTable& table = choose();
  return table;
}

const KernelTable* find_kernel_table(std::string_view isa) {
  for (const KernelTable* table : kBuilt)
    if (isa == table->isa) return table;
  return nullptr;
}

bool machine_runs(std::string_view isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == "baseline") return true;
  if (isa == "avx2" || isa == "wide") return avx2;
  if (isa == "avx512")
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return false;
#elif defined(__aarch64__)
  return isa == "neon";
#else
  return isa == "baseline";
#endif
}

}  // namespace berrante
