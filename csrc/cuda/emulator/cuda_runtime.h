// The emulator's form of <cuda_runtime.h>: CUDA's C++ for a host compiler. Only what berrante's kernels use is here;
// float atomics are absent on purpose (sums have a fixed order).
#pragma once
// Standard headers that kernels may include come first: the words defined below mean other things in them.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda_runtime_api.h"
#include "intrinsics.h"
#include "machine.h"
#include "types.h"
#include "warp.h"

#define __global__
#define __device__
#define __host__
// All shared variables lie in one section, which the machine fills with NaN at the start of each block.
#define __shared__ static __attribute__((section("berrante_shared")))
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
