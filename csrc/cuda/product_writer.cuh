// What every kernel of products does at its ends: finding the block's share of the work, and writing rows of the
// result.
#pragma once
#include "activation.cuh"
#include "product.h"

namespace berrante {

// A block's tile of one batch's result, and its part of the depth.
struct Share {
  int m0, n0, batch, split, begin, end;
  __device__ __forceinline__ Share(const Product& p, int tile_m, int tile_n) {
    // Blocks that run together share columns of B and neighbouring rows of A.
    const int block = static_cast<int>(blockIdx.x), others = p.tiles_m.quotient(block);
    const int share = p.tiles_n.quotient(others);
    m0 = (block - others * static_cast<int>(p.tiles_m.divisor)) * tile_m;
    n0 = (others - share * static_cast<int>(p.tiles_n.divisor)) * tile_n;
    batch = share / p.splits;
    split = share - batch * p.splits;
    const int all = (p.k + kTileDepth - 1) / kTileDepth, each = (all + p.splits - 1) / p.splits;
    begin = min(split * each * kTileDepth, p.k);
    end = min((split + 1) * each * kTileDepth, p.k);
  }
};

// One row of the result at a time.
class Writer {
 public:
  __device__ __forceinline__ Writer(const Product& p, int batch, int split)
      : p_(p), to_(p.c.data + batch * p.c.batch_step + split * p.split_step) {
    bias_ = p.bias == nullptr || p.splits > 1 ? nullptr : p.bias + batch * p.bias_step;
  }
  __device__ __forceinline__ float* row(int m) const {
    const int image = p_.c.positions.quotient(m), rest = m - image * static_cast<int>(p_.c.positions.divisor);
    const int i = p_.c.columns.quotient(rest), j = rest - i * static_cast<int>(p_.c.columns.divisor);
    return to_ + image * p_.c.image_step + i * p_.c.row_step + j * p_.c.column_step;
  }
  __device__ __forceinline__ void one(float* row, int n, float x) const {
    if (n < p_.n) row[n] = finished(n, x);
  }
  // Columns n, even, and n + 1.
  __device__ __forceinline__ void two(float* row, int n, float x, float y) const {
    if (p_.c.pairs && n + 1 < p_.n) {
      *reinterpret_cast<float2*>(row + n) = make_float2(finished(n, x), finished(n + 1, y));
    } else {
      one(row, n, x);
      one(row, n + 1, y);
    }
  }

 private:
  __device__ __forceinline__ float finished(int n, float x) const {
    if (p_.splits > 1) return x;
    if (bias_ != nullptr) x += bias_[n];
    return activated(x, p_.activation);
  }

  const Product& p_;
  float* to_;
  const float* bias_;
};

}  // namespace berrante
