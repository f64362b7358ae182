// Matrix products C [m, n] = A [m, k] B [k, n] on CUDA, where A and B are read from tensors through Operands, so that
// the same kernels multiply matrices and, as implicit products, do the three convolutions over NHWC.
//
// An element of an operand is found from a place and a tap. For a plain matrix the place is the line and the tap the
// index in it. For images a place is an output position (an image, a row and a column where its patch begins), and a
// tap is (row, column, channel) inside the patch; what lies outside the image is zero. Lines of a matrix, and channels
// of a tap, are neighbours in memory.
#pragma once
#include <cuda_runtime.h>

#include <initializer_list>

#include "cuda_kernel.h"

namespace berrante {

// n / d for n below 2^31, d at least 1 (a 0 counts as 1), by a multiplication (Granlund and Montgomery, 1994).
struct Divisor {
  unsigned divisor = 1, multiplier = 0, shift = 0;
  Divisor() = default;
  explicit Divisor(int64_t d) : divisor(d > 1 ? static_cast<unsigned>(d) : 1) {
    while ((uint64_t{1} << shift) < divisor) ++shift;
    multiplier = static_cast<unsigned>(((uint64_t{1} << 32) * ((uint64_t{1} << shift) - divisor)) / divisor + 1);
  }
  __device__ __forceinline__ int quotient(int n) const {
    return static_cast<int>((__umulhi(static_cast<unsigned>(n), multiplier) + static_cast<unsigned>(n)) >> shift);
  }
};

struct Operand {
  const float* data = nullptr;
  int64_t batch_step = 0;  // elements from one of the batch to the next
  int64_t place_step = 0;  // elements from one image, or line of the matrix, to the next
  // Images only.
  Divisor positions, columns;                                  // positions of an image, and of one of its rows
  int stride_y = 1, stride_x = 1, origin_y = 0, origin_x = 0;  // where the patch of position (i, j) begins
  int height = 1, width = 1;
  int row_step = 0, column_step = 0;  // elements
  Divisor channels, taps_x;           // of a tap, and taps in a row
  int tap_y = 1, tap_x = 1;           // pixels from a tap to the next
  bool vectors = false;               // four neighbours from a multiple of four are whole and 16-byte aligned
};

// Where the rows of C lie: row (image, i, j) of positions, as above; a plain matrix is one image of one row.
struct Result {
  float* data = nullptr;
  int64_t batch_step = 0, image_step = 0;
  Divisor positions{0x7fffffff}, columns{0x7fffffff};
  int64_t row_step = 0, column_step = 0;
  bool pairs = false;  // two neighbours from an even column are 8-byte aligned
};

struct Product {
  Operand a, b;
  Result c;
  int m = 0, n = 0, k = 0, batch = 1;
  const float* bias = nullptr;  // of the columns, of every batch's own where bias_step says so
  int64_t bias_step = 0;
  int activation = 0;
  // With more than one split, each sums a share of k, without the epilogue, into a copy of the whole result
  // `split_step` elements after the last, and finish_splits adds them in order.
  int splits = 1;
  int64_t split_step = 0;
  Divisor tiles_m, tiles_n;  // set by the launch
};

constexpr int kTileDepth = 32;

// How operands are read: a lies along the depth when neighbours in memory are neighbours in k, else in m; b likewise in
// k or n. Images have places in m or k, taps in the other.
struct Reading {
  bool images_a, depth_a, images_b, depth_b;
};

// Tiles of C for one block.
enum class Tile { narrow, flat, square, tensor64, tensor128 };
struct Division {
  Tile tile;
  int splits;
};

// From extents alone: the sums' order is the same on every device.
Division divide_product(int64_t m, int64_t n, int64_t k, int64_t batch, int64_t result_size);

// Whether `vectors` may be set: pointer and steps are multiples of four elements.
inline bool vectors_fit(const void* data, std::initializer_list<int64_t> steps) {
  for (const int64_t step : steps)
    if (step % 4 != 0) return false;
  return reinterpret_cast<uintptr_t>(data) % 16 == 0;
}
inline bool pairs_fit(const void* data, std::initializer_list<int64_t> steps) {
  for (const int64_t step : steps)
    if (step % 2 != 0) return false;
  return reinterpret_cast<uintptr_t>(data) % 8 == 0;
}

// out[i] = activation(sum of the splits' element i + bias[i % channels]).
void finish_splits(const float* partial, int splits, int64_t size, const float* bias, int64_t channels, int activation,
                   float* out, const CudaTarget& target);

}  // namespace berrante
