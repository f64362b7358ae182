// Samples in the vector lanes: images as [block][H][W][C][kLanes], where lane l of block b is sample b * kLanes + l.
//
// Every vector is full whatever the number of channels, and neighbouring pixels need no masks. Here is what the kernels
// for that layout share: sums over lanes, and strips of image rows with their padding filled in.
#pragma once
#include "conv.h"

namespace berrante {
namespace BERRANTE_ISA {

// out[i] = the sum of the lanes of vector i, for n vectors.
static inline void sum_each(const float* vectors, int64_t n, float* out) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    vf v[kLanes];
#pragma GCC unroll 16
    for (int j = 0; j < kLanes; ++j) v[j] = load(vectors + (i + j) * kLanes);
    transpose(v);
    vf sum = v[0];
#pragma GCC unroll 16
    for (int j = 1; j < kLanes; ++j) sum += v[j];
    store(out + i, sum);
  }
  for (; i < n; ++i) {
    float sum = vectors[i * kLanes];
    for (int j = 1; j < kLanes; ++j) sum += vectors[i * kLanes + j];
    out[i] = sum;
  }
}

// How a convolution over [B, H, W, C, kLanes] is cut: a strip is `lines` rows of the output of one block.
struct Strips {
  int64_t blocks, lines, per_block;
  int64_t in_lines;   // rows of the input that a strip reads
  int64_t in_w;       // columns that a row of them has: the input's, or more with padding
  bool copied;        // padding: a strip's input goes through scratch
  int64_t runs, run;  // a kernel row as `runs` stretches of `run` vectors that are neighbours in the input
  int64_t run_step;   // floats between the stretches
};

constexpr int64_t kStripBytes = 128 * 1024;  // of a strip's input and output, about: both stay in L2

BERRANTE_INLINE Strips strips_of(const Geometry& g) {
  Strips s;
  const int64_t right = (g.ow - 1) * g.stride_w - g.pad_left + (g.kw - 1) * g.dilation_w + 1;
  const int64_t bottom = (g.oh - 1) * g.stride_h - g.pad_top + (g.kh - 1) * g.dilation_h + 1;
  s.copied = g.pad_top != 0 || g.pad_left != 0 || bottom > g.h || right > g.w;
  s.in_w = s.copied ? larger(1, right + g.pad_left) : g.w;
  const int64_t line = (g.stride_h * s.in_w * g.c + g.ow * g.k) * kVectorBytes;
  s.lines = larger(1, smaller(g.oh, kStripBytes / larger(1, line)));
  s.blocks = g.n;
  s.per_block = ceil_div(g.oh, s.lines);
  s.in_lines = (s.lines - 1) * g.stride_h + (g.kh - 1) * g.dilation_h + 1;
  const bool whole = g.dilation_w == 1;
  s.runs = whole ? 1 : g.kw;
  s.run = whole ? g.kw * g.c : g.c;
  s.run_step = g.dilation_w * g.c * kLanes;
  return s;
}

BERRANTE_INLINE size_t strip_bytes(const Strips& s, const Geometry& g) {
  return s.copied ? static_cast<size_t>(s.in_lines * s.in_w * g.c) * kVectorBytes : 0;
}

// The input rows that output rows `first` .. of a block read, padding included: in place, or copied to scratch. The
// rows are in_w * C vectors apart.
static inline const float* strip_input(const Strips& s, const Geometry& g, const float* x, int64_t block, int64_t first,
                                       int64_t lines, float* scratch) {
  const int64_t pixel = g.c * kLanes, top = first * g.stride_h - g.pad_top;
  const float* image = x + block * g.h * g.w * pixel;
  if (!s.copied) return image + top * g.w * pixel;
  const int64_t count = (lines - 1) * g.stride_h + (g.kh - 1) * g.dilation_h + 1;
  const int64_t from = smaller(s.in_w, larger(0, g.pad_left));
  const int64_t to = larger(from, smaller(s.in_w, g.w + g.pad_left)), skip = larger(0, -g.pad_left);
  for (int64_t i = 0; i < count; ++i) {
    float* out = scratch + i * s.in_w * pixel;
    const int64_t row = top + i;
    const bool inside = row >= 0 && row < g.h;
    const float* in = image + (row * g.w + skip) * pixel;
    const int64_t a = inside ? from * pixel : s.in_w * pixel, b = inside ? to * pixel : a;
    for (int64_t k = 0; k < a; k += kLanes) store(out + k, vf{});
    for (int64_t k = a; k < b; k += kLanes) store(out + k, load(in + k - a));
    for (int64_t k = b; k < s.in_w * pixel; k += kLanes) store(out + k, vf{});
  }
  return scratch;
}

}  // namespace BERRANTE_ISA
}  // namespace berrante
