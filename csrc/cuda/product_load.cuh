// From tensors to tiles in shared memory, by asynchronous copies of 16 bytes, or of 4 where the addresses do not allow
// more (a slice of a flat buffer, three channels).
//
// A tile of [rows, kTileDepth] keeps its operand's direction. Both forms are swizzled, so that neither the copies nor
// the reads of fragments (eight rows of four in depth) meet in a bank.
#pragma once
#include "async_copy.cuh"
#include "product.h"

namespace berrante {

template <bool kAlongDepth, int kRows>
__device__ __forceinline__ int tile_index(int row, int depth) {
  if constexpr (kAlongDepth)
    return row * kTileDepth + (((depth >> 2) ^ (row & 7)) << 2) + (depth & 3);
  else
    return depth * kRows + (row ^ (((depth & 3) << 3) & (kRows - 1)));
}

struct Place {
  int64_t offset;
  int y, x;
};
struct Tap {
  int offset, y, x;
};
constexpr int kOutside = -(1 << 29);

template <bool kImages>
__device__ __forceinline__ Place find_place(const Operand& op, int index, int limit) {
  if (index >= limit) return {0, kOutside, kOutside};
  if constexpr (!kImages) return {index * op.place_step, 0, 0};
  const int image = op.positions.quotient(index);
  const int rest = index - image * static_cast<int>(op.positions.divisor), i = op.columns.quotient(rest);
  const int j = rest - i * static_cast<int>(op.columns.divisor);
  const int y = i * op.stride_y + op.origin_y, x = j * op.stride_x + op.origin_x;
  return {image * op.place_step + static_cast<int64_t>(y) * op.row_step + static_cast<int64_t>(x) * op.column_step, y,
          x};
}

template <bool kImages>
__device__ __forceinline__ Tap find_tap(const Operand& op, int index, int limit) {
  if (index >= limit) return {0, kOutside, kOutside};
  if constexpr (!kImages) return {index, 0, 0};
  const int tap = op.channels.quotient(index), channel = index - tap * static_cast<int>(op.channels.divisor);
  const int i = op.taps_x.quotient(tap), j = tap - i * static_cast<int>(op.taps_x.divisor);
  const int y = i * op.tap_y, x = j * op.tap_x;
  return {y * op.row_step + x * op.column_step + channel, y, x};
}

// kThreads threads load tiles of kRows rows.
template <bool kImages, bool kAlongDepth, int kRows, int kThreads>
class Loader {
  static constexpr int kVectors = (kAlongDepth ? kTileDepth : kRows) / 4;  // of one line of the tile
  static constexpr int kLines = kThreads / kVectors;                       // at a time
  static constexpr int kCount = (kAlongDepth ? kRows : kTileDepth) / kLines;
  static_assert(kThreads % kVectors == 0 && (kAlongDepth ? kRows : kTileDepth) % kLines == 0);

 public:
  // `data` is the operand's, of this batch.
  __device__ __forceinline__ Loader(const Operand& op, const float* data, int row, int rows)
      : op_(op), data_(data), row_(row), rows_(rows) {
    line_ = static_cast<int>(threadIdx.x) / kVectors;
    element_ = static_cast<int>(threadIdx.x) % kVectors * 4;
    if constexpr (kAlongDepth) {
#pragma unroll
      for (int i = 0; i < kCount; ++i) place_[i] = find_place<kImages>(op, row + line_ + i * kLines, rows);
    } else {
      tap_ = find_tap<kImages>(op, row + element_, rows);
    }
  }

  // The tile at depth k; what lies at `end` and beyond is zero.
  __device__ __forceinline__ void load(float* tile, int k, int end) const {
    if constexpr (kAlongDepth) {
      if (op_.vectors) {
        const Tap tap = find_tap<kImages>(op_, k + element_, end);
#pragma unroll
        for (int i = 0; i < kCount; ++i) copy<16>(&tile[index(i, 0)], place_[i], tap);
      } else {
#pragma unroll 1
        for (int e = 0; e < 4; ++e) {
          const Tap tap = find_tap<kImages>(op_, k + element_ + e, end);
#pragma unroll
          for (int i = 0; i < kCount; ++i) copy<4>(&tile[index(i, e)], place_[i], tap);
        }
      }
    } else {
      if (op_.vectors) {
#pragma unroll
        for (int i = 0; i < kCount; ++i)
          copy<16>(&tile[index(i, 0)], find_place<kImages>(op_, k + line_ + i * kLines, end), tap_);
      } else {
#pragma unroll 1
        for (int e = 0; e < 4; ++e) {
          const Tap tap = find_tap<kImages>(op_, row_ + element_ + e, rows_);
#pragma unroll 1
          for (int i = 0; i < kCount; ++i)
            copy<4>(&tile[index(i, e)], find_place<kImages>(op_, k + line_ + i * kLines, end), tap);
        }
      }
    }
  }

 private:
  __device__ __forceinline__ int index(int i, int e) const {
    return kAlongDepth ? tile_index<true, kRows>(line_ + i * kLines, element_ + e)
                       : tile_index<false, kRows>(element_ + e, line_ + i * kLines);
  }
  template <int kBytes>
  __device__ __forceinline__ void copy(float* to, const Place& place, const Tap& tap) const {
    bool valid = static_cast<unsigned>(place.y + tap.y) < static_cast<unsigned>(kImages ? op_.height : 1);
    if constexpr (kImages) valid &= static_cast<unsigned>(place.x + tap.x) < static_cast<unsigned>(op_.width);
    copy_async<kBytes>(to, valid ? data_ + place.offset + tap.offset : data_, valid);
  }

  const Operand& op_;
  const float* data_;
  int row_, rows_, line_, element_;
  Place place_[kAlongDepth ? kCount : 1];
  Tap tap_;
};

}  // namespace berrante
