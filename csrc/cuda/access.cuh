// Index arithmetic and wide accesses of the memory-bound kernels: division by numbers known at launch, and packs of
// neighbouring elements that move as one access where they are aligned, element by element where they are not. Which of
// the two it is never changes the order of a sum.
#pragma once
#include "../core/kernel.h"
#include "device.cuh"

namespace berrante {

// n / divisor for n below 2^31 by a multiplication (Granlund and Montgomery, "Division by invariant integers using
// multiplication", 1994), or by the plain division for 64-bit indices.
template <class Index>
struct Divider;
template <>
struct Divider<uint32_t> {
  uint32_t divisor = 1, magic = 1, shift = 0;
  Divider() = default;
  explicit Divider(int64_t d) : divisor(static_cast<uint32_t>(d < 1 ? 1 : d)) {
    while ((uint64_t{1} << shift) < divisor) ++shift;
    magic = static_cast<uint32_t>((((uint64_t{1} << shift) - divisor) << 32) / divisor + 1);
  }
  __device__ __forceinline__ uint32_t divide(uint32_t n) const { return (__umulhi(n, magic) + n) >> shift; }
  // The quotient, and what is left in `rest`.
  __device__ __forceinline__ uint32_t divide(uint32_t n, uint32_t* rest) const {
    const uint32_t q = divide(n);
    *rest = n - q * divisor;
    return q;
  }
};
template <>
struct Divider<uint64_t> {
  uint64_t divisor = 1;
  Divider() = default;
  explicit Divider(int64_t d) : divisor(static_cast<uint64_t>(d < 1 ? 1 : d)) {}
  __device__ __forceinline__ uint64_t divide(uint64_t n) const { return n / divisor; }
  __device__ __forceinline__ uint64_t divide(uint64_t n, uint64_t* rest) const {
    const uint64_t q = n / divisor;
    *rest = n - q * divisor;
    return q;
  }
};
using Divider32 = Divider<uint32_t>;

// What a 32-bit Divider can still divide.
constexpr int64_t kIndexLimit = int64_t{1} << 31;

template <class T, int kWidth>
struct alignas(sizeof(T) * kWidth) Pack {
  T v[kWidth];
};

template <int kWidth, class T>
__device__ __forceinline__ Pack<T, kWidth> load_pack(const T* p, bool aligned) {
  if constexpr (kWidth > 1)
    if (!aligned) {
      Pack<T, kWidth> pack;
#pragma unroll
      for (int i = 0; i < kWidth; ++i) pack.v[i] = p[i];
      return pack;
    }
  return *reinterpret_cast<const Pack<T, kWidth>*>(p);
}
template <int kWidth, class T>
__device__ __forceinline__ void store_pack(T* p, const Pack<T, kWidth>& pack, bool aligned) {
  if constexpr (kWidth > 1)
    if (!aligned) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) p[i] = pack.v[i];
      return;
    }
  *reinterpret_cast<Pack<T, kWidth>*>(p) = pack;
}

// --- on the host -----------------------------------------------------------------------------------------------------

inline bool is_aligned(const void* p, size_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }
inline int64_t ceil_div(int64_t n, int64_t d) { return (n + d - 1) / d; }
inline int64_t count_of(const View& x) {
  int64_t n = 1;
  for (int i = 0; i < x.rank; ++i) n *= x.shape[i];
  return n;
}
inline bool is_number(DType dtype) { return dtype == DType::float32 || dtype == DType::int32; }
inline int64_t element_size(DType dtype) { return is_number(dtype) ? 4 : 1; }

template <class Attrs>
const Attrs& attrs_of(const Call& call) {
  return *static_cast<const Attrs*>(call.attrs);
}
template <class T>
T* data_of(const View& view) {
  return static_cast<T*>(view.data);
}

}  // namespace berrante
