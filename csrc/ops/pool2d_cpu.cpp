// pool2d, its gradient, and pool2d_pick, over NHWC: maximum, average and median.
//
// A task is one image. Windows are clipped to the input, so padding takes no part. Maximum and average go over channels
// in the inner loop; the maximum's gradient finds the first largest element of each window again. The median orders the
// positions of each window by value, channel by channel.
#include "../cpu/gemm.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int kMaxWindow = 1024;
constexpr int64_t kChannels = 64;  // handled together

struct Geometry {
  int64_t h, w, c, oh, ow, window_h, window_w, stride_h, stride_w, pad_top, pad_left;
  Pooling kind;
};

template <class Attrs>
Geometry geometry(const Attrs& t, const View& x, const View& y) {
  return {x.shape[1], x.shape[2], x.shape[3], y.shape[1], y.shape[2], t.window_h,
          t.window_w, t.stride_h, t.stride_w, t.pad_top,  t.pad_left, static_cast<Pooling>(t.kind)};
}

template <class Attrs>
void plan_any(const Attrs& t, const View& x, const View& y, Plan& plan) {
  if (x.rank != 4 || y.rank != 4 || x.shape[0] != y.shape[0] || x.shape[3] != y.shape[3]) {
    plan.error = "expected [N, H, W, C] tensors of one batch and channels";
    return;
  }
  if (t.window_h < 1 || t.window_w < 1 || t.stride_h < 1 || t.stride_w < 1 || t.kind < 0 || t.kind > 2) {
    plan.error = "window, strides or kind out of range";
    return;
  }
  if (t.window_h * t.window_w > kMaxWindow) {
    plan.error = "a window may hold at most 1024 elements";
    return;
  }
  const auto size = static_cast<double>(y.shape[0] * y.shape[1] * y.shape[2] * y.shape[3]);
  plan.tasks[0] = x.shape[0];
  plan.cost = size * static_cast<double>(t.window_h * t.window_w) * (t.kind == 2 ? 5.0 : 0.5);
}

// The part of a window inside the input.
struct Window {
  int64_t h0, h1, w0, w1;
};
BERRANTE_INLINE Window window_at(const Geometry& g, int64_t i, int64_t j) {
  const int64_t top = i * g.stride_h - g.pad_top, left = j * g.stride_w - g.pad_left;
  return {larger(top, 0), smaller(top + g.window_h, g.h), larger(left, 0), smaller(left + g.window_w, g.w)};
}

// The positions (of one channel) whose values are the two middle ones, twice the same for an odd count. Returns false
// for an empty window.
bool middle_positions(const Geometry& g, const Window& at, const float* x, int64_t channel, int64_t* first,
                      int64_t* second) {
  int64_t place[kMaxWindow];
  int n = 0;
  for (int64_t h = at.h0; h < at.h1; ++h)
    for (int64_t w = at.w0; w < at.w1; ++w) place[n++] = (h * g.w + w) * g.c + channel;
  if (n == 0) return false;
  for (int k = 1; k < n; ++k) {  // stable insertion
    const int64_t p = place[k];
    int at_k = k;
    while (at_k > 0 && x[place[at_k - 1]] > x[p]) place[at_k] = place[at_k - 1], --at_k;
    place[at_k] = p;
  }
  *first = place[(n - 1) / 2];
  *second = place[n / 2];
  return true;
}

// Calls found(channel, position) with the first largest element of each channel; NaN counts as largest.
template <class F>
BERRANTE_INLINE void largest_positions(const Geometry& g, const Window& at, const float* x, F found) {
  if (at.h0 >= at.h1 || at.w0 >= at.w1) return;
  for (int64_t c0 = 0; c0 < g.c; c0 += kChannels) {
    const int64_t n = smaller(kChannels, g.c - c0);
    float best[kChannels];
    int32_t where[kChannels];
    for (int64_t c = 0; c < n; ++c) best[c] = -kInfinity;
    const auto first = static_cast<int32_t>(at.h0 * g.w + at.w0);
    for (int64_t c = 0; c < n; ++c) where[c] = first;
    for (int64_t h = at.h0; h < at.h1; ++h)
      for (int64_t w = at.w0; w < at.w1; ++w) {
        const auto place = static_cast<int32_t>(h * g.w + w);
        const float* from = x + place * g.c + c0;
        for (int64_t c = 0; c < n; ++c) {
          const float v = from[c];
          const bool larger = (v > best[c]) | ((v != v) & (best[c] == best[c]));
          best[c] = larger ? v : best[c];
          where[c] = larger ? place : where[c];
        }
      }
    for (int64_t c = 0; c < n; ++c) found(c0 + c, where[c] * g.c + c0 + c);
  }
}

void pool_channels(const Geometry& g, const Window& at, const float* x, float* y) {
  const int64_t count = (at.h1 - at.h0) * (at.w1 - at.w0);
  const bool largest = g.kind == Pooling::maximum;
  for (int64_t c0 = 0; c0 < g.c; c0 += kChannels) {
    const int64_t n = smaller(kChannels, g.c - c0);
    float total[kChannels];
    for (int64_t c = 0; c < n; ++c) total[c] = largest ? -kInfinity : 0.0f;
    for (int64_t h = at.h0; h < at.h1; ++h)
      for (int64_t w = at.w0; w < at.w1; ++w) {
        const float* from = x + (h * g.w + w) * g.c + c0;
        if (largest)
          for (int64_t c = 0; c < n; ++c) total[c] = total[c] > from[c] || total[c] != total[c] ? total[c] : from[c];
        else
          for (int64_t c = 0; c < n; ++c) total[c] += from[c];
      }
    for (int64_t c = 0; c < n; ++c) y[c0 + c] = largest ? total[c] : total[c] / static_cast<float>(count);
  }
}

// v at the selected positions, or for plain pooling of x itself.
void pick(const Geometry& g, const float* x, const float* v, float* y) {
  for (int64_t i = 0; i < g.oh; ++i)
    for (int64_t j = 0; j < g.ow; ++j, y += g.c) {
      const Window at = window_at(g, i, j);
      if (g.kind == Pooling::average || (g.kind == Pooling::maximum && v == x)) {
        pool_channels(g, at, v, y);
      } else if (g.kind == Pooling::maximum) {
        for (int64_t c = 0; c < g.c; ++c) y[c] = __builtin_nanf("");
        largest_positions(g, at, x, [&](int64_t c, int64_t p) { y[c] = v[p]; });
      } else {
        for (int64_t c = 0; c < g.c; ++c) {
          int64_t a, b;
          y[c] = middle_positions(g, at, x, c, &a, &b) ? (a == b ? v[a] : 0.5f * (v[a] + v[b])) : __builtin_nanf("");
        }
      }
    }
}

template <class Attrs>
void run_pick(const Call& call, const Range& range, const Attrs& t, const View& v) {
  const Geometry g = geometry(t, call.in[0], call.out[0]);
  const int64_t in = g.h * g.w * g.c, out = g.oh * g.ow * g.c;
  for (int64_t n = range.begin; n < range.end; ++n)
    pick(g, static_cast<const float*>(call.in[0].data) + n * in, static_cast<const float*>(v.data) + n * in,
         static_cast<float*>(call.out[0].data) + n * out);
}

void plan_pool2d(const Call& call, Plan& plan) {
  plan_any(attrs_of<pool2d_attrs>(call), call.in[0], call.out[0], plan);
}
void run_pool2d(const Call& call, const Range& range) {
  run_pick(call, range, attrs_of<pool2d_attrs>(call), call.in[0]);
}

void plan_pool2d_pick(const Call& call, Plan& plan) {
  plan_any(attrs_of<pool2d_pick_attrs>(call), call.in[0], call.out[0], plan);
}
void run_pool2d_pick(const Call& call, const Range& range) {
  run_pick(call, range, attrs_of<pool2d_pick_attrs>(call), call.in[1]);
}

void plan_pool2d_grad(const Call& call, Plan& plan) {
  plan_any(attrs_of<pool2d_grad_attrs>(call), call.out[0], call.in[1], plan);
}

void run_pool2d_grad(const Call& call, const Range& range) {
  const Geometry g = geometry(attrs_of<pool2d_grad_attrs>(call), call.out[0], call.in[1]);
  const int64_t in = g.h * g.w * g.c, out = g.oh * g.ow * g.c;
  for (int64_t n = range.begin; n < range.end; ++n) {
    const float* x = static_cast<const float*>(call.in[0].data) + n * in;
    const float* dy = static_cast<const float*>(call.in[1].data) + n * out;
    float* dx = static_cast<float*>(call.out[0].data) + n * in;
    for (int64_t k = 0; k < in; ++k) dx[k] = 0.0f;
    for (int64_t i = 0; i < g.oh; ++i)
      for (int64_t j = 0; j < g.ow; ++j, dy += g.c) {
        const Window at = window_at(g, i, j);
        if (g.kind == Pooling::average) {
          const float share = 1.0f / static_cast<float>((at.h1 - at.h0) * (at.w1 - at.w0));
          for (int64_t h = at.h0; h < at.h1; ++h)
            for (int64_t w = at.w0; w < at.w1; ++w)
              for (int64_t c = 0; c < g.c; ++c) dx[(h * g.w + w) * g.c + c] += dy[c] * share;
          continue;
        }
        if (g.kind == Pooling::maximum) {
          largest_positions(g, at, x, [&](int64_t c, int64_t p) { dx[p] += dy[c]; });
          continue;
        }
        for (int64_t c = 0; c < g.c; ++c) {
          int64_t a, b;
          if (!middle_positions(g, at, x, c, &a, &b)) continue;
          dx[a] += a == b ? dy[c] : 0.5f * dy[c];
          if (a != b) dx[b] += 0.5f * dy[c];
        }
      }
  }
}

}  // namespace

BERRANTE_KERNEL(pool2d, plan_pool2d, run_pool2d);
BERRANTE_KERNEL(pool2d_grad, plan_pool2d_grad, run_pool2d_grad);
BERRANTE_KERNEL(pool2d_pick, plan_pool2d_pick, run_pool2d_pick);

}  // namespace BERRANTE_ISA
}  // namespace berrante
