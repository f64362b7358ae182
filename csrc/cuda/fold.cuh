// Folds of [A, R, B] over R in a fixed order, for reduce, arg_reduce and moments. What is folded is an Op:
//
//   Element, State           State is plain data of whole words
//   State start()            of nothing
//   take(State&, Element, int64_t r)                   one element
//   take_all(State&, const Element (&)[n], F row_of)   n elements; their places along R are row_of(0 .. n-1)
//   merge(State&, const State&)                        two groups of elements
//   store(int64_t output, const State&)                the result, at output a * B + b
//
// Rows (B == 1): one thread, half a warp, ..., a warp or a block folds a row, in packs of four. Columns: a block folds
// a strip of columns, its threads side by side over columns and below one another over rows, which meet in shared
// memory. Where that makes too few blocks, R is cut into shares whose states lie in the workspace, and a second launch
// merges them, a warp for each output. All of it follows from the shape.
#pragma once
#include <type_traits>

#include "access.cuh"
#include "launch.cuh"

namespace berrante {

constexpr int kFoldThreads = 256;
constexpr int64_t kFoldBlocks = 1024;  // that are worth cutting R for

struct FoldShape {
  int64_t a, r, b, shares;
  int lanes;  // threads along a row, or side by side over columns: a power of two
  int width;  // columns of a thread
  int64_t strips() const { return ceil_div(b, lanes * width); }
  int64_t units() const { return a * shares; }
  size_t states() const { return shares > 1 ? static_cast<size_t>(units() * b) : 0; }
};

inline FoldShape fold_shape(const View& x) {
  FoldShape s{x.shape[0], x.shape[1], x.shape[2], 1, 1, 1};
  int64_t blocks, least;  // least: rows of a share
  if (s.b == 1) {
    while (s.lanes < kWarp && s.lanes * 16 < s.r) s.lanes *= 2;
    if (s.r > 2048) s.lanes = kFoldThreads;
    blocks = ceil_div(s.a * s.lanes, kFoldThreads);
    least = 16 * kFoldThreads;
  } else {
    s.width = s.b % 4 == 0 ? 4 : 1;
    while (s.lanes < kWarp && s.lanes * s.width < s.b) s.lanes *= 2;
    blocks = s.a * s.strips();
    least = 16 * (kFoldThreads / s.lanes);
  }
  if (blocks > 0 && blocks < kFoldBlocks) {
    const int64_t wanted = ceil_div(kFoldBlocks, blocks), most = s.r / least;
    s.shares = wanted < most ? wanted : most < 1 ? 1 : most;
  }
  return s;
}

template <class State>
__device__ __forceinline__ State shuffle_xor(const State& state, int lanes) {
  static_assert(std::is_trivially_copyable_v<State> && sizeof(State) % 4 == 0);
  constexpr int kWords = sizeof(State) / 4;
  int words[kWords];
  State result;
  memcpy(words, &state, sizeof(State));
#pragma unroll
  for (int i = 0; i < kWords; ++i) words[i] = __shfl_xor_sync(kAllLanes, words[i], lanes);
  memcpy(&result, words, sizeof(State));
  return result;
}

// Groups of `lanes` threads of a warp; the first thread of each has the result.
template <class Op>
__device__ __forceinline__ void merge_lanes(const Op& op, typename Op::State& state, int lanes) {
  for (int step = lanes / 2; step > 0; step /= 2) {
    const typename Op::State other = shuffle_xor(state, step);
    op.merge(state, other);
  }
}

template <class Op>
__global__ void __launch_bounds__(kFoldThreads)
    fold_rows_kernel(const typename Op::Element* x, FoldShape s, bool aligned, Op op, typename Op::State* partial) {
  using Element = typename Op::Element;
  constexpr int kPacks = 4;
  auto* shared = dynamic_shared<typename Op::State>();
  const int thread = static_cast<int>(threadIdx.x), lane = thread & (s.lanes - 1);
  const int64_t unit = (static_cast<int64_t>(blockIdx.x) * kFoldThreads + thread) / s.lanes;
  const bool valid = unit < s.a * s.shares;
  typename Op::State state = op.start();
  if (valid) {
    const int64_t a = s.shares == 1 ? unit : unit / s.shares, share = unit - a * s.shares;
    const int64_t begin = s.r * share / s.shares / 4 * 4;
    const int64_t end = share + 1 == s.shares ? s.r : s.r * (share + 1) / s.shares / 4 * 4;
    const Element* row = x + a * s.r;
    const int64_t step = 4 * s.lanes;
    int64_t k = begin + 4 * lane;
    for (; k + (kPacks - 1) * step + 4 <= end; k += kPacks * step) {
      Element v[4 * kPacks];
#pragma unroll
      for (int p = 0; p < kPacks; ++p) {
        const Pack<Element, 4> pack = load_pack<4>(row + k + p * step, aligned);
#pragma unroll
        for (int i = 0; i < 4; ++i) v[4 * p + i] = pack.v[i];
      }
      op.take_all(state, v, [&](int i) { return k + i / 4 * step + i % 4; });
    }
    for (; k < end; k += step)
      for (int64_t i = k; i < k + 4 && i < end; ++i) op.take(state, row[i], i);
  }
  merge_lanes(op, state, s.lanes < kWarp ? s.lanes : kWarp);
  if (s.lanes > kWarp) {  // the whole block
    if (thread % kWarp == 0) shared[thread / kWarp] = state;
    __syncthreads();
    if (thread == 0)
      for (int warp = 1; warp < kFoldThreads / kWarp; ++warp) op.merge(state, shared[warp]);
  }
  if (!valid || lane != 0) return;
  if (s.shares > 1)
    partial[unit] = state;
  else
    op.store(unit, state);
}

template <class Op, int kWidth>
__global__ void __launch_bounds__(kFoldThreads)
    fold_columns_kernel(const typename Op::Element* x, FoldShape s, int64_t strips, bool aligned, Op op,
                        typename Op::State* partial) {
  using Element = typename Op::Element;
  constexpr int kRows = kWidth == 1 ? 8 : 4;
  auto* shared = dynamic_shared<typename Op::State>();
  const int thread = static_cast<int>(threadIdx.x), across = thread & (s.lanes - 1), down = thread / s.lanes;
  const int rows = kFoldThreads / s.lanes;
  const int64_t unit = blockIdx.x / strips, strip = blockIdx.x - unit * strips;
  const int64_t column = (strip * s.lanes + across) * kWidth;
  const bool valid = column < s.b;
  typename Op::State state[kWidth];
#pragma unroll
  for (int i = 0; i < kWidth; ++i) state[i] = op.start();
  if (valid) {
    const int64_t a = unit / s.shares, share = unit - a * s.shares;
    const int64_t end = s.r * (share + 1) / s.shares;
    const Element* plane = x + a * s.r * s.b + column;
    int64_t r = s.r * share / s.shares + down;
    for (; r + (kRows - 1) * rows < end; r += kRows * rows) {
      Pack<Element, kWidth> pack[kRows];
#pragma unroll
      for (int p = 0; p < kRows; ++p) pack[p] = load_pack<kWidth>(plane + (r + p * rows) * s.b, aligned);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        Element v[kRows];
#pragma unroll
        for (int p = 0; p < kRows; ++p) v[p] = pack[p].v[i];
        op.take_all(state[i], v, [&](int p) { return r + p * rows; });
      }
    }
    for (; r < end; r += rows) {
      const Pack<Element, kWidth> pack = load_pack<kWidth>(plane + r * s.b, aligned);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) op.take(state[i], pack.v[i], r);
    }
  }
  for (int half = rows / 2; half > 0; half /= 2) {
    if (down >= half && down < 2 * half)
#pragma unroll
      for (int i = 0; i < kWidth; ++i) shared[i * kFoldThreads + thread] = state[i];
    __syncthreads();
    if (down < half)
#pragma unroll
      for (int i = 0; i < kWidth; ++i) op.merge(state[i], shared[i * kFoldThreads + thread + half * s.lanes]);
    __syncthreads();
  }
  if (!valid || down != 0) return;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    if (s.shares > 1)
      partial[unit * s.b + column + i] = state[i];
    else
      op.store(unit * s.b + column + i, state[i]);
  }
}

template <class Op>
__global__ void __launch_bounds__(kFoldThreads)
    fold_shares_kernel(const typename Op::State* partial, FoldShape s, Op op) {
  const int64_t output = (static_cast<int64_t>(blockIdx.x) * kFoldThreads + threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const bool valid = output < s.a * s.b;
  typename Op::State state = op.start();
  if (valid) {
    const int64_t a = output / s.b;
    const typename Op::State* from = partial + a * s.shares * s.b + (output - a * s.b);
    for (int64_t share = lane; share < s.shares; share += kWarp) op.merge(state, from[share * s.b]);
  }
  merge_lanes(op, state, kWarp);
  if (valid && lane == 0) op.store(output, state);
}

// workspace: s.states() states.
template <class Op>
void launch_fold(const View& view, const Op& op, void* workspace, cudaStream_t stream) {
  using Element = typename Op::Element;
  using State = typename Op::State;
  const FoldShape s = fold_shape(view);
  if (s.a * s.b == 0) return;
  const auto* x = data_of<const Element>(view);
  auto* partial = static_cast<State*>(workspace);
  if (s.b == 1) {
    const bool aligned = s.r % 4 == 0 && is_aligned(x, 4 * sizeof(Element));
    launch(fold_rows_kernel<Op>, blocks_for(s.units() * s.lanes, kFoldThreads), kFoldThreads,
           sizeof(State) * kFoldThreads / kWarp, stream, x, s, aligned, op, partial);
  } else {
    const auto blocks = static_cast<unsigned>(s.units() * s.strips());
    const size_t shared = sizeof(State) * kFoldThreads * static_cast<size_t>(s.width);
    const bool aligned = is_aligned(x, 4 * sizeof(Element));
    launch(s.width == 4 ? fold_columns_kernel<Op, 4> : fold_columns_kernel<Op, 1>, blocks, kFoldThreads, shared, stream,
           x, s, s.strips(), aligned, op, partial);
  }
  if (s.shares > 1)
    launch(fold_shares_kernel<Op>, blocks_for(s.a * s.b * kWarp, kFoldThreads), kFoldThreads, 0, stream, partial, s,
           op);
}

}  // namespace berrante
