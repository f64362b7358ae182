// 3x3 convolutions with stride 1 by Winograd's F(4x4, 3x3) (cpu/winograd.h), where channels and filters fill vectors.
//
// Forward, and the adjoint in the input, which is a forward convolution of the gradient with the filters turned around:
// stage 0 transforms the filters into panels; a task of stage 1 takes a block of tiles, small enough for its
// frequencies to stay in cache, through input transform, 36 products and output transform. Weight gradient: stage 0 has
// a fixed number of tasks, each a share of the tiles for some channels, that sum 36 products of transformed inputs and
// gradients; stage 1 adds the shares in order and transforms back.
#include "../cpu/winograd.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kTileFloats = 1 << 17;  // of a block's frequencies, about: half a megabyte of cache
constexpr int64_t kFilterBlock = 64;      // filters whose products are transformed back together
constexpr int64_t kGuard = 16;  // floats between frequencies, so that they do not meet in one set of the cache

// Images [n, h, w, channels], and the tiles that cover [rows x columns] outputs of each.
struct Tiles {
  int64_t n, h, w, channels, top, left;  // the first tile's patch starts at (-top, -left)
  int64_t rows, columns, down, across;

  int64_t count() const { return n * down * across; }
};

Tiles tiles_of(const View& x, const View& y, int64_t top, int64_t left) {
  return {x.shape[0],
          x.shape[1],
          x.shape[2],
          x.shape[3],
          top,
          left,
          y.shape[1],
          y.shape[2],
          ceil_div(y.shape[1], kTile),
          ceil_div(y.shape[2], kTile)};
}

struct Corner {
  int64_t n, i, j;  // sample, and the tile's first output
};
Corner corner_of(const Tiles& t, int64_t tile) {
  return {tile / (t.down * t.across), tile / t.across % t.down * kTile, tile % t.across * kTile};
}

// Pointers to the size x size pixels from (i, j) on; those outside the image point to zeros.
template <int size>
void pixels_of(const float* image, int64_t h, int64_t w, int64_t channels, int64_t i, int64_t j, const float* zeros,
               const float* (&pixel)[size][size]) {
  for (int a = 0; a < size; ++a)
    for (int b = 0; b < size; ++b) {
      const bool inside = i + a >= 0 && i + a < h && j + b >= 0 && j + b < w;
      pixel[a][b] = inside ? image + ((i + a) * w + j + b) * channels : zeros;
    }
}

// `channels` channels from `first` on of `count` tiles' pixels into their frequencies, `step` floats apart; in each,
// channel c of a tile goes to `place(tile, c)`.
template <class T, class Place>
void to_frequencies(const Tiles& t, const float* images, int64_t tile0, int64_t count, int64_t first, int64_t channels,
                    int64_t top, int64_t left, const float* zeros, float* out, int64_t step, Place place) {
  for (int64_t tile = 0; tile < count; ++tile) {
    const Corner p = corner_of(t, tile0 + tile);
    const float* pixel[T::from][T::from];
    pixels_of<T::from>(images + p.n * t.h * t.w * t.channels + first, t.h, t.w, t.channels, p.i - top, p.j - left,
                       zeros, pixel);
    for (int64_t c = 0; c < channels; c += kLanes) {
      float* target = out + place(tile, c);
      transform_square<T>([&](int i, int j) { return load(pixel[i][j] + c); },
                          [&](int i, int j, vf v) { store(target + (i * kPatch + j) * step, v); });
    }
  }
}

// --- forward and the adjoint in the input ----------------------------------------------------------------------------

struct Forward {
  Tiles tiles;
  int64_t c, k;               // channels and filters of the convolution that runs (swapped for the adjoint)
  int64_t block;              // tiles of one task
  int64_t in_step, out_step;  // floats from one frequency to the next: inputs, products
};

Forward forward_of(const conv2d_winograd_attrs& t, const Call& call) {
  Forward f;
  f.tiles = tiles_of(call.in[0], call.out[0], t.pad_top, t.pad_left);
  f.c = call.in[0].shape[3], f.k = call.out[0].shape[3];
  const int64_t fits = kTileFloats / (kFrequencies * (f.c + smaller(f.k, kFilterBlock)));
  const int64_t wanted = ceil_div(f.tiles.count(), 32);  // enough tasks for many threads
  f.block = larger(1, smaller(fits, wanted) / kRows) * kRows;
  f.in_step = f.block * f.c + kGuard;
  f.out_step = f.block * smaller(f.k, kFilterBlock) + kGuard;
  return f;
}

void plan_conv2d_winograd(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_winograd_attrs>(call);
  const View &x = call.in[0], &w = call.in[1], &y = call.out[0];
  const int in = t.adjoint ? 3 : 2, out = t.adjoint ? 2 : 3;
  if (call.n_in < 2 || x.rank != 4 || w.rank != 4 || y.rank != 4 || w.shape[0] != 3 || w.shape[1] != 3 ||
      x.shape[3] != w.shape[in] || y.shape[3] != w.shape[out] || x.shape[0] != y.shape[0]) {
    plan.error = "expected images and 3x3 filters that fit";
    return;
  }
  if (x.shape[3] % kLanes || y.shape[3] % kLanes) {
    plan.error = "channels and filters must be multiples of the lanes";
    return;
  }
  if (call.n_in > 2 && (call.in[2].rank != 1 || call.in[2].shape[0] != y.shape[3])) {
    plan.error = "expected a bias of as many elements as the result has channels";
    return;
  }
  const Forward f = forward_of(t, call);
  plan.stages = 2;
  plan.tasks[0] = f.c / kLanes;
  plan.tasks[1] = ceil_div(f.tiles.count(), f.block);
  plan.workspace = static_cast<size_t>(kFrequencies * f.c * f.k) * 4;
  plan.scratch = static_cast<size_t>(kFrequencies * (f.in_step + f.out_step) + f.c) * 4;
  plan.cost = static_cast<double>(f.tiles.count() * kFrequencies * f.c) * static_cast<double>(f.k) * 0.03;
}

// Channels c0 .. c0 + kLanes of all filters into panels [36][panel][c][panel width].
void transform_filters(const Forward& f, bool adjoint, const float* w, int64_t c0, float* out) {
  for (int64_t k0 = 0; k0 < f.k; k0 += kLanes) {
    const int64_t panel = k0 / kColumns * kColumns, width = panel_width(panel, f.k);
    float* target = out + panel * f.c + (k0 - panel);
    for (int64_t c = c0; c < c0 + kLanes; ++c) {
      transform_square<FilterTransform>(
          [&](int i, int j) {
            if (!adjoint) return load(w + ((i * 3 + j) * f.c + c) * f.k + k0);
            const float* from = w + ((8 - i * 3 - j) * f.k + k0) * f.c + c;
            float lane[kLanes];
            for (int l = 0; l < kLanes; ++l) lane[l] = from[l * f.c];
            return load(lane);
          },
          [&](int i, int j, vf v) { store(target + (i * kPatch + j) * f.c * f.k + c * width, v); });
    }
  }
}

vf activated(vf v, Activation kind) {
  if (kind == Activation::linear) return v;
  if (kind == Activation::relu) return select((v > 0.0f) | (v != v), v, splat(0.0f));
  return kind == Activation::sigmoid ? sigmoid(v) : tanh(v);
}

// Products [36][count][filters] of filters k0 on into the outputs of the tiles from tile0 on.
void to_outputs(const Forward& f, const float* products, int64_t tile0, int64_t count, int64_t k0, int64_t filters,
                const float* bias, Activation activation, float* y) {
  const Tiles& t = f.tiles;
  for (int64_t tile = 0; tile < count; ++tile, products += filters) {
    const Corner p = corner_of(t, tile0 + tile);
    const int64_t rows = smaller(kTile, t.rows - p.i), columns = smaller(kTile, t.columns - p.j);
    float* first = y + ((p.n * t.rows + p.i) * t.columns + p.j) * f.k + k0;
    for (int64_t k = 0; k < filters; k += kLanes) {
      const vf start = bias == nullptr ? vf{} : load(bias + k0 + k);
      transform_square<OutputTransform>(
          [&](int i, int j) { return load(products + (i * kPatch + j) * f.out_step + k); },
          [&](int i, int j, vf v) {
            if (i < rows && j < columns) store(first + (i * t.columns + j) * f.k + k, activated(v + start, activation));
          });
    }
  }
}

void run_conv2d_winograd(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_winograd_attrs>(call);
  const Forward f = forward_of(t, call);
  const float *x = static_cast<const float*>(call.in[0].data), *w = static_cast<const float*>(call.in[1].data);
  const float* bias = call.n_in > 2 ? static_cast<const float*>(call.in[2].data) : nullptr;
  float *y = static_cast<float*>(call.out[0].data), *filters = reinterpret_cast<float*>(call.workspace);
  if (range.stage == 0) {
    for (int64_t task = range.begin; task < range.end; ++task)
      transform_filters(f, t.adjoint != 0, w, task * kLanes, filters);
    return;
  }
  float* inputs = reinterpret_cast<float*>(range.scratch);
  float *products = inputs + kFrequencies * f.in_step, *zeros = products + kFrequencies * f.out_step;
  for (int64_t c = 0; c < f.c; ++c) zeros[c] = 0.0f;
  const Segment depth{0, 0, f.c};
  for (int64_t task = range.begin; task < range.end; ++task) {
    const int64_t tile0 = task * f.block, count = smaller(f.block, f.tiles.count() - tile0);
    to_frequencies<InputTransform>(f.tiles, x, tile0, count, 0, f.c, t.pad_top, t.pad_left, zeros, inputs, f.in_step,
                                   [&](int64_t tile, int64_t c) { return tile * f.c + c; });
    for (int64_t k0 = 0; k0 < f.k; k0 += kFilterBlock) {
      const int64_t some = smaller(kFilterBlock, f.k - k0);
      for (int64_t frequency = 0; frequency < kFrequencies; ++frequency) {
        const float* row[kRowPointers];
        const float* panels = filters + frequency * f.c * f.k + k0 * f.c;
        for (int64_t first = 0; first < count; first += kBlockRows) {
          const int64_t rows = smaller(kBlockRows, count - first);
          for (int64_t i = 0; i < rows; ++i) row[i] = inputs + frequency * f.in_step + (first + i) * f.c;
          multiply_block(
              row, rows, 1, &depth, 1, some,
              [&](int64_t n0) { return Panel{panels + n0 * f.c, panel_width(k0 + n0, f.k)}; }, nullptr, 0, false,
              products + frequency * f.out_step + first * some, some);
        }
      }
      to_outputs(f, products, tile0, count, k0, some, bias, static_cast<Activation>(t.activation), y);
    }
  }
}

// --- weight gradient -------------------------------------------------------------------------------------------------

// Of one task. Sums go to memory and back once a block of tiles, which takes many tiles to repay.
constexpr int64_t kChannelBlock = 64, kGradientBlock = 128, kDepth = 160, kShortest = 64;

struct Gradient {
  Tiles inputs, gradients;
  int64_t c, k, channels, channel_blocks, filters, filter_blocks, shares;
  int64_t block;                   // tiles
  int64_t in_step, gradient_step;  // floats from one frequency to the next
  int64_t size;                    // floats of one share
};

Gradient gradient_of(const conv2d_winograd_weight_grad_attrs& t, const Call& call) {
  Gradient g;
  g.inputs = tiles_of(call.in[0], call.in[1], t.pad_top, t.pad_left);
  g.gradients = tiles_of(call.in[1], call.in[1], 0, 0);
  g.c = call.in[0].shape[3], g.k = call.in[1].shape[3];
  g.channels = smaller(g.c, kChannelBlock);
  g.channel_blocks = ceil_div(g.c, g.channels);
  g.size = kFrequencies * g.c * g.k;
  g.filters = smaller(g.k, kGradientBlock);
  g.filter_blocks = ceil_div(g.k, g.filters);
  g.shares = smaller(16, ceil_div(g.inputs.count(), kShortest));
  while (g.shares > 1 && g.shares * g.size > (int64_t{1} << 23)) g.shares /= 2;  // 32 MiB of partial sums
  g.block = smaller(kDepth, ceil_div(g.inputs.count(), g.shares));
  g.in_step = g.block * g.channels + kGuard;
  g.gradient_step = g.block * g.filters + kGuard;
  return g;
}

void plan_conv2d_winograd_weight_grad(const Call& call, Plan& plan) {
  const auto& t = attrs_of<conv2d_winograd_weight_grad_attrs>(call);
  const View &x = call.in[0], &dy = call.in[1], &w = call.out[0];
  if (call.n_in != 2 || x.rank != 4 || dy.rank != 4 || w.rank != 4 || w.shape[0] != 3 || w.shape[1] != 3 ||
      x.shape[3] != w.shape[2] || dy.shape[3] != w.shape[3] || x.shape[0] != dy.shape[0]) {
    plan.error = "expected images, gradients and 3x3 filters that fit";
    return;
  }
  if (x.shape[3] % kLanes || dy.shape[3] % kLanes) {
    plan.error = "channels and filters must be multiples of the lanes";
    return;
  }
  const Gradient g = gradient_of(t, call);
  plan.stages = 2;
  plan.tasks[0] = g.shares * g.channel_blocks * g.filter_blocks;
  plan.tasks[1] = g.c;
  plan.workspace = static_cast<size_t>(g.shares * g.size) * 4;
  plan.scratch = static_cast<size_t>(kFrequencies * (g.in_step + g.gradient_step) + larger(g.c, g.k)) * 4;
  plan.cost = static_cast<double>(g.inputs.count() * kFrequencies * g.c) * static_cast<double>(g.k) * 0.03;
}

// One share of the tiles, for a block of channels and one of filters, into partial sums [36][C][K].
void sum_products(const conv2d_winograd_weight_grad_attrs& t, const Gradient& g, const float* x, const float* dy,
                  int64_t task, float* sums, float* scratch) {
  const int64_t share = task / (g.channel_blocks * g.filter_blocks);
  const int64_t c0 = task / g.filter_blocks % g.channel_blocks * g.channels, k0 = task % g.filter_blocks * g.filters;
  const int64_t channels = smaller(g.channels, g.c - c0), filters = smaller(g.filters, g.k - k0);
  float *inputs = scratch, *gradients = inputs + kFrequencies * g.in_step;
  float* zeros = gradients + kFrequencies * g.gradient_step;
  for (int64_t i = 0; i < larger(channels, filters); ++i) zeros[i] = 0.0f;
  const int64_t all = g.inputs.count(), begin = all * share / g.shares, end = all * (share + 1) / g.shares;
  for (int64_t tile = begin; tile < end; tile += g.block) {
    const int64_t count = smaller(g.block, end - tile);
    // Both in panels, so that the tiles of a panel are neighbours in memory.
    const auto channel = [&](int64_t c) { return c / kLanes * count * kLanes + c % kLanes; };
    const auto panel = [&](int64_t k) { return k / kColumns * kColumns * count; };
    to_frequencies<InputTransform>(g.inputs, x, tile, count, c0, channels, t.pad_top, t.pad_left, zeros, inputs,
                                   g.in_step, [&](int64_t i, int64_t c) { return channel(c) + i * kLanes; });
    to_frequencies<GradientTransform>(
        g.gradients, dy, tile, count, k0, filters, 0, 0, zeros, gradients, g.gradient_step, [&](int64_t i, int64_t k) {
          return panel(k) + i * panel_width(k / kColumns * kColumns, filters) + k % kColumns;
        });
    const Segment depth{0, 0, count};
    for (int64_t frequency = 0; frequency < kFrequencies; ++frequency) {
      const float* row[kRowPointers];
      for (int64_t i = 0; i < channels; ++i) row[i] = inputs + frequency * g.in_step + channel(i);
      const float* b = gradients + frequency * g.gradient_step;
      multiply_block(
          row, channels, kLanes, &depth, 1, filters,
          [&](int64_t n0) { return Panel{b + panel(n0), panel_width(n0, filters)}; }, nullptr, 0, tile > begin,
          sums + share * g.size + (frequency * g.c + c0) * g.k + k0, g.k);
    }
  }
}

void run_conv2d_winograd_weight_grad(const Call& call, const Range& range) {
  const auto& t = attrs_of<conv2d_winograd_weight_grad_attrs>(call);
  const Gradient g = gradient_of(t, call);
  auto* sums = reinterpret_cast<float*>(call.workspace);
  if (range.stage == 0) {
    const float *x = static_cast<const float*>(call.in[0].data), *dy = static_cast<const float*>(call.in[1].data);
    for (int64_t task = range.begin; task < range.end; ++task)
      sum_products(t, g, x, dy, task, sums, reinterpret_cast<float*>(range.scratch));
    return;
  }
  float* dw = static_cast<float*>(call.out[0].data);
  for (int64_t c = range.begin; c < range.end; ++c)
    for (int64_t k = 0; k < g.k; k += kLanes)
      transform_square<FilterGradientTransform>(
          [&](int i, int j) {
            const float* from = sums + ((i * kPatch + j) * g.c + c) * g.k + k;
            vf v = load(from);
            for (int64_t share = 1; share < g.shares; ++share) v += load(from + share * g.size);
            return v;
          },
          [&](int i, int j, vf v) { store(dw + ((i * 3 + j) * g.c + c) * g.k + k, v); });
}

}  // namespace

BERRANTE_KERNEL(conv2d_winograd, plan_conv2d_winograd, run_conv2d_winograd);
BERRANTE_KERNEL(conv2d_winograd_weight_grad, plan_conv2d_winograd_weight_grad, run_conv2d_winograd_weight_grad);

}  // namespace BERRANTE_ISA
}  // namespace berrante
