// pool2d, its gradient, and pool2d_pick on CUDA, over NHWC: maximum, average and median.
//
// A thread has one pack of neighbouring channels of one position. The gradient is a gather: each element of dx goes
// through the windows that hold it, in their order, so nothing is added atomically. Where a window's selected position
// is needed more than once (overlapping maxima, every median), a first launch writes it to the workspace: 16 bits, the
// number of the position in its window. The median of a small window is found by counting, in registers, how many
// elements come before each one; NaN comes last.
#include "../cuda/access.cuh"
#include "../cuda/cuda_kernel.h"
#include "../cuda/launch.cuh"

namespace berrante {
namespace {

constexpr int kThreads = 256;
constexpr int kMaxWindow = 1024;
constexpr int kSmallWindow = 9;
constexpr uint16_t kNone = 0xffff;

// Kinds of pooling, and ways to find a median.
enum class Form { maximum, average, small_median, large_median };
template <Form kForm>
constexpr bool kMedian = kForm == Form::small_median || kForm == Form::large_median;

struct Geometry {
  int h, w, c, oh, ow, window_h, window_w, stride_h, stride_w, pad_top, pad_left;
  uint32_t size;  // packs to go through: of the output, or of dx
  bool aligned;
  Divider32 channels, columns, rows;  // of what is gone through
  Divider32 by_stride_h, by_stride_w;
};

// The part of a window inside the input, and its corner.
struct Window {
  int h0, h1, w0, w1, top, left;
  __device__ __forceinline__ bool empty() const { return h0 >= h1 || w0 >= w1; }
};
__device__ __forceinline__ Window window_at(const Geometry& g, int i, int j) {
  const int top = i * g.stride_h - g.pad_top, left = j * g.stride_w - g.pad_left;
  return {max(top, 0), min(top + g.window_h, g.h), max(left, 0), min(left + g.window_w, g.w), top, left};
}

struct Spot {
  int n, i, j, c;
};
template <int kWidth>
__device__ __forceinline__ Spot spot_of(const Geometry& g, uint32_t index) {
  uint32_t c, j, i;
  const uint32_t n = g.rows.divide(g.columns.divide(g.channels.divide(index, &c), &j), &i);
  return {static_cast<int>(n), static_cast<int>(i), static_cast<int>(j), static_cast<int>(c) * kWidth};
}
// Calls work(index, spot) for each of this thread's packs.
template <int kWidth, class F>
__device__ __forceinline__ void each_spot(const Geometry& g, F work) {
  const uint32_t step = gridDim.x * kThreads;
  for (uint32_t index = blockIdx.x * kThreads + threadIdx.x; index < g.size; index += step)
    work(index, spot_of<kWidth>(g, index));
}
__device__ __forceinline__ int64_t input_offset(const Geometry& g, int n, int h, int w, int c) {
  return ((static_cast<int64_t>(n) * g.h + h) * g.w + w) * g.c + c;
}
__device__ __forceinline__ int64_t output_offset(const Geometry& g, int n, int i, int j, int c) {
  return ((static_cast<int64_t>(n) * g.oh + i) * g.ow + j) * g.c + c;
}

// --- which position a window selects ---------------------------------------------------------------------------------

template <int kWidth>
struct Selected {
  int first[kWidth], second[kWidth];  // numbers in the window, row-major; kNone in an empty one
};

template <int kWidth>
__device__ __forceinline__ Selected<kWidth> first_largest(const Geometry& g, const Window& at, const float* x, int n,
                                                          int c) {
  Selected<kWidth> best;
  float value[kWidth];
#pragma unroll
  for (int k = 0; k < kWidth; ++k) best.first[k] = best.second[k] = kNone;
  for (int h = at.h0; h < at.h1; ++h)
    for (int w = at.w0; w < at.w1; ++w) {
      const Pack<float, kWidth> v = load_pack<kWidth>(x + input_offset(g, n, h, w, c), g.aligned);
      const int number = (h - at.top) * g.window_w + w - at.left;
#pragma unroll
      for (int k = 0; k < kWidth; ++k) {
        const bool larger = best.first[k] == kNone || v.v[k] > value[k] || (v.v[k] != v.v[k] && value[k] == value[k]);
        value[k] = larger ? v.v[k] : value[k];
        best.first[k] = best.second[k] = larger ? number : best.first[k];
      }
    }
  return best;
}

__device__ __forceinline__ bool before(float a, float b) { return a < b || (b != b && a == a); }

// Windows of at most kSmallWindow elements: one channel, values in registers.
__device__ __forceinline__ void small_middle(const Geometry& g, const Window& at, const float* x, int n, int c,
                                             int* first, int* second) {
  float value[kSmallWindow];
  int rank[kSmallWindow];
  const int size = g.window_h * g.window_w;
  int count = 0;
  bool inside[kSmallWindow];
  int h = at.top, w = at.left;
#pragma unroll
  for (int k = 0; k < kSmallWindow; ++k) {
    inside[k] = k < size && h >= at.h0 && h < at.h1 && w >= at.w0 && w < at.w1;
    value[k] = inside[k] ? x[input_offset(g, n, h, w, c)] : 0.0f;
    rank[k] = 0;
    count += inside[k];
    if (++w == at.left + g.window_w) w = at.left, ++h;
  }
#pragma unroll
  for (int i = 0; i < kSmallWindow; ++i)
#pragma unroll
    for (int k = 0; k < i; ++k) {
      const bool later_first = before(value[i], value[k]);  // else equal ones keep their order
      rank[k] += later_first && inside[i];
      rank[i] += !later_first && inside[k];
    }
  *first = *second = kNone;
#pragma unroll
  for (int k = 0; k < kSmallWindow; ++k) {
    if (inside[k] && rank[k] == (count - 1) / 2) *first = k;
    if (inside[k] && rank[k] == count / 2) *second = k;
  }
}

// Any window: elements are compared in memory.
__device__ __forceinline__ void large_middle(const Geometry& g, const Window& at, const float* x, int n, int c,
                                             int* first, int* second) {
  *first = *second = kNone;
  const int count = (at.h1 - at.h0) * (at.w1 - at.w0);
  for (int h = at.h0; h < at.h1; ++h)
    for (int w = at.w0; w < at.w1; ++w) {
      const float v = x[input_offset(g, n, h, w, c)];
      int rank = 0;
      for (int i = at.h0; i < at.h1; ++i)
        for (int j = at.w0; j < at.w1; ++j) {
          const float other = x[input_offset(g, n, i, j, c)];
          const bool earlier = i < h || (i == h && j < w);
          rank += before(other, v) || (earlier && !before(v, other));
        }
      const int number = (h - at.top) * g.window_w + w - at.left;
      if (rank == (count - 1) / 2) *first = number;
      if (rank == count / 2) *second = number;
    }
}

template <Form kForm, int kWidth>
__device__ __forceinline__ Selected<kWidth> select(const Geometry& g, const Window& at, const float* x, int n, int c) {
  if constexpr (kForm == Form::maximum) {
    return first_largest<kWidth>(g, at, x, n, c);
  } else {
    static_assert(kWidth == 1, "medians are found one by one");
    Selected<kWidth> middle;
    middle.first[0] = middle.second[0] = kNone;
    if (at.empty()) return middle;
    if constexpr (kForm == Form::small_median)
      small_middle(g, at, x, n, c, &middle.first[0], &middle.second[0]);
    else
      large_middle(g, at, x, n, c, &middle.first[0], &middle.second[0]);
    return middle;
  }
}

__device__ __forceinline__ int64_t offset_of(const Geometry& g, const Window& at, int number, int n, int c) {
  return input_offset(g, n, at.top + number / g.window_w, at.left + number % g.window_w, c);
}

// --- forward ---------------------------------------------------------------------------------------------------------

// Maximum and average of the windows themselves.
template <Form kForm, int kWidth>
__global__ void __launch_bounds__(kThreads) pool_kernel(Geometry g, const float* x, float* y) {
  each_spot<kWidth>(g, [&](uint32_t index, const Spot& s) {
    const Window at = window_at(g, s.i, s.j);
    Pack<float, kWidth> total;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) total.v[k] = kForm == Form::maximum ? __int_as_float(0xff800000) : 0.0f;
    for (int h = at.h0; h < at.h1; ++h)
      for (int w = at.w0; w < at.w1; ++w) {
        const Pack<float, kWidth> v = load_pack<kWidth>(x + input_offset(g, s.n, h, w, s.c), g.aligned);
#pragma unroll
        for (int k = 0; k < kWidth; ++k) {
          if (kForm == Form::maximum)
            total.v[k] = total.v[k] > v.v[k] || total.v[k] != total.v[k] ? total.v[k] : v.v[k];
          else
            total.v[k] += v.v[k];
        }
      }
    if (kForm == Form::average) {
      const float count = static_cast<float>(at.empty() ? 0 : (at.h1 - at.h0) * (at.w1 - at.w0));
#pragma unroll
      for (int k = 0; k < kWidth; ++k) total.v[k] /= count;
    }
    store_pack<kWidth>(y + static_cast<int64_t>(index) * kWidth, total, g.aligned);
  });
}

// v at the selected positions; NaN for an empty window. Five blocks a multiprocessor: left alone, ptxas takes 32
// registers and spills for more.
template <Form kForm, int kWidth>
__global__ void __launch_bounds__(kThreads, 5) pick_kernel(Geometry g, const float* x, const float* v, float* y) {
  each_spot<kWidth>(g, [&](uint32_t index, const Spot& s) {
    const Window at = window_at(g, s.i, s.j);
    const Selected<kWidth> found = select<kForm, kWidth>(g, at, x, s.n, s.c);
    Pack<float, kWidth> result;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      result.v[k] = __int_as_float(0x7fc00000);
      if (found.first[k] == kNone) continue;
      result.v[k] = v[offset_of(g, at, found.first[k], s.n, s.c + k)];
      if (kMedian<kForm> && found.first[k] != found.second[k])
        result.v[k] = 0.5f * (result.v[k] + v[offset_of(g, at, found.second[k], s.n, s.c + k)]);
    }
    store_pack<kWidth>(y + static_cast<int64_t>(index) * kWidth, result, g.aligned);
  });
}

// --- gradient --------------------------------------------------------------------------------------------------------

// Numbers of the first (and for a median then of all the second) selected positions.
template <Form kForm, int kWidth>
__global__ void __launch_bounds__(kThreads)
    select_kernel(Geometry g, const float* x, uint16_t* first, uint16_t* second) {
  each_spot<kWidth>(g, [&](uint32_t index, const Spot& s) {
    const Selected<kWidth> found = select<kForm, kWidth>(g, window_at(g, s.i, s.j), x, s.n, s.c);
    Pack<uint16_t, kWidth> a, b;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) {
      a.v[k] = static_cast<uint16_t>(found.first[k]);
      b.v[k] = static_cast<uint16_t>(found.second[k]);
    }
    store_pack<kWidth>(first + static_cast<int64_t>(index) * kWidth, a, true);
    if (kMedian<kForm>) store_pack<kWidth>(second + static_cast<int64_t>(index) * kWidth, b, true);
  });
}

// `first`: null where windows do not overlap, and the maximum is found again.
template <Form kForm, int kWidth>
__global__ void __launch_bounds__(kThreads) gradient_kernel(Geometry g, const float* x, const float* dy,
                                                            const uint16_t* first, const uint16_t* second, float* dx) {
  each_spot<kWidth>(g, [&](uint32_t index, const Spot& s) {
    const int h = s.i + g.pad_top, w = s.j + g.pad_left;  // in the padded input
    const auto first_window = [](int place, int window, const Divider32& stride) {
      return place < window ? 0 : static_cast<int>(stride.divide(static_cast<uint32_t>(place - window))) + 1;
    };
    const int i0 = first_window(h, g.window_h, g.by_stride_h), j0 = first_window(w, g.window_w, g.by_stride_w);
    const int i1 = min(g.oh, static_cast<int>(g.by_stride_h.divide(static_cast<uint32_t>(h))) + 1);
    const int j1 = min(g.ow, static_cast<int>(g.by_stride_w.divide(static_cast<uint32_t>(w))) + 1);
    Pack<float, kWidth> sum;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum.v[k] = 0.0f;
    for (int i = i0; i < i1; ++i)
      for (int j = j0; j < j1; ++j) {
        const int64_t from = output_offset(g, s.n, i, j, s.c);
        const Pack<float, kWidth> d = load_pack<kWidth>(dy + from, g.aligned);
        const Window at = window_at(g, i, j);
        const int number = (h - i * g.stride_h) * g.window_w + w - j * g.stride_w;
        if constexpr (kForm == Form::average) {
          const float share = 1.0f / static_cast<float>((at.h1 - at.h0) * (at.w1 - at.w0));
#pragma unroll
          for (int k = 0; k < kWidth; ++k) sum.v[k] += d.v[k] * share;
        } else if (kForm == Form::maximum && first == nullptr) {
          const Selected<kWidth> found = first_largest<kWidth>(g, at, x, s.n, s.c);
#pragma unroll
          for (int k = 0; k < kWidth; ++k) sum.v[k] += found.first[k] == number ? d.v[k] : 0.0f;
        } else {
          const Pack<uint16_t, kWidth> a = load_pack<kWidth>(first + from, true);
          const Pack<uint16_t, kWidth> b = kMedian<kForm> ? load_pack<kWidth>(second + from, true) : a;
#pragma unroll
          for (int k = 0; k < kWidth; ++k) {
            const float part = a.v[k] == b.v[k] ? d.v[k] : 0.5f * d.v[k];
            if (a.v[k] == number || b.v[k] == number) sum.v[k] += part;
          }
        }
      }
    store_pack<kWidth>(dx + static_cast<int64_t>(index) * kWidth, sum, g.aligned);
  });
}

// --- host ------------------------------------------------------------------------------------------------------------

template <class Attrs>
const char* check_pool(const Attrs& t, const View& x, const View& y) {
  if (x.rank != 4 || y.rank != 4 || x.shape[0] != y.shape[0] || x.shape[3] != y.shape[3] || x.dtype != DType::float32 ||
      y.dtype != DType::float32)
    return "expected float32 [N, H, W, C] tensors of one batch and channels";
  if (t.window_h < 1 || t.window_w < 1 || t.stride_h < 1 || t.stride_w < 1 || t.kind < 0 || t.kind > 2)
    return "window, strides or kind out of range";
  if (t.window_h * t.window_w > kMaxWindow) return "a window may hold at most 1024 elements";
  if (x.shape[1] * x.shape[2] * x.shape[3] >= kIndexLimit / 2 ||
      y.shape[1] * y.shape[2] * y.shape[3] >= kIndexLimit / 2)
    return "an image may hold at most 2^30 elements";
  return nullptr;
}

// Over x (of the gradient) or over y.
template <class Attrs>
Geometry geometry(const Attrs& t, const View& x, const View& y, int width, bool over_x) {
  const auto whole = [](int64_t n) { return static_cast<int>(n); };
  Geometry g{};
  g.h = whole(x.shape[1]), g.w = whole(x.shape[2]), g.c = whole(x.shape[3]);
  g.oh = whole(y.shape[1]), g.ow = whole(y.shape[2]);
  g.window_h = whole(t.window_h), g.window_w = whole(t.window_w);
  g.stride_h = whole(t.stride_h), g.stride_w = whole(t.stride_w);
  g.pad_top = whole(t.pad_top), g.pad_left = whole(t.pad_left);
  g.channels = Divider32(g.c / width);
  g.columns = Divider32(over_x ? g.w : g.ow);
  g.rows = Divider32(over_x ? g.h : g.oh);
  g.by_stride_h = Divider32(g.stride_h);
  g.by_stride_w = Divider32(g.stride_w);
  return g;
}

// Calls part(first image, images) for groups of images that 32 bits can count.
template <class F>
void each_group(int64_t images, int64_t image_size, F part) {
  const int64_t most = image_size == 0 ? images : (kIndexLimit - 1) / image_size;
  for (int64_t n = 0; n < images && image_size > 0; n += most) part(n, images - n < most ? images - n : most);
}

unsigned grid_of(uint32_t size, const CudaTarget& target) {
  return blocks_for(size, kThreads, target.multiprocessors * 32);
}

template <Form kForm, int kWidth, class Attrs>
void forward(const Call& call, const CudaTarget& target, const Attrs& t, const View* v) {
  const View &x = call.in[0], &y = call.out[0];
  Geometry g = geometry(t, x, y, kWidth, false);
  const int64_t in = int64_t{g.h} * g.w * g.c, out = int64_t{g.oh} * g.ow * g.c;
  g.aligned = is_aligned(x.data, 16) && is_aligned(y.data, 16);
  each_group(x.shape[0], out, [&](int64_t n, int64_t images) {
    g.size = static_cast<uint32_t>(images * out / kWidth);
    const float* from = data_of<const float>(x) + n * in;
    float* to = data_of<float>(y) + n * out;
    if (v != nullptr || kMedian<kForm>) {
      const float* values = data_of<const float>(v != nullptr ? *v : x) + n * in;
      if constexpr (kForm != Form::average)
        launch(pick_kernel<kForm, kWidth>, grid_of(g.size, target), kThreads, 0, target.stream, g, from, values, to);
    } else if constexpr (!kMedian<kForm>) {
      launch(pool_kernel<kForm, kWidth>, grid_of(g.size, target), kThreads, 0, target.stream, g, from, to);
    }
  });
}

// f.operator()<kForm, kWidth>() for the call's kind, window and channels.
template <class Attrs, class F>
void dispatch(const Attrs& t, int64_t channels, F f) {
  const bool wide = channels % 4 == 0;
  switch (static_cast<Pooling>(t.kind)) {
    case Pooling::maximum:
      return wide ? f.template operator()<Form::maximum, 4>() : f.template operator()<Form::maximum, 1>();
    case Pooling::average:
      return wide ? f.template operator()<Form::average, 4>() : f.template operator()<Form::average, 1>();
    case Pooling::median:
      if (t.window_h * t.window_w <= kSmallWindow) return f.template operator()<Form::small_median, 1>();
      return f.template operator()<Form::large_median, 1>();
  }
}

void plan_pool2d(const Call& call, CudaPlan& plan) {
  plan.error = check_pool(attrs_of<pool2d_attrs>(call), call.in[0], call.out[0]);
}
void launch_pool2d(const Call& call, const CudaTarget& target) {
  const auto& t = attrs_of<pool2d_attrs>(call);
  dispatch(t, call.in[0].shape[3], [&]<Form kForm, int kWidth>() { forward<kForm, kWidth>(call, target, t, nullptr); });
}

void plan_pool2d_pick(const Call& call, CudaPlan& plan) {
  plan.error = check_pool(attrs_of<pool2d_pick_attrs>(call), call.in[0], call.out[0]);
  for (int i = 0; plan.error == nullptr && i < 4; ++i)
    if (call.in[1].rank != 4 || call.in[1].shape[i] != call.in[0].shape[i]) plan.error = "expected v of x's shape";
}
void launch_pool2d_pick(const Call& call, const CudaTarget& target) {
  const auto& t = attrs_of<pool2d_pick_attrs>(call);
  dispatch(t, call.in[0].shape[3], [&]<Form kForm, int kWidth>() {
    if constexpr (kForm == Form::average) {  // selects every position: the average of v
      Call average = call;
      average.in = call.in + 1;
      forward<kForm, kWidth>(average, target, t, nullptr);
    } else {
      forward<kForm, kWidth>(call, target, t, &call.in[1]);
    }
  });
}

// Whether the selected positions are written down: 16-bit numbers a window, in the workspace.
int64_t numbers_of(const pool2d_grad_attrs& t) {
  const bool overlap = t.window_h > t.stride_h || t.window_w > t.stride_w;
  switch (static_cast<Pooling>(t.kind)) {
    case Pooling::maximum: return overlap ? 1 : 0;
    case Pooling::median: return 2;
    default: return 0;
  }
}

void plan_pool2d_grad(const Call& call, CudaPlan& plan) {
  const auto& t = attrs_of<pool2d_grad_attrs>(call);
  plan.error = check_pool(t, call.out[0], call.in[1]);
  if (plan.error == nullptr) plan.workspace = static_cast<size_t>(numbers_of(t) * count_of(call.in[1])) * 2;
}

template <Form kForm, int kWidth>
void gradient(const Call& call, const CudaTarget& target) {
  const auto& t = attrs_of<pool2d_grad_attrs>(call);
  const View &x = call.in[0], &dy = call.in[1], &dx = call.out[0];
  Geometry over_y = geometry(t, dx, dy, kWidth, false), over_x = geometry(t, dx, dy, kWidth, true);
  const int64_t in = int64_t{over_x.h} * over_x.w * over_x.c, out = int64_t{over_x.oh} * over_x.ow * over_x.c;
  const bool reads_x = kForm != Form::average;
  over_x.aligned = over_y.aligned =
      (!reads_x || is_aligned(x.data, 16)) && is_aligned(dy.data, 16) && is_aligned(dx.data, 16);
  auto* numbers = reinterpret_cast<uint16_t*>(call.workspace);
  each_group(dx.shape[0], in > out ? in : out, [&](int64_t n, int64_t images) {
    over_x.size = static_cast<uint32_t>(images * in / kWidth);
    over_y.size = static_cast<uint32_t>(images * out / kWidth);
    const float* from = reads_x ? data_of<const float>(x) + n * in : nullptr;
    uint16_t* first = numbers_of(t) > 0 ? numbers + n * out : nullptr;
    uint16_t* second = numbers_of(t) > 1 ? first + count_of(dy) : first;
    if constexpr (kForm != Form::average)
      if (first != nullptr)
        launch(select_kernel<kForm, kWidth>, grid_of(over_y.size, target), kThreads, 0, target.stream, over_y, from,
               first, second);
    launch(gradient_kernel<kForm, kWidth>, grid_of(over_x.size, target), kThreads, 0, target.stream, over_x, from,
           data_of<const float>(dy) + n * out, first, second, data_of<float>(dx) + n * in);
  });
}

void launch_pool2d_grad(const Call& call, const CudaTarget& target) {
  dispatch(attrs_of<pool2d_grad_attrs>(call), call.out[0].shape[3],
           [&]<Form kForm, int kWidth>() { gradient<kForm, kWidth>(call, target); });
}

}  // namespace

const CudaKernel pool2d_cuda_kernel = {"pool2d", plan_pool2d, launch_pool2d};
const CudaKernel pool2d_grad_cuda_kernel = {"pool2d_grad", plan_pool2d_grad, launch_pool2d_grad};
const CudaKernel pool2d_pick_cuda_kernel = {"pool2d_pick", plan_pool2d_pick, launch_pool2d_pick};

}  // namespace berrante
