// Tiles multiplied on tensor cores by mma.sync: kM x kN by kWarpsM x kWarpsN warps. The factors are rounded as
// fragments leave shared memory; sums are float32.
//
// Fragments come by ldmatrix where the tile lies along the depth (eight rows of four 32-bit elements look like eight
// rows of eight 16-bit ones), else by single reads, both free of bank conflicts by the tile's swizzle.
#pragma once
#include "mma.cuh"
#include "product_load.cuh"

namespace berrante {

// Four tf32 elements of A, or two pairs of B's for two neighbouring columns of eight, at depth k .. k + 7: registers
// (row g, k t), (row g + 8, k t), (row g, k t + 4), (row g + 8, k t + 4).
template <bool kAlongDepth, int kRows>
__device__ __forceinline__ void read_fragment(const float* tile, int row, int k, uint32_t (&r)[4]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  if constexpr (kAlongDepth) {
    load_matrices(r, &tile[tile_index<true, kRows>(row + lane % 16, k + lane / 16 * 4)]);
  } else {
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      r[i] = __float_as_uint(tile[tile_index<false, kRows>(row + g + i % 2 * 8, k + t + i / 2 * 4)]);
  }
}

// The same of 16-bit pairs, at depth k .. k + 15.
template <bool kAlongDepth, int kRows, class Pack>
__device__ __forceinline__ void read_pairs(const float* tile, int row, int k, Pack pack, uint32_t (&r)[4]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int at = row + g + i % 2 * 8, depth = k + 2 * t + i / 2 * 8;
    if constexpr (kAlongDepth) {
      const float2 pair = *reinterpret_cast<const float2*>(&tile[tile_index<true, kRows>(at, depth)]);
      r[i] = pack(pair.x, pair.y);
    } else {
      r[i] = pack(tile[tile_index<false, kRows>(at, depth)], tile[tile_index<false, kRows>(at, depth + 1)]);
    }
  }
}

// B's fragment of column block `side` (0 or 1) out of four registers.
__device__ __forceinline__ void take_columns(const uint32_t (&r)[4], int side, uint32_t (&b)[2]) {
  b[0] = r[side];
  b[1] = r[side + 2];
}

struct Tf32 {
  static constexpr int kDepth = 8;
  struct Fragment {
    uint32_t r[4];
  };
  template <bool kAlongDepth, int kRows>
  __device__ __forceinline__ static Fragment read(const float* tile, int row, int k) {
    Fragment f;
    read_fragment<kAlongDepth, kRows>(tile, row, k, f.r);
#pragma unroll
    for (uint32_t& x : f.r) x = to_tf32(__uint_as_float(x));
    return f;
  }
  __device__ __forceinline__ static void multiply(float (&d)[4], const Fragment& a, const Fragment& b, int side) {
    uint32_t columns[2];
    take_columns(b.r, side, columns);
    mma_tf32(d, a.r, columns);
  }
};

// Float32's precision: each factor as a sum of two tf32 numbers, of whose four products the smallest is left out. An
// infinite factor gives NaN (its product with the other's small part), where float32 may give an infinity.
struct Full {
  static constexpr int kDepth = 8;
  struct Fragment {
    uint32_t large[4], small[4];
  };
  template <bool kAlongDepth, int kRows>
  __device__ __forceinline__ static Fragment read(const float* tile, int row, int k) {
    Fragment f;
    read_fragment<kAlongDepth, kRows>(tile, row, k, f.large);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float x = __uint_as_float(f.large[i]);
      f.large[i] = to_tf32(x);
      const float rest = x - __uint_as_float(f.large[i]);
      f.small[i] = to_tf32(rest == rest ? rest : 0.0f);  // of an infinity there is no rest
    }
    return f;
  }
  __device__ __forceinline__ static void multiply(float (&d)[4], const Fragment& a, const Fragment& b, int side) {
    uint32_t large[2], small[2];
    take_columns(b.large, side, large);
    take_columns(b.small, side, small);
    mma_tf32(d, a.small, large);
    mma_tf32(d, a.large, small);
    mma_tf32(d, a.large, large);
  }
};

template <bool kBf16>
struct Half {
  static constexpr int kDepth = 16;
  struct Fragment {
    uint32_t r[4];
  };
  template <bool kAlongDepth, int kRows>
  __device__ __forceinline__ static Fragment read(const float* tile, int row, int k) {
    Fragment f;
    read_pairs<kAlongDepth, kRows>(
        tile, row, k, [](float low, float high) { return kBf16 ? pack_bf16(low, high) : pack_f16(low, high); }, f.r);
    return f;
  }
  __device__ __forceinline__ static void multiply(float (&d)[4], const Fragment& a, const Fragment& b, int side) {
    uint32_t columns[2];
    take_columns(b.r, side, columns);
    if constexpr (kBf16)
      mma_bf16(d, a.r, columns);
    else
      mma_f16(d, a.r, columns);
  }
};

template <class Format, int kTileM, int kTileN, int kWarpsM, int kWarpsN>
class Tensor {
 public:
  static constexpr int kM = kTileM, kN = kTileN, kThreads = kWarpsM * kWarpsN * kWarp;

  template <bool kDepthA, bool kDepthB>
  __device__ __forceinline__ void multiply(const float* a, const float* b) {
#pragma unroll
    for (int k = 0; k < kTileDepth; k += Format::kDepth) {
      typename Format::Fragment columns[kColumns];
#pragma unroll
      for (int j = 0; j < kColumns; ++j) columns[j] = Format::template read<kDepthB, kN>(b, n() + j * 16, k);
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const auto rows = Format::template read<kDepthA, kM>(a, m() + i * 16, k);
#pragma unroll
        for (int j = 0; j < 2 * kColumns; ++j) Format::multiply(sum_[i][j], rows, columns[j / 2], j % 2);
      }
    }
  }

  template <class Writer>
  __device__ __forceinline__ void write(const Writer& to, int m0, int n0, int rows) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp, g = lane / 4, t = lane % 4;
#pragma unroll
    for (int i = 0; i < 2 * kRows; ++i) {
      const int row = m0 + m() + i * 8 + g;
      if (row >= rows) continue;
      float* const line = to.row(row);
#pragma unroll
      for (int j = 0; j < 2 * kColumns; ++j) {
        const float (&d)[4] = sum_[i / 2][j];
        to.two(line, n0 + n() + j * 8 + 2 * t, d[i % 2 * 2], d[i % 2 * 2 + 1]);
      }
    }
  }

 private:
  static constexpr int kRows = kM / kWarpsM / 16, kColumns = kN / kWarpsN / 16;  // blocks of 16 of one warp
  __device__ __forceinline__ static int m() { return static_cast<int>(threadIdx.x) / kWarp % kWarpsM * (kM / kWarpsM); }
  __device__ __forceinline__ static int n() { return static_cast<int>(threadIdx.x) / kWarp / kWarpsM * (kN / kWarpsN); }

  float sum_[kRows][2 * kColumns][4] = {};
};

}  // namespace berrante
