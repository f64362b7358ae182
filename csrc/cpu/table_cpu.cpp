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

extern const KernelTable kTable;
constinit const KernelTable kTable = {BERRANTE_TEXT(BERRANTE_ISA_NAME),
                                      kLanes,
                                      {
#define OP(name, ...) &name##_kernel,
#include "../ops.def"
#undef OP
                                      }};

}  // namespace BERRANTE_ISA
}  // namespace berrante
