// Stable sorts of the rows of [M, N] by 32-bit keys, for sort and scatter_add.
//
//   key(int64_t row, int64_t i)                                    the key of
//   an element, a device functor out(int64_t row, int64_t k, uint32_t key,
//   int32_t position)    receives the sorted row
//
// A row of up to kSortInBlock elements is sorted by one block in shared memory
// (bitonic, over key and position together, so that no two are equal). Longer
// ones are sorted digit by digit, eight bits from the lowest (radix sort):
// counts of every digit in every tile of the row, their running sum over digits
// and then tiles, and each element to its place. The place of an element among
// equal digits of its tile is counted by ballots, in order.
#pragma once
#include "access.cuh"
#include "launch.cuh"

namespace berrante {

constexpr int64_t kSortInBlock = 2048;
constexpr int kSortThreads = 256, kSortSteps = 16, kDigits = 256;
constexpr int kSortTile = kSortThreads * kSortSteps;
constexpr int kSortWarps = kSortThreads / kWarp;
constexpr int kScanThreads = 1024;

inline size_t sort_workspace(int64_t m, int64_t n) {
  if (n <= kSortInBlock) return 0;
  return static_cast<size_t>(m) * static_cast<size_t>(16 * n + 4 * kDigits * ceil_div(n, kSortTile));
}

template <class Key, class Out>
__global__ void __launch_bounds__(512) sort_block_kernel(int n, int padded, Key key, Out out) {
  auto* element = dynamic_shared<uint64_t>();
  const int64_t row = blockIdx.x;
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  for (int i = thread; i < padded; i += threads)
    element[i] = i < n ? static_cast<uint64_t>(key(row, i)) << 32 | static_cast<uint32_t>(i) : ~uint64_t{0};
  for (int size = 2; size <= padded; size *= 2)
    for (int stride = size / 2; stride > 0; stride /= 2) {
      __syncthreads();
      for (int t = thread; t < padded / 2; t += threads) {
        const int i = 2 * t - (t & (stride - 1));
        const uint64_t a = element[i], b = element[i + stride];
        if ((a > b) == ((i & size) == 0)) {
          element[i] = b;
          element[i + stride] = a;
        }
      }
    }
  __syncthreads();
  for (int i = thread; i < n; i += threads)
    out(row, i, static_cast<uint32_t>(element[i] >> 32), static_cast<int32_t>(element[i] & 0xffffffffu));
}

// The elements in their present order: where `keys` is null, the order of the
// row itself.
template <class Key>
struct SortSource {
  const uint32_t* keys;
  const int32_t* positions;
  Key key;
  int64_t n;
  __device__ __forceinline__ uint32_t key_at(int64_t row, int64_t i) const {
    return keys == nullptr ? key(row, i) : keys[row * n + i];
  }
  __device__ __forceinline__ int32_t position_at(int64_t row, int64_t i) const {
    return keys == nullptr ? static_cast<int32_t>(i) : positions[row * n + i];
  }
};

// counts [M, digits, tiles]
template <class Key>
__global__ void __launch_bounds__(kSortThreads)
    count_digits_kernel(SortSource<Key> source, int64_t tiles, int shift, uint32_t* counts) {
  auto* count = dynamic_shared<uint32_t>();
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t row = blockIdx.x / tiles, tile = blockIdx.x - row * tiles;
  count[thread] = 0;
  __syncthreads();
  for (int step = 0; step < kSortSteps; ++step) {
    const int64_t i = tile * kSortTile + step * kSortThreads + thread;
    if (i < source.n) atomicAdd(&count[source.key_at(row, i) >> shift & (kDigits - 1)], 1u);
  }
  __syncthreads();
  counts[(row * kDigits + thread) * tiles + tile] = count[thread];
}

// Each row of counts, of n (a multiple of 4), becomes its exclusive running
// sum.
static __global__ void __launch_bounds__(kScanThreads) scan_kernel(uint32_t* counts, int64_t n) {
  auto* warps = dynamic_shared<uint32_t>();
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  uint32_t* row = counts + blockIdx.x * n;
  uint32_t carry = 0;
  for (int64_t first = 0; first < n; first += 4 * kScanThreads) {
    const int64_t i = first + 4 * static_cast<int64_t>(threadIdx.x);
    uint32_t v[4] = {0, 0, 0, 0}, sum = 0;
    if (i < n)
      for (int k = 0; k < 4; ++k) v[k] = row[i + k];
    for (int k = 0; k < 4; ++k) sum += v[k];
    uint32_t running = sum;
    for (int step = 1; step < kWarp; step *= 2) {
      const uint32_t before = __shfl_up_sync(kAllLanes, running, static_cast<unsigned>(step));
      if (lane >= step) running += before;
    }
    if (lane == kWarp - 1) warps[warp] = running;
    __syncthreads();
    uint32_t start = carry + running - sum;
    for (int w = 0; w < kScanThreads / kWarp; ++w) {
      if (w < warp) start += warps[w];
      carry += warps[w];
    }
    __syncthreads();
    if (i < n)
      for (int k = 0; k < 4; ++k) {
        row[i + k] = start;
        start += v[k];
      }
  }
}

template <class Key, class Out>
__global__ void __launch_bounds__(kSortThreads)
    place_digits_kernel(SortSource<Key> source, int64_t tiles, int shift, const uint32_t* starts, Out out) {
  auto* count = dynamic_shared<uint32_t>();  // [warp][digit]
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp, warp = thread / kWarp;
  const int64_t row = blockIdx.x / tiles, tile = blockIdx.x - row * tiles;
  for (int w = 0; w < kSortWarps; ++w) count[w * kDigits + thread] = 0;
  __syncthreads();
  uint32_t* mine = count + warp * kDigits;
  uint32_t keys[kSortSteps], rank[kSortSteps];
  const int64_t first = tile * kSortTile + warp * (kWarp * kSortSteps) + lane;
#pragma unroll
  for (int step = 0; step < kSortSteps; ++step) {
    const int64_t i = first + step * kWarp;
    const bool valid = i < source.n;
    keys[step] = valid ? source.key_at(row, i) : 0;
    const uint32_t digit = keys[step] >> shift & (kDigits - 1);
    unsigned peers = __ballot_sync(kAllLanes, valid);
#pragma unroll
    for (int bit = 0; bit < 8; ++bit) {
      const bool set = (digit >> bit & 1) != 0;
      const unsigned lanes = __ballot_sync(kAllLanes, set);
      peers &= set ? lanes : ~lanes;
    }
    const auto before = static_cast<uint32_t>(__popc(peers & ((1u << lane) - 1)));
    const uint32_t seen = mine[digit];
    __syncwarp();
    if (valid && before == 0) mine[digit] = seen + static_cast<uint32_t>(__popc(peers));
    __syncwarp();
    rank[step] = seen + before;
  }
  __syncthreads();
  uint32_t start = starts[(row * kDigits + thread) * tiles + tile];
  for (int w = 0; w < kSortWarps; ++w) {
    const uint32_t here = count[w * kDigits + thread];
    count[w * kDigits + thread] = start;
    start += here;
  }
  __syncthreads();
#pragma unroll
  for (int step = 0; step < kSortSteps; ++step) {
    const int64_t i = first + step * kWarp;
    if (i < source.n)
      out(row, mine[keys[step] >> shift & (kDigits - 1)] + rank[step], keys[step], source.position_at(row, i));
  }
}

// Where a pass that is not the last puts its elements.
struct SortBuffer {
  uint32_t* keys;
  int32_t* positions;
  int64_t n;
  __device__ __forceinline__ void operator()(int64_t row, int64_t k, uint32_t key, int32_t position) const {
    keys[row * n + k] = key;
    positions[row * n + k] = position;
  }
};

// Keys are below 2^bits. workspace: sort_workspace(m, n) bytes.
template <class Key, class Out>
void launch_sort(int64_t m, int64_t n, int bits, const Key& key, const Out& out, void* workspace, cudaStream_t stream) {
  if (m == 0 || n == 0) return;
  if (n <= kSortInBlock) {
    int padded = 2;
    while (padded < n) padded *= 2;
    const int threads = padded < 2 * kWarp ? kWarp : padded > 1024 ? 512 : padded / 2;
    return launch(sort_block_kernel<Key, Out>, static_cast<unsigned>(m), static_cast<unsigned>(threads),
                  8 * static_cast<size_t>(padded), stream, static_cast<int>(n), padded, key, out);
  }
  const int64_t tiles = ceil_div(n, kSortTile), size = m * n;
  auto* keys = static_cast<uint32_t*>(workspace);
  auto* positions = reinterpret_cast<int32_t*>(keys + 2 * size);
  auto* counts = reinterpret_cast<uint32_t*>(positions + 2 * size);
  const SortBuffer buffers[2] = {{keys, positions, n}, {keys + size, positions + size, n}};
  SortSource<Key> source{nullptr, nullptr, key, n};
  const int passes = bits <= 8 ? 1 : (bits + 7) / 8;
  const auto blocks = static_cast<unsigned>(m * tiles);
  for (int pass = 0; pass < passes; ++pass) {
    const int shift = 8 * pass;
    launch(count_digits_kernel<Key>, blocks, kSortThreads, 4 * kDigits, stream, source, tiles, shift, counts);
    launch(scan_kernel, static_cast<unsigned>(m), kScanThreads, 4 * kScanThreads / kWarp, stream, counts,
           kDigits * tiles);
    const size_t shared = 4 * kDigits * kSortWarps;
    if (pass + 1 == passes) {
      launch(place_digits_kernel<Key, Out>, blocks, kSortThreads, shared, stream, source, tiles, shift, counts, out);
    } else {
      const SortBuffer& to = buffers[pass % 2];
      launch(place_digits_kernel<Key, SortBuffer>, blocks, kSortThreads, shared, stream, source, tiles, shift, counts,
             to);
      source.keys = to.keys;
      source.positions = to.positions;
    }
  }
}

}  // namespace berrante
