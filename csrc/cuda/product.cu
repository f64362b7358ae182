// How products divide, and the second stage of split sums.
#include "product.h"

#include "product_kernel.cuh"

namespace berrante {
namespace {

constexpr int64_t kWanted = 256;   // blocks that fill a device
constexpr int64_t kFewLarge = 64;  // tiles of 128 x 128, below which those of 64 x 64 are taken
constexpr int64_t kMostSplits = 64;
constexpr int64_t kFewestTiles = 4;                  // of depth, for a split
constexpr int64_t kMostPartials = int64_t{1} << 24;  // elements of all splits: 64 MiB

int64_t tiles_of(int64_t m, int64_t n, int64_t tile_m, int64_t tile_n) {
  return ((m + tile_m - 1) / tile_m) * ((n + tile_n - 1) / tile_n);
}

__global__ void __launch_bounds__(256) finish_kernel(const float* partial, int splits, int64_t size, const float* bias,
                                                     int64_t channels, int activation, float* out) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < size; i += step) {
    float sum = partial[i];
    for (int s = 1; s < splits; ++s) sum += partial[s * size + i];
    if (bias != nullptr) sum += bias[i % channels];
    out[i] = activated(sum, activation);
  }
}

}  // namespace

Division divide_product(int64_t m, int64_t n, int64_t k, int64_t batch, int64_t result_size) {
  Division d{Tile::square, 1};
  int64_t tiles;
  if (n <= 16) {
    d.tile = Tile::narrow;
    tiles = tiles_of(m, n, 64, 16);
  } else if (m <= 16) {
    d.tile = Tile::flat;
    tiles = tiles_of(m, n, 16, 64);
  } else {
    const bool tensor = m >= 32 && n >= 32 && k >= 16;
    const bool large = m >= 128 && n >= 96 && batch * tiles_of(m, n, 128, 128) >= kFewLarge;
    d.tile = !tensor ? Tile::square : large ? Tile::tensor128 : Tile::tensor64;
    const int64_t side = d.tile == Tile::tensor128 ? 128 : 64;
    tiles = tiles_of(m, n, side, side);
  }
  tiles *= batch;
  const int64_t deep = (k + kTileDepth - 1) / kTileDepth;
  if (tiles == 0 || 2 * tiles > kWanted) return d;
  int64_t splits = (kWanted + tiles - 1) / tiles;
  splits = min(splits, min(kMostSplits, deep / kFewestTiles));
  splits = min(splits, kMostPartials / max(int64_t{1}, result_size));
  d.splits = static_cast<int>(max(int64_t{1}, splits));
  return d;
}

void finish_splits(const float* partial, int splits, int64_t size, const float* bias, int64_t channels, int activation,
                   float* out, const CudaTarget& target) {
  launch(finish_kernel, blocks_for(size, 256, target.multiprocessors * 16), 256, 0, target.stream, partial, splits,
         size, bias, channels, activation, out);
}

}  // namespace berrante
