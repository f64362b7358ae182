// A CUDA kernel's host side: it looks at shapes and attributes, as a CPU kernel's plan does, and launches on the given
// stream. The views hold device pointers.
#pragma once
#include <cuda_runtime_api.h>

#include "../core/kernel.h"

namespace berrante {

struct CudaKernel {
  const char* name;
  // Null, or why the call is refused; errors of the launch itself stay in cudaGetLastError.
  const char* (*launch)(const Call& call, cudaStream_t stream);
};

extern const CudaKernel map_cuda_kernel;

}  // namespace berrante
