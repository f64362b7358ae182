// Depthwise convolutions over NHWC, vectors running over channels.
//
// All three work line by line of the output. The lines of the images that one needs are read in place, or where columns
// are padded, channels repeat (several filters a channel) or do not fill vectors, or zeros lie between pixels, from a
// ring of prepared lines in scratch. The adjoint in the input is the forward convolution of dy, with zeros between its
// pixels where there are strides, by the kernel turned around (stage 0); lines of zeros alone are skipped. The weight
// gradient sums a fixed number of shares of the lines; stage 1 adds them in order.
#include "../cpu/depthwise.h"

namespace berrante {
namespace BERRANTE_ISA {

namespace {

constexpr int64_t kLinesOfTask = 16;
constexpr int64_t kShares = 16;
constexpr int64_t kSumSize = 4096;  // elements a task of the last stage
constexpr int kPixels = 6;          // summed side by side
constexpr int kTaps = 4;            // of one kernel row, summed side by side

// A convolution with one filter for each of k channels, over images whose c channels each repeat k / c times and whose
// pixels lie gap_h and gap_w apart, with zeros in between.
struct Lines {
  int64_t h, w, c, k, gap_h, gap_w;
  int64_t oh, ow, kh, kw, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;

  int64_t width() const {
    return (ow - 1) * stride_w + (kw - 1) * dilation_w + 1;
  }  // of a line, as a convolution reads it
  int64_t slots() const { return (kh - 1) * dilation_h + 1; }
  int64_t line_floats() const { return width() * k + kLanes; }  // the last vector may reach beyond the line
  bool in_place() const { return c == k && gap_w == 1 && k % kLanes == 0 && pad_left == 0 && width() <= w; }
  size_t ring_bytes() const {
    const int64_t lines = in_place() ? 0 : slots() * line_floats();
    return static_cast<size_t>(kh + slots()) * 8 + static_cast<size_t>(lines) * 4 + 64;
  }
};

Lines forward_lines(const Geometry& g) {
  return {g.h,  g.w,  g.c,        g.k,        1,         1,          g.oh,         g.ow,
          g.kh, g.kw, g.stride_h, g.stride_w, g.pad_top, g.pad_left, g.dilation_h, g.dilation_w};
}

Lines adjoint_lines(const Geometry& g) {
  return {g.oh,
          g.ow,
          g.k,
          g.k,
          g.stride_h,
          g.stride_w,
          g.h,
          g.w,
          g.kh,
          g.kw,
          1,
          1,
          (g.kh - 1) * g.dilation_h - g.pad_top,
          (g.kw - 1) * g.dilation_w - g.pad_left,
          g.dilation_h,
          g.dilation_w};
}

// The prepared lines of one image at a time; scratch has ring_bytes().
class Ring {
 public:
  Ring(const Lines& l, std::byte* scratch)
      : l_(l),
        rows_(reinterpret_cast<const float**>(scratch)),
        tag_(reinterpret_cast<int64_t*>(rows_ + l.kh)),
        lines_(reinterpret_cast<float*>(tag_ + l.slots())) {}

  void open(const float* image) {
    image_ = image;
    for (int64_t i = 0; i < l_.slots(); ++i) tag_[i] = -1;
  }

  // The lines that the kernel's rows meet for output line i; null where they hold zeros alone.
  const float* const* rows_of(int64_t i) {
    for (int64_t a = 0; a < l_.kh; ++a) rows_[a] = line(i * l_.stride_h - l_.pad_top + a * l_.dilation_h);
    return rows_;
  }

 private:
  const float* line(int64_t row) {
    if (row < 0 || row % l_.gap_h != 0 || row / l_.gap_h >= l_.h) return nullptr;
    const float* source = image_ + row / l_.gap_h * l_.w * l_.c;
    if (l_.in_place()) return source;
    const int64_t slot = row % l_.slots();
    float* line = lines_ + slot * l_.line_floats();
    if (tag_[slot] != row) prepare(source, line);
    tag_[slot] = row;
    return line;
  }

  void prepare(const float* source, float* line) const {
    const int64_t repeat = l_.k / l_.c;
    for (int64_t i = 0; i < l_.line_floats(); ++i) line[i] = 0.0f;
    for (int64_t x = 0; x < l_.w; ++x, source += l_.c) {
      const int64_t at = x * l_.gap_w + l_.pad_left;
      if (at < 0 || at >= l_.width()) continue;
      float* pixel = line + at * l_.k;
      if (repeat == 1)
        __builtin_memcpy(pixel, source, static_cast<size_t>(l_.c) * 4);
      else
        for (int64_t c = 0; c < l_.c; ++c)
          for (int64_t j = 0; j < repeat; ++j) pixel[c * repeat + j] = source[c];
    }
  }

  const Lines& l_;
  const float** rows_;
  int64_t* tag_;
  float* lines_;
  const float* image_ = nullptr;
};

// Pixels j .. j + P of one output line, the vector of channels from k0 on; `lanes` of them exist.
template <int P>
BERRANTE_INLINE void convolve_pixels(const Lines& l, const float* const* rows, const float* w, const float* bias,
                                     int64_t k0, int lanes, int64_t j, float* out) {
  vf sum[P];
  const vf start = bias == nullptr ? vf{} : lanes == kLanes ? load(bias + k0) : load_first(bias + k0, lanes);
#pragma GCC unroll 6
  for (int p = 0; p < P; ++p) sum[p] = start;
  for (int64_t a = 0; a < l.kh; ++a) {
    if (rows[a] == nullptr) continue;
    for (int64_t b = 0; b < l.kw; ++b) {
      const float* filter = w + (a * l.kw + b) * l.k + k0;
      const vf weight = lanes == kLanes ? load(filter) : load_first(filter, lanes);
      const float* x = rows[a] + (j * l.stride_w + b * l.dilation_w) * l.k + k0;
#pragma GCC unroll 6
      for (int p = 0; p < P; ++p) sum[p] += weight * load(x + p * l.stride_w * l.k);
    }
  }
#pragma GCC unroll 6
  for (int p = 0; p < P; ++p) {
    float* y = out + (j + p) * l.k + k0;
    lanes == kLanes ? store(y, sum[p]) : store_first(y, sum[p], lanes);
  }
}

// One output line [ow, k].
void convolve_line(const Lines& l, Ring& ring, int64_t i, const float* w, const float* bias, float* out) {
  const float* const* rows = ring.rows_of(i);
  for (int64_t k0 = 0; k0 < l.k; k0 += kLanes) {
    const int lanes = static_cast<int>(smaller(kLanes, l.k - k0));
    if (l.ow >= kPixels) {  // the last pixels may be computed twice
      for (int64_t j = 0; j < l.ow; j += kPixels)
        convolve_pixels<kPixels>(l, rows, w, bias, k0, lanes, smaller(j, l.ow - kPixels), out);
      continue;
    }
    int64_t j = 0;
    for (; j + 2 <= l.ow; j += 2) convolve_pixels<2>(l, rows, w, bias, k0, lanes, j, out);
    if (j < l.ow) convolve_pixels<1>(l, rows, w, bias, k0, lanes, j, out);
  }
}

int64_t strips(const Lines& l) { return ceil_div(l.oh, kLinesOfTask); }

// Calls line(n, i, ring) for the output lines of the tasks in `range`.
template <class F>
void each_line(const Lines& l, const float* images, const Range& range, F line) {
  Ring ring(l, range.scratch);
  for (int64_t task = range.begin; task < range.end; ++task) {
    const int64_t n = task / strips(l), first = task % strips(l) * kLinesOfTask;
    ring.open(images + n * l.h * l.w * l.c);
    for (int64_t i = first; i < smaller(l.oh, first + kLinesOfTask); ++i) line(n, i, ring);
  }
}

double cost(const Geometry& g) {
  return static_cast<double>(g.n * g.oh * g.ow) * static_cast<double>(g.kh * g.kw * g.k) * 0.1;
}

}  // namespace

// --- forward ---------------------------------------------------------------------------------------------------------

void plan_depthwise(const Geometry& g, Plan& plan) {
  const Lines l = forward_lines(g);
  plan.tasks[0] = g.n * strips(l);
  plan.scratch = l.ring_bytes();
  plan.cost = cost(g);
}

void run_depthwise(const Geometry& g, const Call& call, const Range& range, int64_t activation) {
  const Lines l = forward_lines(g);
  const float* w = static_cast<const float*>(call.in[1].data);
  const float* bias = call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
  float* y = static_cast<float*>(call.out[0].data);
  each_line(l, static_cast<const float*>(call.in[0].data), range, [&](int64_t n, int64_t i, Ring& ring) {
    float* out = y + (n * l.oh + i) * l.ow * l.k;
    convolve_line(l, ring, i, w, bias, out);
    activate(out, l.ow * l.k, activation);
  });
}

// --- adjoint in the input --------------------------------------------------------------------------------------------

void plan_depthwise_input_grad(const Geometry& g, Plan& plan) {
  const Lines l = adjoint_lines(g);
  plan.stages = 2;
  plan.tasks[1] = g.n * strips(l);
  plan.workspace = static_cast<size_t>(g.kh * g.kw * g.k) * 4;
  plan.scratch = (l.ring_bytes() + 63) / 64 * 64 + static_cast<size_t>(g.w * g.k) * 4;
  plan.cost = cost(g) * static_cast<double>(g.stride_w);
}

void run_depthwise_input_grad(const Geometry& g, const Call& call, const Range& range, int64_t activation) {
  const Lines l = adjoint_lines(g);
  auto* turned = reinterpret_cast<float*>(call.workspace);
  if (range.stage == 0) {
    const float* w = static_cast<const float*>(call.in[1].data);
    const int64_t taps = g.kh * g.kw;
    for (int64_t tap = 0; tap < taps; ++tap)
      __builtin_memcpy(turned + tap * g.k, w + (taps - 1 - tap) * g.k, static_cast<size_t>(g.k) * 4);
    return;
  }
  const float* bias = call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
  float* dx = static_cast<float*>(call.out[0].data);
  auto* wide = reinterpret_cast<float*>(range.scratch + (l.ring_bytes() + 63) / 64 * 64);
  const int64_t repeat = g.k / g.c;
  each_line(l, static_cast<const float*>(call.in[0].data), range, [&](int64_t n, int64_t i, Ring& ring) {
    float* out = dx + (n * g.h + i) * g.w * g.c;
    convolve_line(l, ring, i, turned, repeat == 1 ? bias : nullptr, repeat == 1 ? out : wide);
    if (repeat > 1)
      for (int64_t x = 0; x < g.w * g.c; ++x) {
        float sum = bias == nullptr ? 0.0f : bias[x % g.c];
        for (int64_t j = 0; j < repeat; ++j) sum += wide[x * repeat + j];
        out[x] = sum;
      }
    activate(out, g.w * g.c, activation);
  });
}

// --- weight gradient -------------------------------------------------------------------------------------------------

namespace {

int64_t shares_of(const Geometry& g) { return larger(1, smaller(kShares, g.n * g.oh / 4)); }

// T taps of one kernel row, from tap b on: sums [kw, k] grow by the products with one line of dy.
template <int T>
BERRANTE_INLINE void add_taps(const Lines& l, const float* line, const float* dy, int64_t b, int64_t k0, int lanes,
                              float* sums) {
  vf sum[T];
#pragma GCC unroll 4
  for (int t = 0; t < T; ++t) sum[t] = load_first(sums + (b + t) * l.k + k0, lanes);
  const float* x = line + b * l.dilation_w * l.k + k0;
  for (int64_t j = 0; j < l.ow; ++j, x += l.stride_w * l.k) {
    const vf d = lanes == kLanes ? load(dy + j * l.k + k0) : load_first(dy + j * l.k + k0, lanes);
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) sum[t] += d * load(x + t * l.dilation_w * l.k);
  }
#pragma GCC unroll 4
  for (int t = 0; t < T; ++t) store_first(sums + (b + t) * l.k + k0, sum[t], lanes);
}

void add_line(const Lines& l, Ring& ring, int64_t i, const float* dy, float* sums) {
  const float* const* rows = ring.rows_of(i);
  for (int64_t a = 0; a < l.kh; ++a) {
    const float* line = rows[a];
    if (line == nullptr) continue;
    float* row = sums + a * l.kw * l.k;
    for (int64_t k0 = 0; k0 < l.k; k0 += kLanes) {
      const int lanes = static_cast<int>(smaller(kLanes, l.k - k0));
      int64_t b = 0;
      for (; b + kTaps <= l.kw; b += kTaps) add_taps<kTaps>(l, line, dy, b, k0, lanes, row);
      if (l.kw - b == 3)
        add_taps<3>(l, line, dy, b, k0, lanes, row);
      else
        for (; b < l.kw; ++b) add_taps<1>(l, line, dy, b, k0, lanes, row);
    }
  }
}

}  // namespace

void plan_depthwise_weight_grad(const Geometry& g, Plan& plan) {
  const int64_t size = g.kh * g.kw * g.k;
  plan.stages = 2;
  plan.tasks[0] = shares_of(g);
  plan.tasks[1] = ceil_div(size, kSumSize);
  plan.workspace = static_cast<size_t>(shares_of(g) * size) * 4;
  plan.scratch = forward_lines(g).ring_bytes();
  plan.cost = cost(g);
}

void run_depthwise_weight_grad(const Geometry& g, const Call& call, const Range& range) {
  const Lines l = forward_lines(g);
  const int64_t size = g.kh * g.kw * g.k, shares = shares_of(g), lines = g.n * g.oh;
  auto* partials = reinterpret_cast<float*>(call.workspace);
  if (range.stage == 1) {
    float* dw = static_cast<float*>(call.out[0].data);
    const int64_t end = smaller(size, range.end * kSumSize);
    for (int64_t i = range.begin * kSumSize; i < end; ++i) {
      float sum = partials[i];
      for (int64_t share = 1; share < shares; ++share) sum += partials[share * size + i];
      dw[i] = sum;
    }
    return;
  }
  const float *x = static_cast<const float*>(call.in[0].data), *dy = static_cast<const float*>(call.in[1].data);
  Ring ring(l, range.scratch);
  for (int64_t share = range.begin; share < range.end; ++share) {
    float* sums = partials + share * size;
    for (int64_t i = 0; i < size; ++i) sums[i] = 0.0f;
    int64_t open = -1;
    for (int64_t line = lines * share / shares; line < lines * (share + 1) / shares; ++line) {
      const int64_t n = line / g.oh;
      if (n != open) ring.open(x + n * g.h * g.w * g.c);
      open = n;
      add_line(l, ring, line % g.oh, dy + line * g.ow * g.k, sums);
    }
  }
}

}  // namespace BERRANTE_ISA
}  // namespace berrante
