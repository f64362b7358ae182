// Launching a kernel: launch(kernel, grid, block, shared_bytes, stream, arguments...), in place of <<< >>>, so that the
// same source is compiled for the device and for the emulator. An empty grid launches nothing.
#pragma once
#include <tuple>
#include <type_traits>
#include <utility>

#include "device.cuh"

namespace berrante {

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
            Arguments&&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  std::tuple<std::remove_cv_t<Parameters>...> values(std::forward<Arguments>(arguments)...);
#ifdef BERRANTE_CUDA_EMULATED
  emulator::launch({grid, block, shared_bytes, [kernel, values] { std::apply(kernel, values); }}, stream);
#else
  const auto* function = reinterpret_cast<const void*>(kernel);
  constexpr size_t kDefaultLimit = 48 << 10;
  if (shared_bytes > kDefaultLimit)
    cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  std::apply(
      [&](auto&... value) {
        void* addresses[sizeof...(Parameters) + 1] = {const_cast<void*>(static_cast<const void*>(&value))...};
        cudaLaunchKernel(function, grid, block, addresses, shared_bytes, stream);
      },
      values);
#endif
}

// Blocks of `size` for n items, at most `limit`.
inline unsigned blocks_for(int64_t n, int64_t size, int64_t limit = 0x7fffffff) {
  const int64_t blocks = (n + size - 1) / size;
  return static_cast<unsigned>(blocks < limit ? blocks : limit);
}

}  // namespace berrante
