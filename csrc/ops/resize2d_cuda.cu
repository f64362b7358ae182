// resize2d on CUDA, nearest or bilinear with half-pixel centres, and its
// adjoint, over NHWC.
//
// A thread has one pack of neighbouring channels of one position. The adjoint
// is a gather: it goes through the outputs that take from a position, which are
// a range of rows and of columns. Positions are ratios of whole numbers, found
// without rounding.
#include "../core/checks.h"
#include "../cuda/access.cuh"
#include "../cuda/cuda_kernel.h"
#include "../cuda/launch.cuh"

namespace berrante {
namespace {

constexpr int kThreads = 256;

// One side, resized from `from` to `to`.
struct Side {
  int from, to;
  Divider32 by_to, by_from;  // by twice of them
};

// Output i takes (1 - share) of `first` and share of `second`.
struct Source {
  int first, second;
  float share;
};
template <Resize kKind>
__device__ __forceinline__ Source source_of(const Side& side, int i) {
  const int centre = (2 * i + 1) * side.from;  // in units of 1 / (2 to), half an element to the right
  if (kKind == Resize::nearest) {
    const int at = min(side.from - 1, static_cast<int>(side.by_to.divide(static_cast<uint32_t>(centre))));
    return {at, at, 0.0f};
  }
  uint32_t rest;
  const int low = static_cast<int>(side.by_to.divide(static_cast<uint32_t>(centre + side.to), &rest)) - 1;
  return {max(0, low), min(side.from - 1, low + 1), static_cast<float>(rest) / static_cast<float>(2 * side.to)};
}

// The least output i with centre 2 (2 i + 1) from >= k to, which is where
// outputs from position k / 2 on start.
__device__ __forceinline__ int first_output(const Side& side, int k) {
  if (k <= 0) return 0;
  return min(side.to, static_cast<int>(side.by_from.divide(static_cast<uint32_t>(k * side.to + side.from - 1))));
}

struct Geometry {
  Side rows, columns;
  int c;
  uint32_t size;  // packs to go through
  Divider32 channels, by_columns, by_rows;
  bool aligned;
};

struct Spot {
  int64_t n;
  int i, j, c;
};
template <int kWidth>
__device__ __forceinline__ Spot spot_of(const Geometry& g, uint32_t index) {
  uint32_t c, j, i;
  const uint32_t n = g.by_rows.divide(g.by_columns.divide(g.channels.divide(index, &c), &j), &i);
  return {n, static_cast<int>(i), static_cast<int>(j), static_cast<int>(c) * kWidth};
}

template <Resize kKind, int kWidth>
__global__ void __launch_bounds__(kThreads) resize_kernel(Geometry g, const float* x, float* y) {
  const uint32_t step = gridDim.x * kThreads;
  for (uint32_t index = blockIdx.x * kThreads + threadIdx.x; index < g.size; index += step) {
    const Spot s = spot_of<kWidth>(g, index);
    const Source i = source_of<kKind>(g.rows, s.i), j = source_of<kKind>(g.columns, s.j);
    const auto read = [&](int row, int column) {
      return load_pack<kWidth>(x + ((s.n * g.rows.from + row) * g.columns.from + column) * g.c + s.c, g.aligned);
    };
    Pack<float, kWidth> result = read(i.first, j.first);
    if (kKind == Resize::bilinear) {
      const Pack<float, kWidth> b = read(i.first, j.second), d = read(i.second, j.first), e = read(i.second, j.second);
      const float wa = (1 - i.share) * (1 - j.share), wb = (1 - i.share) * j.share, wd = i.share * (1 - j.share),
                  we = i.share * j.share;
#pragma unroll
      for (int k = 0; k < kWidth; ++k) result.v[k] = wa * result.v[k] + wb * b.v[k] + wd * d.v[k] + we * e.v[k];
    }
    store_pack<kWidth>(y + static_cast<int64_t>(index) * kWidth, result, g.aligned);
  }
}

template <Resize kKind, int kWidth>
__global__ void __launch_bounds__(kThreads) adjoint_kernel(Geometry g, const float* dy, float* dx) {
  constexpr bool kNearest = kKind == Resize::nearest;
  const uint32_t step = gridDim.x * kThreads;
  for (uint32_t index = blockIdx.x * kThreads + threadIdx.x; index < g.size; index += step) {
    const Spot s = spot_of<kWidth>(g, index);
    const auto start = [](const Side& side, int at) { return first_output(side, kNearest ? 2 * at : 2 * at - 1); };
    const auto end = [](const Side& side, int at) { return first_output(side, kNearest ? 2 * at + 2 : 2 * at + 3); };
    const auto weight = [](const Side& side, int output, int at) {
      if (kNearest) return 1.0f;
      const Source source = source_of<kKind>(side, output);
      return (source.first == at ? 1 - source.share : 0.0f) + (source.second == at ? source.share : 0.0f);
    };
    Pack<float, kWidth> sum;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) sum.v[k] = 0.0f;
    const int p1 = end(g.rows, s.i), q0 = start(g.columns, s.j), q1 = end(g.columns, s.j);
    for (int p = start(g.rows, s.i); p < p1; ++p) {
      const float row_weight = weight(g.rows, p, s.i);
      for (int q = q0; q < q1; ++q) {
        const float both = row_weight * weight(g.columns, q, s.j);
        const Pack<float, kWidth> d =
            load_pack<kWidth>(dy + ((s.n * g.rows.to + p) * g.columns.to + q) * g.c + s.c, g.aligned);
#pragma unroll
        for (int k = 0; k < kWidth; ++k) sum.v[k] += both * d.v[k];
      }
    }
    store_pack<kWidth>(dx + static_cast<int64_t>(index) * kWidth, sum, g.aligned);
  }
}

// Also what this device's 32-bit indices do not reach.
const char* check_size(int64_t kind, const View& x, const View& y) {
  if (const char* error = check_resize2d(kind, x, y)) return error;
  for (int i = 1; i < 3; ++i)
    if ((2 * x.shape[i] + 4) * (y.shape[i] + 1) >= kIndexLimit ||
        (2 * y.shape[i] + 4) * (x.shape[i] + 1) >= kIndexLimit)
      return "the sides of an image are too long: their product must be below "
             "2^30";
  if (x.shape[1] * x.shape[2] * x.shape[3] >= kIndexLimit / 2 ||
      y.shape[1] * y.shape[2] * y.shape[3] >= kIndexLimit / 2)
    return "an image may hold at most 2^30 elements";
  return nullptr;
}

Side side_of(int64_t from, int64_t to) {
  return {static_cast<int>(from), static_cast<int>(to), Divider32(2 * to), Divider32(2 * from)};
}

// Over the outputs, or over x for the adjoint; calls part(geometry, first
// image) for groups that 32 bits can count.
template <class F>
void each_group(const View& x, const View& y, bool over_x, int width, F part) {
  const View& over = over_x ? x : y;
  const int64_t images = x.shape[0], image = over.shape[1] * over.shape[2] * over.shape[3];
  if (images * image == 0) return;
  Geometry g{side_of(x.shape[1], y.shape[1]), side_of(x.shape[2], y.shape[2]),
             static_cast<int>(x.shape[3]),    0,
             Divider32(x.shape[3] / width),   Divider32(over.shape[2]),
             Divider32(over.shape[1]),        is_aligned(x.data, 16) && is_aligned(y.data, 16)};
  const int64_t most = (kIndexLimit - 1) / image;
  for (int64_t n = 0; n < images; n += most) {
    g.size = static_cast<uint32_t>((images - n < most ? images - n : most) * image / width);
    part(g, n);
  }
}

template <Resize kKind, int kWidth>
void resize(const View& x, const View& y, bool adjoint, const CudaTarget& target) {
  const int64_t in = x.shape[1] * x.shape[2] * x.shape[3], out = y.shape[1] * y.shape[2] * y.shape[3];
  each_group(x, y, adjoint, kWidth, [&](const Geometry& g, int64_t n) {
    const unsigned blocks = blocks_for(g.size, kThreads, target.multiprocessors * 32);
    if (adjoint)
      launch(adjoint_kernel<kKind, kWidth>, blocks, kThreads, 0, target.stream, g, data_of<const float>(y) + n * out,
             data_of<float>(x) + n * in);
    else
      launch(resize_kernel<kKind, kWidth>, blocks, kThreads, 0, target.stream, g, data_of<const float>(x) + n * in,
             data_of<float>(y) + n * out);
  });
}

void launch_any(int64_t kind, const View& x, const View& y, bool adjoint, const CudaTarget& target) {
  const bool wide = x.shape[3] % 4 == 0, nearest = static_cast<Resize>(kind) == Resize::nearest;
  auto* form = wide ? resize<Resize::bilinear, 4> : resize<Resize::bilinear, 1>;
  if (nearest) form = wide ? resize<Resize::nearest, 4> : resize<Resize::nearest, 1>;
  form(x, y, adjoint, target);
}

void plan_resize2d(const Call& call, CudaPlan& plan) {
  plan.error = check_size(attrs_of<resize2d_attrs>(call).kind, call.in[0], call.out[0]);
}
void launch_resize2d(const Call& call, const CudaTarget& target) {
  launch_any(attrs_of<resize2d_attrs>(call).kind, call.in[0], call.out[0], false, target);
}

void plan_resize2d_grad(const Call& call, CudaPlan& plan) {
  plan.error = check_size(attrs_of<resize2d_grad_attrs>(call).kind, call.out[0], call.in[0]);
}
void launch_resize2d_grad(const Call& call, const CudaTarget& target) {
  launch_any(attrs_of<resize2d_grad_attrs>(call).kind, call.out[0], call.in[0], true, target);
}

}  // namespace

const CudaKernel resize2d_cuda_kernel = {"resize2d", plan_resize2d, launch_resize2d};
const CudaKernel resize2d_grad_cuda_kernel = {"resize2d_grad", plan_resize2d_grad, launch_resize2d_grad};

}  // namespace berrante
