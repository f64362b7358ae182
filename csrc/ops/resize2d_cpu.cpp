// resize2d, nearest or bilinear with half-pixel centres, and its adjoint, over NHWC.
//
// An output row (or column) takes from at most two input rows (columns), found from its centre; channels are the inner
// loop. Forward tasks are output rows; the adjoint adds into an image, so its tasks are images.
#include "../core/checks.h"
#include "../cpu/gemm.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

// Output index i of `to` takes (1 - share) of `first` and share of `second` out of `from`.
struct Source {
  int64_t first, second;
  float share;
};

Source source_of(int64_t i, int64_t from, int64_t to, Resize kind) {
  if (kind == Resize::nearest) {
    const int64_t at = smaller(from - 1, (2 * i + 1) * from / (2 * to));  // floor((i + 1/2) from / to)
    return {at, at, 0.0f};
  }
  const double centre = (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
  const auto low = static_cast<int64_t>(__builtin_floor(centre));
  return {larger(0, low), smaller(from - 1, low + 1), static_cast<float>(centre - static_cast<double>(low))};
}

void plan_any(int64_t kind, const View& x, const View& y, Plan& plan) {
  plan.error = check_resize2d(kind, x, y);
  plan.cost = static_cast<double>(y.shape[0] * y.shape[1] * y.shape[2] * y.shape[3]) * 0.8;
}

void plan_resize2d(const Call& call, Plan& plan) {
  plan_any(attrs_of<resize2d_attrs>(call).kind, call.in[0], call.out[0], plan);
  plan.tasks[0] = call.out[0].shape[0] * call.out[0].shape[1];
}

void run_resize2d(const Call& call, const Range& range) {
  const auto kind = static_cast<Resize>(attrs_of<resize2d_attrs>(call).kind);
  const View &x = call.in[0], &y = call.out[0];
  const int64_t h = x.shape[1], w = x.shape[2], c = x.shape[3], oh = y.shape[1], ow = y.shape[2];
  for (int64_t row = range.begin; row < range.end; ++row) {
    const float* image = static_cast<const float*>(x.data) + row / oh * h * w * c;
    float* to = static_cast<float*>(y.data) + row * ow * c;
    const Source i = source_of(row % oh, h, oh, kind);
    for (int64_t q = 0; q < ow; ++q, to += c) {
      const Source j = source_of(q, w, ow, kind);
      const float* a = image + (i.first * w + j.first) * c;
      if (kind == Resize::nearest) {
        __builtin_memcpy(to, a, static_cast<size_t>(c) * 4);
        continue;
      }
      const float *b = image + (i.first * w + j.second) * c, *d = image + (i.second * w + j.first) * c,
                  *e = image + (i.second * w + j.second) * c;
      const float wa = (1 - i.share) * (1 - j.share), wb = (1 - i.share) * j.share, wd = i.share * (1 - j.share),
                  we = i.share * j.share;
      for (int64_t k = 0; k < c; ++k) to[k] = wa * a[k] + wb * b[k] + wd * d[k] + we * e[k];
    }
  }
}

void plan_resize2d_grad(const Call& call, Plan& plan) {
  plan_any(attrs_of<resize2d_grad_attrs>(call).kind, call.out[0], call.in[0], plan);
  plan.tasks[0] = call.out[0].shape[0];
}

void run_resize2d_grad(const Call& call, const Range& range) {
  const auto kind = static_cast<Resize>(attrs_of<resize2d_grad_attrs>(call).kind);
  const View &x = call.out[0], &y = call.in[0];
  const int64_t h = x.shape[1], w = x.shape[2], c = x.shape[3], oh = y.shape[1], ow = y.shape[2];
  for (int64_t n = range.begin; n < range.end; ++n) {
    float* image = static_cast<float*>(x.data) + n * h * w * c;
    const float* from = static_cast<const float*>(y.data) + n * oh * ow * c;
    for (int64_t k = 0; k < h * w * c; ++k) image[k] = 0.0f;
    for (int64_t p = 0; p < oh; ++p) {
      const Source i = source_of(p, h, oh, kind);
      for (int64_t q = 0; q < ow; ++q, from += c) {
        const Source j = source_of(q, w, ow, kind);
        const auto add = [&](int64_t row, int64_t column, float weight) {
          float* to = image + (row * w + column) * c;
          for (int64_t k = 0; k < c; ++k) to[k] += weight * from[k];
        };
        if (kind == Resize::nearest) {
          add(i.first, j.first, 1.0f);
          continue;
        }
        add(i.first, j.first, (1 - i.share) * (1 - j.share));
        add(i.first, j.second, (1 - i.share) * j.share);
        add(i.second, j.first, i.share * (1 - j.share));
        add(i.second, j.second, i.share * j.share);
      }
    }
  }
}

}  // namespace

BERRANTE_KERNEL(resize2d, plan_resize2d, run_resize2d);
BERRANTE_KERNEL(resize2d_grad, plan_resize2d_grad, run_resize2d_grad);

}  // namespace BERRANTE_ISA
}  // namespace berrante
