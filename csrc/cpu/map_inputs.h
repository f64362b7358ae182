// How map reads its inputs: dense ones where they lie; broadcast ones expanded per tile: single elements once a task,
// vectors that repeat (a bias over the last dimension) once a task into a buffer that tiles read at an offset, other
// patterns element by element.
#pragma once
#include "simd.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kMaxPeriod = 2048;

// How an input is read.
enum class Walk { dense, single, periodic, general };

Walk walk_of(const map_attrs& attrs, int input) {
  const int64_t rank = attrs.shape.size;
  const int64_t* strides = attrs.strides.data + input * rank;
  bool dense = true, zero = true;
  int64_t step = 1;
  for (int64_t d = rank - 1; d >= 0; --d) {
    dense = dense && (strides[d] == step || attrs.shape.data[d] == 1);
    zero = zero && strides[d] == 0;
    step *= attrs.shape.data[d];
  }
  if (zero) return Walk::single;
  if (dense) return Walk::dense;
  if (rank == 2 && strides[0] == 0 && strides[1] == 1 && attrs.shape.data[1] <= kMaxPeriod) return Walk::periodic;
  return Walk::general;
}

BERRANTE_INLINE void widen(const View& view, int64_t offset, float* out) {
  if (view.dtype == DType::float32 || view.dtype == DType::int32) {
    __builtin_memcpy(out, static_cast<const char*>(view.data) + 4 * offset, 4);
  } else {
    const int32_t x = static_cast<const uint8_t*>(view.data)[offset];
    __builtin_memcpy(out, &x, 4);
  }
}

// n neighbouring bytes as int32.
BERRANTE_INLINE void widen_bytes(const uint8_t* from, int64_t n, float* out) {
  typedef uint8_t vb __attribute__((vector_size(kLanes)));
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    vb bytes;
    __builtin_memcpy(&bytes, from + i, kLanes);
    store(out + i, as_float(__builtin_convertvector(bytes, vi)));
  }
  for (; i < n; ++i) {
    const int32_t x = from[i];
    __builtin_memcpy(out + i, &x, 4);
  }
}

// Elements first .. first + n of a broadcast input, by coordinates.
void load_general(const View& view, const Ints& shape, const int64_t* strides, int64_t first, int64_t n, float* out) {
  const int rank = static_cast<int>(shape.size);
  int64_t at[kMaxRank], offset = 0, rest = first;
  for (int d = rank - 1; d >= 0; --d) {
    at[d] = rest % shape.data[d];
    rest /= shape.data[d];
    offset += at[d] * strides[d];
  }
  const int last = rank - 1;
  const int64_t inner = shape.data[last], step = strides[last];
  const bool words = view.dtype == DType::float32 || view.dtype == DType::int32;
  for (int64_t i = 0; i < n;) {
    int64_t run = inner - at[last];
    if (run > n - i) run = n - i;
    if (words && step == 1) {
      __builtin_memcpy(out + i, static_cast<const float*>(view.data) + offset, static_cast<size_t>(run) * 4);
    } else if (step == 0) {
      float x;
      widen(view, offset, &x);
      for (int64_t k = 0; k < run; ++k) out[i + k] = x;
    } else if (!words && step == 1) {
      widen_bytes(static_cast<const uint8_t*>(view.data) + offset, run, out + i);
    } else {
      for (int64_t k = 0; k < run; ++k) widen(view, offset + k * step, out + i + k);
    }
    i += run;
    offset += run * step;
    at[last] += run;
    for (int d = last; d > 0 && at[d] == shape.data[d]; --d) {
      at[d] = 0;
      offset += strides[d - 1] - shape.data[d] * strides[d];
      ++at[d - 1];
    }
  }
}

}  // namespace
}  // namespace BERRANTE_ISA
}  // namespace berrante
