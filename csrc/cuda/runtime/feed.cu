#include "feed.h"

#include "../launch.cuh"

namespace berrante {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = 4096;

template <class From>
__device__ __forceinline__ void convert_one(const void* source, int64_t from, DType dtype, void* target, int64_t to) {
  const From x = static_cast<const From*>(source)[from];
  switch (dtype) {
    case DType::float32: static_cast<float*>(target)[to] = static_cast<float>(x); break;
    case DType::int32: static_cast<int32_t*>(target)[to] = static_cast<int32_t>(x); break;
    case DType::uint8: static_cast<uint8_t*>(target)[to] = static_cast<uint8_t>(x); break;
    case DType::boolean: static_cast<uint8_t*>(target)[to] = x != From(0); break;
  }
}

// The types are the same for all threads, so that the switches cost no divergence.
__device__ void convert_element(const void* source, SourceType type, int64_t from, DType dtype, void* target,
                                int64_t to) {
  switch (type) {
    case SourceType::f32: return convert_one<float>(source, from, dtype, target, to);
    case SourceType::f64: return convert_one<double>(source, from, dtype, target, to);
    case SourceType::i8: return convert_one<int8_t>(source, from, dtype, target, to);
    case SourceType::u8: return convert_one<uint8_t>(source, from, dtype, target, to);
    case SourceType::i16: return convert_one<int16_t>(source, from, dtype, target, to);
    case SourceType::u16: return convert_one<uint16_t>(source, from, dtype, target, to);
    case SourceType::i32: return convert_one<int32_t>(source, from, dtype, target, to);
    case SourceType::u32: return convert_one<uint32_t>(source, from, dtype, target, to);
    case SourceType::i64: return convert_one<int64_t>(source, from, dtype, target, to);
    case SourceType::u64: return convert_one<unsigned long long>(source, from, dtype, target, to);
    case SourceType::boolean: return convert_one<bool>(source, from, dtype, target, to);
  }
}

__device__ __forceinline__ int64_t source_row(const Feed* feed, int64_t rows, int64_t row) {
  const int64_t at = feed->batch * rows + row;
  return feed->order == nullptr ? at : feed->order[at];
}

__global__ void __launch_bounds__(kThreads)
    feed_kernel(const Feed* feed, int index, SourceType from, DType to, int64_t rows, int64_t row_size, void* target) {
  const void* source = feed->sources[index];
  const int64_t n = rows * row_size, step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < n; i += step)
    convert_element(source, from, source_row(feed, rows, i / row_size) * row_size + i % row_size, to, target, i);
}

// Rows of 4 * `quads` words that need no conversion.
__global__ void __launch_bounds__(kThreads)
    feed_words_kernel(const Feed* feed, int index, int64_t rows, int64_t quads, uint4* target) {
  const auto* source = static_cast<const uint4*>(feed->sources[index]);
  const int64_t n = rows * quads, step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < n; i += step)
    target[i] = source[source_row(feed, rows, i / quads) * quads + i % quads];
}

__global__ void advance_kernel(Feed* feed) { ++feed->batch; }

__global__ void __launch_bounds__(kThreads)
    convert_kernel(const void* source, SourceType from, DType to, int64_t n, void* target) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < n; i += step)
    convert_element(source, from, i, to, target, i);
}

bool same_words(SourceType from, DType to) {
  return (from == SourceType::f32 && to == DType::float32) || (from == SourceType::i32 && to == DType::int32);
}

}  // namespace

// The caller gives 16-byte aligned sources (data sets that were copied are; others are checked when they are bound).
void launch_feed(const Feed* feed, int index, SourceType from, DType to, int64_t rows, int64_t row_size, void* target,
                 cudaStream_t stream) {
  if (same_words(from, to) && row_size % 4 == 0)
    launch(feed_words_kernel, blocks_for(rows * row_size / 4, kThreads, kMaxBlocks), kThreads, 0, stream, feed, index,
           rows, row_size / 4, static_cast<uint4*>(target));
  else
    launch(feed_kernel, blocks_for(rows * row_size, kThreads, kMaxBlocks), kThreads, 0, stream, feed, index, from, to,
           rows, row_size, target);
}

void launch_advance(Feed* feed, cudaStream_t stream) { launch(advance_kernel, 1, 1, 0, stream, feed); }

void launch_convert(const void* source, SourceType from, DType to, int64_t n, void* target, cudaStream_t stream) {
  launch(convert_kernel, blocks_for(n, kThreads, kMaxBlocks), kThreads, 0, stream, source, from, to, n, target);
}

}  // namespace berrante
