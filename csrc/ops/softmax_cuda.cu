// softmax, log_softmax and softmax_cross_entropy on CUDA, over the rows of [M, N]; see softmax_cpu.cpp for the
// formulas.
//
// Up to 1024 columns a row stays in the registers of one warp, or of the part of one that a short row needs: memory is
// read and written once. Longer rows have a block each, which keeps the row in shared memory where it fits, and else
// reads it again (from the L2 cache).
#include <cmath>

#include "../core/checks.h"
#include "../cuda/access.cuh"
#include "../cuda/cuda_kernel.h"
#include "../cuda/launch.cuh"

namespace berrante {
namespace {

enum class Form { softmax, log_softmax, cross_entropy };

struct Rows {
  const float* x;
  float* y;  // probabilities, or their logarithms
  const float* target;
  const int32_t* label;  // one of these two, for cross_entropy
  float* loss;
  int64_t m, n;
  float lowest, uppermost;  // clip of the logarithm
  bool aligned;
};

constexpr int kThreads = 256;
constexpr int kRowThreads = 512;  // for a long row
constexpr int64_t kLongestInWarp = 1024;
constexpr int64_t kLongestInShared = 11 << 10;  // elements: with the reductions' own, below 48 KB

__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }

__device__ __forceinline__ float clipped(const Rows& p, float logarithm) {
  return logarithm < p.lowest ? p.lowest : logarithm > p.uppermost ? p.uppermost : logarithm;
}

// The loss from an integer label; one thread does it.
__device__ __forceinline__ void label_loss(const Rows& p, int64_t row, const float* x, float highest, float log_total) {
  const int32_t label = p.label[row];
  if (label < 0 || label >= p.n)
    p.loss[row] = __int_as_float(0x7fc00000);
  else
    p.loss[row] = -clipped(p, x[label] - highest - log_total);
}

// A thread has packs `lane`, `lane + lanes`, ... of its row.
template <Form kForm, int kPacks, int kWidth>
__global__ void __launch_bounds__(kThreads) warp_rows_kernel(Rows p, int lanes) {
  const int64_t row = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / lanes;
  const int lane = static_cast<int>(threadIdx.x) & (lanes - 1);
  const bool valid = row < p.m;
  const float* x = p.x + row * p.n;
  const auto n = static_cast<int>(p.n);
  const auto column = [&](int pack) { return (pack * lanes + lane) * kWidth; };
  float v[kPacks][kWidth], highest = -infinity();
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    const int at = column(k);
    if (valid && at + kWidth <= n) {
      const Pack<float, kWidth> pack = load_pack<kWidth>(x + at, p.aligned);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) v[k][i] = pack.v[i];
    } else {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) v[k][i] = valid && at + i < n ? x[at + i] : -infinity();
    }
  }
  const auto larger = [](float a, float b) { return a > b || a != a ? a : b; };
#pragma unroll
  for (int k = 0; k < kPacks; ++k)
#pragma unroll
    for (int i = 0; i < kWidth; ++i) highest = larger(highest, v[k][i]);
  for (int step = lanes / 2; step > 0; step /= 2) highest = larger(highest, __shfl_xor_sync(kAllLanes, highest, step));
  float e[kPacks][kWidth], total = 0.0f;
#pragma unroll
  for (int k = 0; k < kPacks; ++k)
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      v[k][i] -= highest;
      e[k][i] = column(k) + i < n ? expf(v[k][i]) : 0.0f;
      total += e[k][i];
    }
  for (int step = lanes / 2; step > 0; step /= 2) total += __shfl_xor_sync(kAllLanes, total, step);
  const float factor = 1.0f / total, log_total = kForm == Form::softmax ? 0.0f : logf(total);
  float* y = p.y + row * p.n;
  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    const int at = column(k);
    const bool whole = valid && at + kWidth <= n;
    Pack<float, kWidth> result, target{};
    if (kForm == Form::cross_entropy && p.target != nullptr) {
      const float* from = p.target + row * p.n + at;
      if (whole)
        target = load_pack<kWidth>(from, p.aligned);
      else
        for (int i = 0; i < kWidth; ++i) target.v[i] = valid && at + i < n ? from[i] : 0.0f;
#pragma unroll
      for (int i = 0; i < kWidth; ++i)
        if (at + i < n) sum += target.v[i] * clipped(p, v[k][i] - log_total);
    }
#pragma unroll
    for (int i = 0; i < kWidth; ++i) result.v[i] = kForm == Form::log_softmax ? v[k][i] - log_total : e[k][i] * factor;
    if (whole)
      store_pack<kWidth>(y + at, result, p.aligned);
    else
      for (int i = 0; i < kWidth; ++i)
        if (valid && at + i < n) y[at + i] = result.v[i];
  }
  if (kForm != Form::cross_entropy) return;
  if (p.target != nullptr) {
    for (int step = lanes / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
    if (valid && lane == 0) p.loss[row] = -sum;
  } else if (valid && lane == 0) {
    label_loss(p, row, x, highest, log_total);
  }
}

// One row a block. Dynamic shared memory: 32 floats for reductions, then the row where it is kept.
template <Form kForm>
__global__ void __launch_bounds__(kRowThreads) long_rows_kernel(Rows p, bool kept) {
  auto* partial = dynamic_shared<float>();
  const int64_t row = blockIdx.x, n = p.n;
  const float* x = p.x + row * n;
  float* y = p.y + row * n;
  float* copy = partial + kWarp;
  const auto add = [](float a, float b) { return a + b; };
  const auto larger = [](float a, float b) { return a > b || a != a ? a : b; };
  // part(pack, at, elements): this thread's share of a row, four elements at once.
  const auto each_pack = [&](const float* from, bool aligned, auto part) {
    for (int64_t at = 4 * static_cast<int64_t>(threadIdx.x); at < n; at += 4 * kRowThreads) {
      if (at + 4 <= n) {
        part(load_pack<4>(from + at, aligned), at, 4);
      } else {
        Pack<float, 4> pack{};
#pragma unroll
        for (int i = 0; i < 4; ++i)
          if (at + i < n) pack.v[i] = from[at + i];
        part(pack, at, static_cast<int>(n - at));
      }
    }
  };
  float highest = -infinity();
  each_pack(x, p.aligned, [&](const Pack<float, 4>& pack, int64_t at, int count) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i >= count) continue;
      highest = larger(highest, pack.v[i]);
      if (kept) copy[at + i] = pack.v[i];
    }
  });
  highest = block_reduce(highest, -infinity(), partial, larger);
  const float* again = kept ? copy : x;
  const bool aligned = kept || p.aligned;
  float total = 0.0f;
  each_pack(again, aligned, [&](const Pack<float, 4>& pack, int64_t at, int count) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i >= count) continue;
      const float e = expf(pack.v[i] - highest);
      total += e;
      if (kept && kForm == Form::softmax) copy[at + i] = e;
    }
  });
  total = block_reduce(total, 0.0f, partial, add);
  const float factor = 1.0f / total, log_total = kForm == Form::softmax ? 0.0f : logf(total);
  float sum = 0.0f;
  each_pack(again, aligned, [&](const Pack<float, 4>& pack, int64_t at, int count) {
    Pack<float, 4> result{};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i >= count) continue;
      const float shifted = pack.v[i] - highest;
      if (kForm == Form::log_softmax)
        result.v[i] = shifted - log_total;
      else
        result.v[i] = (kept && kForm == Form::softmax ? pack.v[i] : expf(shifted)) * factor;
      if (kForm == Form::cross_entropy && p.target != nullptr)
        sum += p.target[row * n + at + i] * clipped(p, shifted - log_total);
    }
    if (count == 4)
      store_pack<4>(y + at, result, p.aligned);
    else
#pragma unroll
      for (int i = 0; i < 4; ++i)
        if (i < count) y[at + i] = result.v[i];
  });
  if (kForm != Form::cross_entropy) return;
  if (p.target != nullptr) {
    sum = block_reduce(sum, 0.0f, partial, add);
    if (threadIdx.x == 0) p.loss[row] = -sum;
  } else if (threadIdx.x == 0) {
    label_loss(p, row, x, highest, log_total);
  }
}

template <Form kForm>
void launch_rows(const Rows& p, cudaStream_t stream) {
  if (p.n > kLongestInWarp) {
    const bool kept = p.n <= kLongestInShared;
    const auto shared = 4 * static_cast<size_t>(kWarp + (kept ? p.n : 0));
    return launch(long_rows_kernel<kForm>, static_cast<unsigned>(p.m), kRowThreads, shared, stream, p, kept);
  }
  int lanes = 1;
  const int width = p.n <= 32 ? 1 : 4;
  while (lanes < kWarp && lanes * width < p.n) lanes *= 2;
  const unsigned blocks = blocks_for(p.m * lanes, kThreads);
  auto* kernel = warp_rows_kernel<kForm, 8, 4>;
  if (p.n <= 32)
    kernel = warp_rows_kernel<kForm, 1, 1>;
  else if (p.n <= 128)
    kernel = warp_rows_kernel<kForm, 1, 4>;
  else if (p.n <= 256)
    kernel = warp_rows_kernel<kForm, 2, 4>;
  else if (p.n <= 512)
    kernel = warp_rows_kernel<kForm, 4, 4>;
  launch(kernel, blocks, kThreads, 0, stream, p, lanes);
}

Rows rows_of(const View& x, const View& y) {
  Rows p{};
  p.x = data_of<const float>(x);
  p.y = data_of<float>(y);
  p.m = x.shape[0];
  p.n = x.shape[1];
  p.aligned = p.n % 4 == 0 && is_aligned(p.x, 16) && is_aligned(p.y, 16);
  return p;
}

void plan_softmax(const Call& call, CudaPlan& plan) { plan.error = check_softmax(call); }

void launch_softmax(const Call& call, const CudaTarget& target) {
  launch_rows<Form::softmax>(rows_of(call.in[0], call.out[0]), target.stream);
}
void launch_log_softmax(const Call& call, const CudaTarget& target) {
  launch_rows<Form::log_softmax>(rows_of(call.in[0], call.out[0]), target.stream);
}

void plan_softmax_cross_entropy(const Call& call, CudaPlan& plan) { plan.error = check_softmax_cross_entropy(call); }

void launch_softmax_cross_entropy(const Call& call, const CudaTarget& target) {
  Rows p = rows_of(call.in[0], call.out[1]);
  p.loss = data_of<float>(call.out[0]);
  const View& given = call.in[1];
  if (given.dtype == DType::int32) {
    p.label = data_of<const int32_t>(given);
  } else {
    p.target = data_of<const float>(given);
    p.aligned = p.aligned && is_aligned(p.target, 16);
  }
  const double clip = attrs_of<softmax_cross_entropy_attrs>(call).clip;
  p.lowest = clip > 0 ? std::log(static_cast<float>(clip)) : -__builtin_inff();
  p.uppermost = clip > 0 ? std::log(1.0f - static_cast<float>(clip)) : __builtin_inff();
  launch_rows<Form::cross_entropy>(p, target.stream);
}

}  // namespace

const CudaKernel softmax_cuda_kernel = {"softmax", plan_softmax, launch_softmax};
const CudaKernel log_softmax_cuda_kernel = {"log_softmax", plan_softmax, launch_log_softmax};
const CudaKernel softmax_cross_entropy_cuda_kernel = {"softmax_cross_entropy", plan_softmax_cross_entropy,
                                                      launch_softmax_cross_entropy};

}  // namespace berrante
