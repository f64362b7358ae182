// Tiles multiplied by float32 fused multiply-adds: kM x kN by kM / kRows x kN / kColumns threads. A thread's rows and
// columns are spread over the tile, so that a warp reads neighbours.
#pragma once
#include "product_load.cuh"

namespace berrante {

template <int kTileM, int kTileN, int kRows, int kColumns>
class Simt {
 public:
  static constexpr int kM = kTileM, kN = kTileN, kThreads = (kM / kRows) * (kN / kColumns);

  template <bool kDepthA, bool kDepthB>
  __device__ __forceinline__ void multiply(const float* a, const float* b) {
#pragma unroll 4
    for (int k = 0; k < kTileDepth; ++k) {
      float column[kColumns];
#pragma unroll
      for (int j = 0; j < kColumns; ++j) column[j] = b[tile_index<kDepthB, kN>(n(j), k)];
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const float row = a[tile_index<kDepthA, kM>(m(i), k)];
#pragma unroll
        for (int j = 0; j < kColumns; ++j) sum_[i][j] = fmaf(row, column[j], sum_[i][j]);
      }
    }
  }

  template <class Writer>
  __device__ __forceinline__ void write(const Writer& to, int m0, int n0, int rows) const {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (m0 + m(i) >= rows) continue;
      float* const row = to.row(m0 + m(i));
#pragma unroll
      for (int j = 0; j < kColumns; ++j) to.one(row, n0 + n(j), sum_[i][j]);
    }
  }

 private:
  static constexpr int kAcross = kN / kColumns, kDown = kM / kRows;
  __device__ __forceinline__ static int m(int i) { return static_cast<int>(threadIdx.x) / kAcross + i * kDown; }
  __device__ __forceinline__ static int n(int j) { return static_cast<int>(threadIdx.x) % kAcross + j * kAcross; }

  float sum_[kRows][kColumns] = {};
};

}  // namespace berrante
