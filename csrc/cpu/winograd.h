// Winograd's convolutions: a tile of 4 x 4 outputs from fewer products than the definition has.
//
// A tile's inputs and the filter are transformed, multiplied element by element (summed over channels, so a matrix
// product for each element, called frequency here), and transformed back. Lavin and Gray, "Fast Algorithms for
// Convolutional Neural Networks" (2016).
//
// F43: 3x3 filters with stride 1, 36 products instead of 144. Its points 0, 3/4, -3/4, 3/2, -3/2 and infinity are exact
// in binary, with about a third of the rounding error of the usual 0, 1, -1, 2, -2 (measured: within twice the direct
// sum's error for 128 channels).
//
// F42: filters of up to 4x4 with stride 2. The pixels of even and odd rows and columns are four images, the phases,
// over which the filter's taps make four filters of 2x2 with stride 1: 100 products instead of 256. Its points 1/2,
// -1/2, 5/4, -5/4 and infinity keep the error within 1.5 times the direct sum's (measured, 256 channels).
//
// Each `line` is one transform of one line; `transform_square` gives the second dimension. Lines are arrays of vectors.
#pragma once
#include "gemm.h"

namespace berrante {
namespace BERRANTE_ISA {

constexpr int kTile = 4;

struct F43 {
  static constexpr int patch = 6, frequencies = patch * patch, taps = 3, stride = 1;
  // Floats of a block's frequencies, about: half a megabyte of cache. Planes a task of the weight gradient takes,
  // floats of all its partial sums. Blocks of tiles, at least, so that there are enough tasks for many threads.
  static constexpr int64_t tile_floats = 1 << 17, plane_block = 64, sum_floats = 1 << 23, blocks = 32;
  static constexpr float kP = 0.75f, kQ = 1.5f, kP2 = kP * kP, kQ2 = kQ * kQ;

  // Inputs to frequencies: B^T d.
  struct Input {
    static constexpr int from = 6, to = 6;
    BERRANTE_INLINE void line(const vf (&d)[6], vf (&t)[6]) {
      const vf even_p = d[4] - kQ2 * d[2], odd_p = kP * (d[3] - kQ2 * d[1]);
      const vf even_q = d[4] - kP2 * d[2], odd_q = kQ * (d[3] - kP2 * d[1]);
      t[0] = d[4] - (kP2 + kQ2) * d[2] + kP2 * kQ2 * d[0];
      t[1] = even_p + odd_p, t[2] = even_p - odd_p;
      t[3] = even_q + odd_q, t[4] = even_q - odd_q;
      t[5] = d[5] - (kP2 + kQ2) * d[3] + kP2 * kQ2 * d[1];
    }
  };

  // Frequencies to outputs: A^T m.
  struct Output {
    static constexpr int from = 6, to = 4;
    BERRANTE_INLINE void line(const vf (&m)[6], vf (&y)[4]) {
      const vf sum_p = m[1] + m[2], difference_p = m[1] - m[2], sum_q = m[3] + m[4], difference_q = m[3] - m[4];
      y[0] = m[0] + sum_p + sum_q;
      y[1] = kP * difference_p + kQ * difference_q;
      y[2] = kP2 * sum_p + kQ2 * sum_q;
      y[3] = kP2 * kP * difference_p + kQ2 * kQ * difference_q + m[5];
    }
  };

  // Its transpose, output gradients to frequencies: A d.
  struct Gradient {
    static constexpr int from = 4, to = 6;
    BERRANTE_INLINE void line(const vf (&d)[4], vf (&t)[6]) {
      const vf even_p = d[0] + kP2 * d[2], odd_p = kP * (d[1] + kP2 * d[3]);
      const vf even_q = d[0] + kQ2 * d[2], odd_q = kQ * (d[1] + kQ2 * d[3]);
      t[0] = d[0];
      t[1] = even_p + odd_p, t[2] = even_p - odd_p;
      t[3] = even_q + odd_q, t[4] = even_q - odd_q;
      t[5] = d[3];
    }
  };

  // 1 over the products of each point's distances from the others.
  static constexpr float kScale0 = 1.0f / (kP2 * kQ2), kScaleP = 1.0f / (2.0f * kP2 * (kP2 - kQ2)),
                         kScaleQ = 1.0f / (2.0f * kQ2 * (kQ2 - kP2));

  // Filters to frequencies: G g.
  struct Filter {
    static constexpr int from = 3, to = 6;
    BERRANTE_INLINE void line(const vf (&g)[3], vf (&t)[6]) {
      const vf even_p = kScaleP * (g[0] + kP2 * g[2]), odd_p = kScaleP * kP * g[1];
      const vf even_q = kScaleQ * (g[0] + kQ2 * g[2]), odd_q = kScaleQ * kQ * g[1];
      t[0] = kScale0 * g[0];
      t[1] = even_p + odd_p, t[2] = even_p - odd_p;
      t[3] = even_q + odd_q, t[4] = even_q - odd_q;
      t[5] = g[2];
    }
  };

  // Its transpose, frequencies to a filter's gradient: G^T m.
  struct FilterGradient {
    static constexpr int from = 6, to = 3;
    BERRANTE_INLINE void line(const vf (&m)[6], vf (&g)[3]) {
      const vf sum_p = kScaleP * (m[1] + m[2]), sum_q = kScaleQ * (m[3] + m[4]);
      g[0] = kScale0 * m[0] + sum_p + sum_q;
      g[1] = kScaleP * kP * (m[1] - m[2]) + kScaleQ * kQ * (m[3] - m[4]);
      g[2] = kP2 * sum_p + kQ2 * sum_q + m[5];
    }
  };
};

struct F42 {
  static constexpr int patch = 5, frequencies = patch * patch, taps = 2, stride = 2;
  static constexpr int64_t tile_floats = 1 << 19, plane_block = 256, sum_floats = 1 << 20, blocks = 16;
  static constexpr float kP = 0.5f, kQ = 1.25f, kP2 = kP * kP, kQ2 = kQ * kQ;

  struct Input {
    static constexpr int from = 5, to = 5;
    BERRANTE_INLINE void line(const vf (&d)[5], vf (&t)[5]) {
      const vf even_p = d[3] - kQ2 * d[1], odd_p = kP * (d[2] - kQ2 * d[0]);
      const vf even_q = d[3] - kP2 * d[1], odd_q = kQ * (d[2] - kP2 * d[0]);
      t[0] = even_p + odd_p, t[1] = even_p - odd_p;
      t[2] = even_q + odd_q, t[3] = even_q - odd_q;
      t[4] = d[4] - (kP2 + kQ2) * d[2] + kP2 * kQ2 * d[0];
    }
  };

  struct Output {
    static constexpr int from = 5, to = 4;
    BERRANTE_INLINE void line(const vf (&m)[5], vf (&y)[4]) {
      const vf sum_p = m[0] + m[1], difference_p = m[0] - m[1], sum_q = m[2] + m[3], difference_q = m[2] - m[3];
      y[0] = sum_p + sum_q;
      y[1] = kP * difference_p + kQ * difference_q;
      y[2] = kP2 * sum_p + kQ2 * sum_q;
      y[3] = kP2 * kP * difference_p + kQ2 * kQ * difference_q + m[4];
    }
  };

  struct Gradient {
    static constexpr int from = 4, to = 5;
    BERRANTE_INLINE void line(const vf (&d)[4], vf (&t)[5]) {
      const vf even_p = d[0] + kP2 * d[2], odd_p = kP * (d[1] + kP2 * d[3]);
      const vf even_q = d[0] + kQ2 * d[2], odd_q = kQ * (d[1] + kQ2 * d[3]);
      t[0] = even_p + odd_p, t[1] = even_p - odd_p;
      t[2] = even_q + odd_q, t[3] = even_q - odd_q;
      t[4] = d[3];
    }
  };

  static constexpr float kScaleP = 1.0f / (2.0f * kP * (kP2 - kQ2)), kScaleQ = 1.0f / (2.0f * kQ * (kQ2 - kP2));

  struct Filter {
    static constexpr int from = 2, to = 5;
    BERRANTE_INLINE void line(const vf (&g)[2], vf (&t)[5]) {
      const vf even_p = kScaleP * g[0], odd_p = kScaleP * kP * g[1];
      const vf even_q = kScaleQ * g[0], odd_q = kScaleQ * kQ * g[1];
      t[0] = odd_p + even_p, t[1] = odd_p - even_p;
      t[2] = odd_q + even_q, t[3] = odd_q - even_q;
      t[4] = g[1];
    }
  };

  struct FilterGradient {
    static constexpr int from = 5, to = 2;
    BERRANTE_INLINE void line(const vf (&m)[5], vf (&g)[2]) {
      g[0] = kScaleP * (m[0] - m[1]) + kScaleQ * (m[2] - m[3]);
      g[1] = kScaleP * kP * (m[0] + m[1]) + kScaleQ * kQ * (m[2] + m[3]) + m[4];
    }
  };
};

// Both dimensions: `read(i, j)` gives element (i, j) of the [from x from] square, `write(i, j, v)` takes one of the
// [to x to] result.
template <class T, class Read, class Write>
BERRANTE_INLINE void transform_square(Read read, Write write) {
  vf middle[T::to][T::from];
#pragma GCC unroll 6
  for (int j = 0; j < T::from; ++j) {
    vf in[T::from], out[T::to];
#pragma GCC unroll 6
    for (int i = 0; i < T::from; ++i) in[i] = read(i, j);
    T::line(in, out);
#pragma GCC unroll 6
    for (int i = 0; i < T::to; ++i) middle[i][j] = out[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < T::to; ++i) {
    vf out[T::to];
    T::line(middle[i], out);
#pragma GCC unroll 6
    for (int j = 0; j < T::to; ++j) write(i, j, out[j]);
  }
}

}  // namespace BERRANTE_ISA
}  // namespace berrante
