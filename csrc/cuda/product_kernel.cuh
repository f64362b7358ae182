// The kernel of all products: tiles through a ring of asynchronous copies, sums in registers, bias and activation on
// the way out. How a tile is multiplied is the parameter kMath: fused multiply-adds (product_simt.cuh) or tensor cores
// (product_mma.cuh).
#pragma once
#include "activation.cuh"
#include "launch.cuh"
#include "product_load.cuh"
#include "product_mma.cuh"
#include "product_simt.cuh"

namespace berrante {

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

// Small blocks may take up to 168 registers (384 threads share the 65536), large ones all that there are.
template <class Math, bool kImagesA, bool kDepthA, bool kImagesB, bool kDepthB, int kStages>
__global__ void __launch_bounds__(Math::kThreads, Math::kThreads < 256 ? 384 / Math::kThreads : 1)
    product_kernel(const __grid_constant__ Product p) {
  constexpr int kSizeA = Math::kM * kTileDepth, kSizeB = Math::kN * kTileDepth;
  float* const tiles = dynamic_shared<float>();
  // Blocks that run together share columns of B and neighbouring rows of A.
  const int block = static_cast<int>(blockIdx.x), others = p.tiles_m.quotient(block);
  const int share = p.tiles_n.quotient(others);
  const int m0 = (block - others * static_cast<int>(p.tiles_m.divisor)) * Math::kM;
  const int n0 = (others - share * static_cast<int>(p.tiles_n.divisor)) * Math::kN;
  const int batch = share / p.splits, split = share - batch * p.splits;

  const int all = (p.k + kTileDepth - 1) / kTileDepth, each = (all + p.splits - 1) / p.splits;
  const int first = split * each, last = min(all, first + each), count = max(0, last - first);
  const int end = min(p.k, last * kTileDepth);
  const Loader<kImagesA, kDepthA, Math::kM, Math::kThreads> a(p.a, p.a.data + batch * p.a.batch_step, m0, p.m);
  const Loader<kImagesB, kDepthB, Math::kN, Math::kThreads> b(p.b, p.b.data + batch * p.b.batch_step, n0, p.n);
  const auto load = [&](int t) {
    if (t < count) {
      float* const tile = tiles + t % kStages * (kSizeA + kSizeB);
      a.load(tile, (first + t) * kTileDepth, end);
      b.load(tile + kSizeA, (first + t) * kTileDepth, end);
    }
    copy_async_commit();  // also of nothing, so that groups count tiles
  };

  Math math;
#pragma unroll
  for (int t = 0; t < kStages - 1; ++t) load(t);
#pragma unroll 1
  for (int t = 0; t < count; ++t) {
    copy_async_wait<kStages - 2>();
    __syncthreads();  // tile t is there for all, and all are through with tile t - 1, whose place the next load takes
    load(t + kStages - 1);
    const float* const tile = tiles + t % kStages * (kSizeA + kSizeB);
    math.template multiply<kDepthA, kDepthB>(tile, tile + kSizeA);
  }
  math.write(Writer(p, batch, split), m0, n0, p.m);
}

template <class Math, Reading kReading, int kStages>
void launch_product_tiles(Product p, cudaStream_t stream) {
  p.tiles_m = Divisor((p.m + Math::kM - 1) / Math::kM);
  p.tiles_n = Divisor((p.n + Math::kN - 1) / Math::kN);
  const unsigned blocks = p.tiles_m.divisor * p.tiles_n.divisor * static_cast<unsigned>(p.batch * p.splits);
  launch(product_kernel<Math, kReading.images_a, kReading.depth_a, kReading.images_b, kReading.depth_b, kStages>,
         blocks, Math::kThreads, size_t{kStages} * (Math::kM + Math::kN) * kTileDepth * sizeof(float), stream, p);
}

template <Reading kReading, class Format>
void launch_product_tensor(const Product& p, Tile tile, cudaStream_t stream) {
  if (tile == Tile::tensor128)
    launch_product_tiles<Tensor<Format, 128, 128, 2, 4>, kReading, 3>(p, stream);
  else
    launch_product_tiles<Tensor<Format, 64, 64, 2, 2>, kReading, 4>(p, stream);
}

// Runs a product as divide_product said; `p.splits` is set. Before sm_80 tensor tiles are sums of float32 products.
template <Reading kReading>
void launch_product(const Product& p, Tile tile, const CudaTarget& target) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return;
  if (target.compute >= 80 && (tile == Tile::tensor64 || tile == Tile::tensor128)) switch (target.precision) {
      case Precision::tf32: return launch_product_tensor<kReading, Tf32>(p, tile, target.stream);
      case Precision::full: return launch_product_tensor<kReading, Full>(p, tile, target.stream);
      case Precision::bf16: return launch_product_tensor<kReading, Half<true>>(p, tile, target.stream);
      case Precision::f16: return launch_product_tensor<kReading, Half<false>>(p, tile, target.stream);
    }
  switch (tile) {
    case Tile::narrow: return launch_product_tiles<Simt<64, 16, 4, 4>, kReading, 3>(p, target.stream);
    case Tile::flat: return launch_product_tiles<Simt<16, 64, 4, 4>, kReading, 3>(p, target.stream);
    default: return launch_product_tiles<Simt<64, 64, 8, 4>, kReading, 3>(p, target.stream);
  }
}

}  // namespace berrante
