// The kernel of products on Hopper (sm_90a): tiles of 128 x 128 by wgmma. Two warpgroups multiply, 64 rows each; a
// third feeds them through a ring of stages. It reads the operands in whatever direction they lie, rounds the factors
// and stores them as wgmma takes them, rows along the depth (wgmma.cuh). mbarriers say which stages are full and which
// are free again.
//
// Shared memory, from a multiple of 1024: kStages x (tile of A, tile of B), 16 KiB each; then the barriers.
#pragma once
#include "mma.cuh"
#include "product_load.cuh"
#include "product_writer.cuh"
#include "wgmma.cuh"

namespace berrante {

constexpr int kWgmmaStages = 4, kWgmmaSide = 128;
constexpr int kWgmmaTile = kWgmmaSide * kOperandRow;  // bytes
constexpr size_t kWgmmaShared =
    kSwizzleAtom + size_t{kWgmmaStages} * (2 * kWgmmaTile + 2 * sizeof(uint64_t));  // with room to align
constexpr int kFeeders = kWarpgroup, kWgmmaThreads = 2 * kWarpgroup + kFeeders;

// Stores tiles of 128 rows from where they lie in global memory.
template <bool kImages, bool kAlongDepth, Factor kFactor>
class Feeder {
  static constexpr int kPiece = kFactor == Factor::tf32 ? 4 : 8;  // elements of 16 bytes
  static constexpr int kRows = kAlongDepth ? 8 : 2;               // places, or groups of four rows, of a thread

 public:
  static constexpr int kDepth = 8 * kPiece;

  __device__ __forceinline__ Feeder(const Operand& op, const float* data, int row, int rows, int thread)
      : op_(op), data_(data), row_(row), rows_(rows) {
    if constexpr (kAlongDepth) {
      // A piece of every 16th row.
      piece_ = thread % 8;
      line_ = thread / 8;
#pragma unroll
      for (int i = 0; i < kRows; ++i) place_[i] = find_place<kImages>(op, row + line_ + 16 * i, rows);
    } else {
      // Four rows, two pieces of each. Eight neighbours in a warp have two groups of rows and four pieces: all banks.
      piece_ = thread / 2 % 4;
      line_ = 4 * (thread / 8 * 2 + thread % 2);
      tap_ = find_tap<kImages>(op, row + line_, rows);
    }
  }

  // The tile at depth k; what lies at `end` and beyond is zero.
  __device__ __forceinline__ void feed(unsigned char* tile, int k, int end) const {
    if constexpr (kAlongDepth) {
      const int at = k + piece_ * kPiece;
      if (op_.vectors) {
        Tap tap[kPiece / 4];
#pragma unroll
        for (int q = 0; q < kPiece / 4; ++q) tap[q] = find_tap<kImages>(op_, at + 4 * q, end);
#pragma unroll 4
        for (int i = 0; i < kRows; ++i) {
          float x[kPiece];
#pragma unroll
          for (int q = 0; q < kPiece / 4; ++q) read_four(place_[i], tap[q], x + 4 * q);
          store(tile, line_ + 16 * i, piece_, x);
        }
      } else {
#pragma unroll 1
        for (int i = 0; i < kRows; ++i) {
          const Place place = find_place<kImages>(op_, row_ + line_ + 16 * i, rows_);
          float x[kPiece];
#pragma unroll
          for (int e = 0; e < kPiece; ++e) x[e] = read(place, find_tap<kImages>(op_, at + e, end));
          store(tile, line_ + 16 * i, piece_, x);
        }
      }
    } else {
#pragma unroll 1
      for (int i = 0; i < kRows; ++i) {
        const int piece = piece_ + 4 * i, at = k + piece * kPiece;
        float x[4][kPiece];
#pragma unroll
        for (int e = 0; e < kPiece; ++e) {
          const Place place = find_place<kImages>(op_, at + e, end);
          float four[4];
          if (op_.vectors) {
            read_four(place, tap_, four);
          } else {
#pragma unroll
            for (int j = 0; j < 4; ++j) four[j] = read(place, find_tap<kImages>(op_, row_ + line_ + j, rows_));
          }
#pragma unroll
          for (int j = 0; j < 4; ++j) x[j][e] = four[j];
        }
#pragma unroll
        for (int j = 0; j < 4; ++j) store(tile, line_ + j, piece, x[j]);
      }
    }
  }

 private:
  __device__ __forceinline__ bool inside(const Place& place, const Tap& tap) const {
    bool valid = static_cast<unsigned>(place.y + tap.y) < static_cast<unsigned>(kImages ? op_.height : 1);
    if constexpr (kImages) valid &= static_cast<unsigned>(place.x + tap.x) < static_cast<unsigned>(op_.width);
    return valid;
  }
  __device__ __forceinline__ float read(const Place& place, const Tap& tap) const {
    return inside(place, tap) ? data_[place.offset + tap.offset] : 0.0f;
  }
  __device__ __forceinline__ void read_four(const Place& place, const Tap& tap, float* x) const {
    float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (inside(place, tap)) four = *reinterpret_cast<const float4*>(data_ + place.offset + tap.offset);
    x[0] = four.x, x[1] = four.y, x[2] = four.z, x[3] = four.w;
  }
  __device__ __forceinline__ static void store(unsigned char* tile, int row, int piece, const float (&x)[kPiece]) {
    uint4 bits;
    if constexpr (kFactor == Factor::tf32)
      bits = make_uint4(to_tf32(x[0]), to_tf32(x[1]), to_tf32(x[2]), to_tf32(x[3]));
    else if constexpr (kFactor == Factor::bf16)
      bits = make_uint4(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]), pack_bf16(x[4], x[5]), pack_bf16(x[6], x[7]));
    else
      bits = make_uint4(pack_f16(x[0], x[1]), pack_f16(x[2], x[3]), pack_f16(x[4], x[5]), pack_f16(x[6], x[7]));
    *reinterpret_cast<uint4*>(tile + operand_place(row, piece)) = bits;
  }

  const Operand& op_;
  const float* data_;
  int row_, rows_, piece_, line_;
  Place place_[kAlongDepth ? kRows : 1];
  Tap tap_;
};

template <Factor kFactor, bool kImagesA, bool kDepthA, bool kImagesB, bool kDepthB>
__global__ void __launch_bounds__(kWgmmaThreads, 1) wgmma_kernel([[maybe_unused]] const __grid_constant__ Product p) {
#if defined(BERRANTE_CUDA_EMULATED) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using FeedA = Feeder<kImagesA, kDepthA, kFactor>;
  using FeedB = Feeder<kImagesB, kDepthB, kFactor>;
  unsigned char* shared = dynamic_shared<unsigned char>();
  shared += (kSwizzleAtom - shared_address(shared) % kSwizzleAtom) % kSwizzleAtom;
  auto* const full = reinterpret_cast<uint64_t*>(shared + kWgmmaStages * 2 * kWgmmaTile);
  uint64_t* const empty = full + kWgmmaStages;
  const int thread = static_cast<int>(threadIdx.x), group = thread / kWarpgroup;
  if (thread == 0)
    for (int s = 0; s < kWgmmaStages; ++s) {
      mbarrier_init(full + s, kFeeders);
      mbarrier_init(empty + s, 2 * kWarpgroup);
    }
  __syncthreads();

  const Share share(p, kWgmmaSide, kWgmmaSide);
  const int tiles = (share.end - share.begin + FeedA::kDepth - 1) / FeedA::kDepth;
  if (group == 2) {
    const int feeder = thread - 2 * kWarpgroup;
    const FeedA a(p.a, p.a.data + share.batch * p.a.batch_step, share.m0, p.m, feeder);
    const FeedB b(p.b, p.b.data + share.batch * p.b.batch_step, share.n0, p.n, feeder);
#pragma unroll 1
    for (int t = 0; t < tiles; ++t) {
      const int stage = t % kWgmmaStages, round = t / kWgmmaStages;
      if (round > 0) mbarrier_wait(empty + stage, (round - 1) & 1);
      unsigned char* const tile = shared + stage * 2 * kWgmmaTile;
      const int k = share.begin + t * FeedA::kDepth;
      a.feed(tile, k, share.end);
      b.feed(tile + kWgmmaTile, k, share.end);
      fence_async_proxy();
      mbarrier_arrive(full + stage);
    }
    return;
  }

  float d[64] = {};
  const uint32_t base = shared_address(shared);
#pragma unroll 1
  for (int t = 0; t < tiles; ++t) {
    const int stage = t % kWgmmaStages;
    mbarrier_wait(full + stage, t / kWgmmaStages & 1);
    const uint32_t tile = base + static_cast<uint32_t>(stage * 2 * kWgmmaTile);
    const uint64_t a = operand_descriptor(tile + static_cast<uint32_t>(group * kWgmmaTile / 2));
    const uint64_t b = operand_descriptor(tile + kWgmmaTile);
    wgmma_hold(d);
    wgmma_fence();
#pragma unroll
    for (unsigned q = 0; q < 4; ++q) wgmma<kFactor>(d, a + q * kNextQuarter, b + q * kNextQuarter);
    wgmma_commit();
    wgmma_wait<1>();  // the tile before is done with, and its stage is free
    if (t > 0) mbarrier_arrive(empty + (t - 1) % kWgmmaStages);
  }
  wgmma_wait<0>();
  wgmma_hold(d);

  const Writer to(p, share.batch, share.split);
  const int warp = thread % kWarpgroup / kWarp, lane = thread % kWarp;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = share.m0 + group * 64 + warp * 16 + half * 8 + lane / 4;
    if (row >= p.m) continue;
    float* const line = to.row(row);
#pragma unroll
    for (int j = 0; j < 16; ++j)
      to.two(line, share.n0 + 8 * j + lane % 4 * 2, d[4 * j + 2 * half], d[4 * j + 2 * half + 1]);
  }
#endif
}

}  // namespace berrante
