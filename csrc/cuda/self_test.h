// Small kernels that check the ground that all others stand on: the emulator against its own rules, and its fragments,
// copies and reductions against real hardware where there is some. tests/cuda/test_ground.py calls them.
#pragma once
#include <cuda_runtime_api.h>

#include <string_view>

namespace berrante {

// False for an unknown name. a, b and out are device memory, as large as the test of that name says.
bool self_test(std::string_view name, const float* a, const float* b, float* out, cudaStream_t stream);

}  // namespace berrante
