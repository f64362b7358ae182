// Memory on 64-byte boundaries, the width of the widest vector and of a cache line.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace berrante {

struct FreeDeleter {
  void operator()(std::byte* p) const { std::free(p); }
};
using AlignedBytes = std::unique_ptr<std::byte[], FreeDeleter>;

inline size_t round_up(size_t size, size_t multiple) { return (size + multiple - 1) / multiple * multiple; }

// Undefined contents; throws std::bad_alloc.
inline AlignedBytes allocate_aligned(size_t size) {
  auto* p = static_cast<std::byte*>(std::aligned_alloc(64, round_up(size == 0 ? 1 : size, 64)));
  if (p == nullptr) throw std::bad_alloc();
  return AlignedBytes(p);
}

}  // namespace berrante
