// What a CUDA kernel is: two functions and a name, as on the CPU (core/kernel.h). `plan` looks at shapes and attributes
// alone: it refuses what is wrong and asks for workspace, and needs no device, so it is tested where there is none.
// `launch` puts the work on a stream. It may not allocate, synchronise or copy from the host, so that whole programs
// can be captured as one CUDA graph; errors of the launch itself stay in cudaGetLastError. How the work divides, and
// with it the order of every sum, follows from shapes and precision, never from the device: the same bits on every run
// (a grid-stride loop may use the number of multiprocessors, a split sum may not).
//
// One line of ops.def is one kernel `<name>_cuda_kernel`, defined in csrc/ops/<family>_cuda.cu. Those files are
// compiled twice: by nvcc, and by the host's compiler against the emulator (cuda/emulator/README.md). They include
// device.cuh, launch.cuh and, where they need them, mma.cuh and async_copy.cuh; nothing of <cuda_*> themselves.
#pragma once
#include <cuda_runtime_api.h>

#include "../core/attrs.h"
#include "../core/kernel.h"

namespace berrante {

// How products of float32 are computed on tensor cores: tf32 rounds the factors to 10 bits, full keeps float32's
// precision, bf16 and f16 round the factors to those formats. Sums are always float32.
enum class Precision : int32_t { tf32 = 0, full = 1, bf16 = 2, f16 = 3 };

struct CudaPlan {
  const char* error;    // not null: the shapes or attributes are wrong, and why; `launch` is never called
  size_t workspace;     // bytes of device memory at call.workspace, 256-byte aligned, undefined at the start
  Precision precision;  // given: what launch will be told
};

// Where a launch goes.
struct CudaTarget {
  cudaStream_t stream;
  Precision precision;
  int compute;          // compute capability times ten: 75, 80, 90, ...
  int multiprocessors;  // for grid-stride loops
};

// `plan` receives {nullptr, 0, precision}; data pointers in the call may be null there. Views hold device pointers, at
// least element-aligned (arena buffers are 64-byte aligned, slices of a flat parameter buffer are not).
struct CudaKernel {
  const char* name;
  void (*plan)(const Call& call, CudaPlan& plan);
  void (*launch)(const Call& call, const CudaTarget& target);
};

#define OP(name, ...) extern const CudaKernel name##_cuda_kernel;
#include "../ops.def"
#undef OP

// The kernel of an operation (an index into ops.def); null where there is no CUDA form.
const CudaKernel* cuda_kernel(int op);

// What stands in for kernels that are not there; null unless a test of the runtime alone sets it.
extern const CudaKernel* (*substitute_kernel)(int op);

}  // namespace berrante
