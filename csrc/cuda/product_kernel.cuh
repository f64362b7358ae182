// The kernel of all products: tiles through a ring of asynchronous copies, sums in registers, bias and activation on
// the way out. How a tile is multiplied is the parameter kMath: fused multiply-adds (product_simt.cuh) or tensor cores
// (product_mma.cuh). Hopper has a kernel of its own for large tiles (product_wgmma.cuh); here it is decided who runs.
#pragma once
#include "launch.cuh"
#include "product_load.cuh"
#include "product_mma.cuh"
#include "product_simt.cuh"
#include "product_wgmma.cuh"
#include "product_writer.cuh"

namespace berrante {

// Small blocks may take up to 168 registers (384 threads share the 65536), large ones all that there are.
template <class Math, bool kImagesA, bool kDepthA, bool kImagesB, bool kDepthB, int kStages>
__global__ void __launch_bounds__(Math::kThreads, Math::kThreads < 256 ? 384 / Math::kThreads : 1)
    product_kernel(const __grid_constant__ Product p) {
  constexpr int kSizeA = Math::kM * kTileDepth, kSizeB = Math::kN * kTileDepth;
  float* const tiles = dynamic_shared<float>();
  const Share share(p, Math::kM, Math::kN);
  const int count = (share.end - share.begin + kTileDepth - 1) / kTileDepth;
  const Loader<kImagesA, kDepthA, Math::kM, Math::kThreads> a(p.a, p.a.data + share.batch * p.a.batch_step, share.m0,
                                                              p.m);
  const Loader<kImagesB, kDepthB, Math::kN, Math::kThreads> b(p.b, p.b.data + share.batch * p.b.batch_step, share.n0,
                                                              p.n);
  const auto load = [&](int t) {
    if (t < count) {
      float* const tile = tiles + t % kStages * (kSizeA + kSizeB);
      a.load(tile, share.begin + t * kTileDepth, share.end);
      b.load(tile + kSizeA, share.begin + t * kTileDepth, share.end);
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
  math.write(Writer(p, share.batch, share.split), share.m0, share.n0, p.m);
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

template <Reading kReading, Factor kFactor>
void launch_product_wgmma(Product p, cudaStream_t stream) {
  p.tiles_m = Divisor((p.m + kWgmmaSide - 1) / kWgmmaSide);
  p.tiles_n = Divisor((p.n + kWgmmaSide - 1) / kWgmmaSide);
  const unsigned blocks = p.tiles_m.divisor * p.tiles_n.divisor * static_cast<unsigned>(p.batch * p.splits);
  launch(wgmma_kernel<kFactor, kReading.images_a, kReading.depth_a, kReading.images_b, kReading.depth_b>, blocks,
         kWgmmaThreads, kWgmmaShared, stream, p);
}

// Whether the module holds machine code with Hopper's own instructions, which need the target sm_90a.
#if defined(BERRANTE_CUDA_SM90A) || defined(BERRANTE_CUDA_EMULATED)
constexpr bool kHasWgmma = true;
#else
constexpr bool kHasWgmma = false;
#endif

// Large tiles of rounded factors on Hopper alone: later cards have no wgmma.
inline bool takes_wgmma(Tile tile, const CudaTarget& target) {
  return kHasWgmma && target.compute == 90 && tile == Tile::tensor128 && target.precision != Precision::full;
}

// Runs a product as divide_product said; `p.splits` is set. Before sm_80 tensor tiles are sums of float32 products.
template <Reading kReading>
void launch_product(const Product& p, Tile tile, const CudaTarget& target) {
  if (p.m == 0 || p.n == 0 || p.batch == 0) return;
  if constexpr (kHasWgmma)
    if (takes_wgmma(tile, target)) switch (target.precision) {
        case Precision::bf16: return launch_product_wgmma<kReading, Factor::bf16>(p, target.stream);
        case Precision::f16: return launch_product_wgmma<kReading, Factor::f16>(p, target.stream);
        default: return launch_product_wgmma<kReading, Factor::tf32>(p, target.stream);
      }
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
