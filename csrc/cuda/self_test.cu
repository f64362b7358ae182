#include "self_test.h"

#include "async_copy.cuh"
#include "launch.cuh"
#include "mma.cuh"

namespace berrante {
namespace {

// out [16, 8] = a [16, K] b [K, 8], fragments filled by hand.
__global__ void tf32_kernel(const float* a, const float* b, float* out) {
  const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  const uint32_t ra[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]), to_tf32(a[g * 8 + t + 4]),
                          to_tf32(a[(g + 8) * 8 + t + 4])};
  const uint32_t rb[2] = {to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g])};
  float d[4] = {};
  mma_tf32(d, ra, rb);
  for (int i = 0; i < 4; ++i) out[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = d[i];
}

template <bool kBf16>
__global__ void half_kernel(const float* a, const float* b, float* out) {
  const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  const auto pack = [](float low, float high) { return kBf16 ? pack_bf16(low, high) : pack_f16(low, high); };
  uint32_t ra[4], rb[2];
  for (int side = 0; side < 2; ++side) {
    const int k = 2 * t + 8 * side;
    ra[2 * side] = pack(a[g * 16 + k], a[g * 16 + k + 1]);
    ra[2 * side + 1] = pack(a[(g + 8) * 16 + k], a[(g + 8) * 16 + k + 1]);
    rb[side] = pack(b[k * 8 + g], b[(k + 1) * 8 + g]);
  }
  float d[4] = {};
  if constexpr (kBf16)
    mma_bf16(d, ra, rb);
  else
    mma_f16(d, ra, rb);
  for (int i = 0; i < 4; ++i) out[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = d[i];
}

// The same product with fragments from shared memory by ldmatrix: a as rows of bf16, b transposed on the way.
__global__ void ldmatrix_kernel(const float* a, const float* b, float* out) {
  auto* rows = dynamic_shared<uint32_t>();  // a: 16 rows of 8 words, b: 16 rows of 4 words
  uint32_t* b_rows = rows + 128;
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  for (int i = lane; i < 128; i += 32) rows[i] = pack_bf16(a[2 * i], a[2 * i + 1]);
  for (int i = lane; i < 64; i += 32) b_rows[i] = pack_bf16(b[2 * i], b[2 * i + 1]);
  __syncwarp();
  uint32_t ra[4], rb[4];
  load_matrices(ra, rows + (lane % 16) * 8 + (lane / 16) * 4);
  load_matrices_transposed(rb, b_rows + (lane % 16) * 4);
  const uint32_t first[2] = {rb[0], rb[1]};
  float d[4] = {};
  mma_bf16(d, ra, first);
  for (int i = 0; i < 4; ++i) out[(g + 8 * (i / 2)) * 8 + 2 * t + i % 2] = d[i];
}

// out[i] = a[1023 - i] through two stages of cp.async; b is not read.
__global__ void copy_kernel(const float* a, const float*, float* out) {
  __shared__ __align__(16) float stage[2][512];
  const int i = static_cast<int>(threadIdx.x);
  for (int s = 0; s < 2; ++s) {
    copy_async<16>(&stage[s][4 * i], a + 512 * s + 4 * i);
    copy_async_commit();
  }
  copy_async_wait<1>();
  __syncthreads();
  for (int k = i; k < 512; k += 128) out[1023 - k] = stage[0][k];
  copy_async_wait<0>();
  __syncthreads();
  for (int k = i; k < 512; k += 128) out[511 - k] = stage[1][k];
}

// out[block] = sum of 256 elements of a.
__global__ void sum_kernel(const float* a, const float*, float* out) {
  __shared__ float partial[32];
  const float x = a[blockIdx.x * 256 + threadIdx.x];
  const float sum = block_reduce(x, 0.0f, partial, [](float p, float q) { return p + q; });
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

// Wrong on purpose, for the emulator to find; never run on a device.
__global__ void divergent_kernel(const float*, const float*, float*) {
  if (threadIdx.x < 32) __syncthreads();
}
__global__ void overrun_kernel(const float*, const float*, float*) { dynamic_shared<float>()[16] = 0.0f; }
__global__ void racing_kernel(const float* a, const float*, float* out) {
  __shared__ float stage[256];
  stage[threadIdx.x] = a[threadIdx.x];
  __syncwarp();
  out[threadIdx.x] = stage[255 - threadIdx.x];
}

}  // namespace

bool self_test(std::string_view name, const float* a, const float* b, float* out, cudaStream_t stream) {
  if (name == "mma_tf32")
    launch(tf32_kernel, 1, 32, 0, stream, a, b, out);
  else if (name == "mma_bf16")
    launch(half_kernel<true>, 1, 32, 0, stream, a, b, out);
  else if (name == "mma_f16")
    launch(half_kernel<false>, 1, 32, 0, stream, a, b, out);
  else if (name == "ldmatrix")
    launch(ldmatrix_kernel, 1, 32, 768, stream, a, b, out);
  else if (name == "copy_async")
    launch(copy_kernel, 1, 128, 0, stream, a, b, out);
  else if (name == "block_sum")
    launch(sum_kernel, 4, 256, 0, stream, a, b, out);
  else if (name == "divergent")
    launch(divergent_kernel, 1, 64, 0, stream, a, b, out);
  else if (name == "overrun")
    launch(overrun_kernel, 1, 1, 64, stream, a, b, out);
  else if (name == "racing")
    launch(racing_kernel, 1, 256, 0, stream, a, b, out);
  else if (name == "too_large")
    launch(racing_kernel, 1, 2048, 0, stream, a, b, out);
  else
    return false;
  return true;
}

}  // namespace berrante
