// The table of CUDA kernels, from ops.def. The references are weak: a kernel that is not written is null here, and a
// program that needs it says so. What may be missing is decided by tests/cuda/test_kernel_table.py.
#include "cuda_kernel.h"

namespace berrante {

#define OP(name, ...) extern const CudaKernel name##_cuda_kernel __attribute__((weak));
#include "../ops.def"
#undef OP

namespace {

const CudaKernel* const kKernels[] = {
#define OP(name, ...) &name##_cuda_kernel,
#include "../ops.def"
#undef OP
};

}  // namespace

const CudaKernel* (*substitute_kernel)(int op) = nullptr;

const CudaKernel* cuda_kernel(int op) {
  return kKernels[op] == nullptr && substitute_kernel != nullptr ? substitute_kernel(op) : kKernels[op];
}

}  // namespace berrante
