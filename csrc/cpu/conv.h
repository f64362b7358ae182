// What the three convolutions over NHWC share: their geometry, and images with their borders filled in.
//
// All of them read patches in place (gemm.h), which needs every tap of a patch to be somewhere in memory. Where padding
// or a crop puts taps outside, the images are first copied, with zeros around them, into the workspace.
#pragma once
#include "gemm.h"

namespace berrante {
namespace BERRANTE_ISA {

struct Geometry {
  int64_t n, h, w, c, oh, ow, k, kh, kw, groups;
  int64_t stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
  int64_t cg, kg;  // channels and filters of one group
};

template <class Attrs>
BERRANTE_INLINE Geometry geometry(const Attrs& t, const View& x, const View& w, const View& y) {
  Geometry g;
  g.n = x.shape[0], g.h = x.shape[1], g.w = x.shape[2], g.c = x.shape[3];
  g.oh = y.shape[1], g.ow = y.shape[2], g.k = y.shape[3];
  g.kh = w.shape[0], g.kw = w.shape[1], g.groups = t.groups;
  g.stride_h = t.stride_h, g.stride_w = t.stride_w, g.pad_top = t.pad_top, g.pad_left = t.pad_left;
  g.dilation_h = t.dilation_h, g.dilation_w = t.dilation_w;
  g.cg = g.groups > 0 ? g.c / g.groups : 0, g.kg = g.groups > 0 ? g.k / g.groups : 0;
  return g;
}

template <class Attrs>
BERRANTE_INLINE const char* check(const Attrs& t, const View& x, const View& w, const View& y) {
  if (x.rank != 4 || w.rank != 4 || y.rank != 4) return "expected tensors of rank 4";
  if (t.groups < 1 || t.stride_h < 1 || t.stride_w < 1 || t.dilation_h < 1 || t.dilation_w < 1)
    return "strides, dilations and groups must be positive";
  if (x.shape[0] != y.shape[0] || x.shape[3] != w.shape[2] * t.groups || y.shape[3] != w.shape[3] ||
      y.shape[3] % t.groups)
    return "channels, filters or batches do not fit";
  if (w.shape[0] < 1 || w.shape[1] < 1) return "the kernel is empty";
  return nullptr;
}

// The part of images that is read: rows top .. top + h and columns left .. left + w, which may lie outside them.
struct Frame {
  int64_t top, left, h, w;
  bool copied;  // else the images serve as they are, and the other fields are theirs
};

BERRANTE_INLINE Frame frame_of(int64_t top, int64_t bottom, int64_t left, int64_t right, int64_t h, int64_t w) {
  if (top >= 0 && left >= 0 && bottom <= h && right <= w) return {0, 0, h, w, false};
  return {top, left, larger(1, bottom - top), larger(1, right - left), true};
}

BERRANTE_INLINE size_t frame_bytes(const Frame& f, int64_t n, int64_t channels) {
  return f.copied ? static_cast<size_t>(ceil_div(n * f.h * f.w * channels, 16) * 64) : 0;
}

// One image [h, w, channels] into its frame.
static inline void copy_frame(const Frame& f, const float* image, int64_t h, int64_t w, int64_t channels, float* out) {
  const int64_t first = smaller(f.w, larger(0, -f.left)), last = larger(first, smaller(f.w, w - f.left));
  for (int64_t i = 0; i < f.h; ++i, out += f.w * channels) {
    const int64_t row = i + f.top;
    const bool inside = row >= 0 && row < h;
    const int64_t from = inside ? first * channels : f.w * channels, to = inside ? last * channels : from;
    for (int64_t k = 0; k < from; ++k) out[k] = 0.0f;
    if (to > from)
      __builtin_memcpy(out + from, image + (row * w + f.left) * channels + from, static_cast<size_t>(to - from) * 4);
    for (int64_t k = to; k < f.w * channels; ++k) out[k] = 0.0f;
  }
}

// With one group and no dilation along W, the taps of one kernel row are neighbours in memory: one segment.
BERRANTE_INLINE bool row_segments(const Geometry& g) { return g.groups == 1 && g.dilation_w == 1; }

}  // namespace BERRANTE_ISA
}  // namespace berrante
