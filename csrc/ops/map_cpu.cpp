// map: the fused elementwise kernel (core/micro.def). Elements are walked in tiles of kTile; each register of the
// micro-program is a buffer of one tile in scratch, or the input's own memory where that is dense. Each micro-operation
// is one vector loop over the tile, found in a table. Broadcast inputs are expanded per tile: single elements once a
// task, vectors that repeat (a bias over the last dimension) once a task into a buffer that tiles read at an offset,
// other patterns element by element. The last micro-operation of an output writes straight into its memory, unless an
// input that lies there is read later; other outputs are stored at the end of each tile.
#include "../cpu/philox.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kTile = 512;
constexpr int64_t kTileBytes = (kTile + 16) * 4;
constexpr int64_t kTaskTiles = 16;
constexpr int kMaxRegisters = 256;
constexpr int kMaxIn = 32;
constexpr int64_t kMaxPeriod = 2048;

struct Context {
  int64_t first;  // flat index of the tile's first element
};
typedef void (*MicroFunction)(const float* a, const float* b, const float* c, float* out, int64_t n, const Context& at);

template <class F>
BERRANTE_INLINE void each1(const float* a, float* out, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, f(load(a + i)));
  if (i < n) store_first(out + i, f(load_first(a + i, static_cast<int>(n - i))), static_cast<int>(n - i));
}
template <class F>
BERRANTE_INLINE void each2(const float* a, const float* b, float* out, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, f(load(a + i), load(b + i)));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_first(out + i, f(load_first(a + i, rest), load_first(b + i, rest, 1.0f)), rest);
  }
}
template <class F>
BERRANTE_INLINE void each3(const float* a, const float* b, const float* c, float* out, int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, f(load(a + i), load(b + i), load(c + i)));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_first(out + i, f(load_first(a + i, rest), load_first(b + i, rest, 1.0f), load_first(c + i, rest, 1.0f)),
                rest);
  }
}
BERRANTE_INLINE vf one_if(vi mask) { return as_float(mask & 1); }
BERRANTE_INLINE vi vi_of(vf v) { return as_int(v); }
BERRANTE_INLINE vf vf_of(vi v) { return as_float(v); }

#define UNARY(name, expression)                                                                          \
  void micro_##name(const float* a, const float*, const float*, float* out, int64_t n, const Context&) { \
    each1(a, out, n, [](vf x) { return expression; });                                                   \
  }
#define BINARY(name, expression)                                                                           \
  void micro_##name(const float* a, const float* b, const float*, float* out, int64_t n, const Context&) { \
    each2(a, b, out, n, [](vf x, vf y) { return expression; });                                            \
  }
#define TERNARY(name, expression)                                                                            \
  void micro_##name(const float* a, const float* b, const float* c, float* out, int64_t n, const Context&) { \
    each3(a, b, c, out, n, [](vf x, vf y, vf z) { return expression; });                                     \
  }
#define SCALAR(name, expression)                                                                         \
  void micro_##name(const float* a, const float*, const float*, float* out, int64_t n, const Context&) { \
    for (int64_t i = 0; i < n; ++i) {                                                                    \
      const float x = a[i];                                                                              \
      out[i] = expression;                                                                               \
    }                                                                                                    \
  }
#define SCALAR2(name, expression)                                                                          \
  void micro_##name(const float* a, const float* b, const float*, float* out, int64_t n, const Context&) { \
    for (int64_t i = 0; i < n; ++i) {                                                                      \
      const float x = a[i], y = b[i];                                                                      \
      out[i] = expression;                                                                                 \
    }                                                                                                      \
  }
#define INTEGER2(name, expression)                                                                         \
  void micro_##name(const float* a, const float* b, const float*, float* out, int64_t n, const Context&) { \
    for (int64_t i = 0; i < n; ++i) {                                                                      \
      int32_t x, y, r;                                                                                     \
      __builtin_memcpy(&x, a + i, 4);                                                                      \
      __builtin_memcpy(&y, b + i, 4);                                                                      \
      r = expression;                                                                                      \
      __builtin_memcpy(out + i, &r, 4);                                                                    \
    }                                                                                                      \
  }

BERRANTE_INLINE vf root(vf x) {
  for (int i = 0; i < kLanes; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
}

BINARY(add_f, x + y)
BINARY(sub_f, x - y)
BINARY(mul_f, x* y)
BINARY(div_f, x / y)
BINARY(max_f, select((x > y) | (x != x), x, y))
BINARY(min_f, select((x < y) | (x != x), x, y))
SCALAR2(pow_f, __builtin_powf(x, y))
BERRANTE_INLINE float floor_mod(float x, float y) {
  const float r = __builtin_fmodf(x, y);
  return r != 0.0f && ((r < 0.0f) != (y < 0.0f)) ? r + y : r;
}
SCALAR2(mod_f, floor_mod(x, y))
SCALAR2(floordiv_f, __builtin_floorf(x / y))
SCALAR2(atan2_f, __builtin_atan2f(x, y))
UNARY(neg_f, -x)
UNARY(abs_f, absolute(x))
UNARY(sign_f, select(x > 0.0f, splat(1.0f), select(x < 0.0f, splat(-1.0f), x)))
UNARY(square_f, x* x)
UNARY(sqrt_f, root(x))
UNARY(rsqrt_f, 1.0f / root(x))
UNARY(reciprocal_f, 1.0f / x)
UNARY(exp_f, exp(x))
SCALAR(expm1_f, __builtin_expm1f(x))
UNARY(log_f, log(x))
SCALAR(log1p_f, __builtin_log1pf(x))
UNARY(tanh_f, tanh(x))
UNARY(sigmoid_f, sigmoid(x))
UNARY(softplus_f, softplus(x))
SCALAR(erf_f, __builtin_erff(x))
SCALAR(floor_f, __builtin_floorf(x))
SCALAR(ceil_f, __builtin_ceilf(x))
SCALAR(round_f, __builtin_rintf(x))
SCALAR(trunc_f, __builtin_truncf(x))
SCALAR(sin_f, __builtin_sinf(x))
SCALAR(cos_f, __builtin_cosf(x))
SCALAR(tan_f, __builtin_tanf(x))
SCALAR(asin_f, __builtin_asinf(x))
SCALAR(acos_f, __builtin_acosf(x))
SCALAR(atan_f, __builtin_atanf(x))
SCALAR(sinh_f, __builtin_sinhf(x))
SCALAR(cosh_f, __builtin_coshf(x))
SCALAR(asinh_f, __builtin_asinhf(x))
SCALAR(acosh_f, __builtin_acoshf(x))
SCALAR(atanh_f, __builtin_atanhf(x))
TERNARY(multiply_add_f, x* y + z)
TERNARY(subtract_product_f, z - x * y)
TERNARY(blend_f, x + (y - x) * z)
TERNARY(root_ratio_f, x / (root(y) + z))
BINARY(eq_f, one_if(x == y))
BINARY(ne_f, one_if(x != y))
BINARY(lt_f, one_if(x < y))
BINARY(le_f, one_if(x <= y))
UNARY(isnan_f, one_if(x != x))
UNARY(isfinite_f, one_if(absolute(x) < kInfinity))
// Wrapping arithmetic, through unsigned lanes.
BINARY(add_i, vf_of((vi)((vu)vi_of(x) + (vu)vi_of(y))))
BINARY(sub_i, vf_of((vi)((vu)vi_of(x) - (vu)vi_of(y))))
BINARY(mul_i, vf_of((vi)((vu)vi_of(x) * (vu)vi_of(y))))
BINARY(max_i, vf_of(select(vi_of(x) > vi_of(y), vi_of(x), vi_of(y))))
BINARY(min_i, vf_of(select(vi_of(x) < vi_of(y), vi_of(x), vi_of(y))))
BERRANTE_INLINE int32_t floor_div(int32_t x, int32_t y) {
  if (y == 0) return 0;
  const int64_t a = x, b = y, q = a / b;
  return static_cast<int32_t>(q - (a % b != 0 && (a % b < 0) != (b < 0)));
}
INTEGER2(floordiv_i, floor_div(x, y))
INTEGER2(mod_i, static_cast<int32_t>(y == 0 ? 0 : static_cast<int64_t>(x) - static_cast<int64_t>(floor_div(x, y)) * y))
UNARY(neg_i, vf_of((vi)(0u - (vu)vi_of(x))))
UNARY(abs_i, vf_of(select(vi_of(x) < 0, (vi)(0u - (vu)vi_of(x)), vi_of(x))))
UNARY(sign_i, vf_of((vi_of(x) < 0) - (vi_of(x) > 0)))
BINARY(and_i, vf_of(vi_of(x) & vi_of(y)))
BINARY(or_i, vf_of(vi_of(x) | vi_of(y)))
BINARY(xor_i, vf_of(vi_of(x) ^ vi_of(y)))
BINARY(eq_i, one_if(vi_of(x) == vi_of(y)))
BINARY(ne_i, one_if(vi_of(x) != vi_of(y)))
BINARY(lt_i, one_if(vi_of(x) < vi_of(y)))
BINARY(le_i, one_if(vi_of(x) <= vi_of(y)))
BERRANTE_INLINE vf truncate(vf x) {
  const vi inside = (x > -2147483648.0f) & (x < 2147483648.0f);
  const vi whole = to_int(select(inside, x, splat(0.0f)));
  const vi limit = select(x >= 2147483648.0f, splat_int(2147483647), splat_int(static_cast<int32_t>(0x80000000)));
  return vf_of(select(inside, whole, select(x != x, splat_int(0), limit)));
}
UNARY(to_i, truncate(x))
UNARY(to_f, to_float(vi_of(x)))

void micro_select(const float* a, const float* b, const float* c, float* out, int64_t n, const Context&) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, select(vi_of(load(a + i)) != 0, load(b + i), load(c + i)));
  for (; i < n; ++i) {
    int32_t condition;
    __builtin_memcpy(&condition, a + i, 4);
    __builtin_memcpy(out + i, condition != 0 ? b + i : c + i, 4);
  }
}

BERRANTE_INLINE int32_t int_at(const float* p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return x;
}

void micro_coordinate(const float* a, const float* b, const float*, float* out, int64_t n, const Context& at) {
  const int64_t inner = int_at(a), extent = int_at(b);
  for (int64_t i = 0; i < n; ++i) {
    const auto x = static_cast<int32_t>((at.first + i) / inner % extent);
    __builtin_memcpy(out + i, &x, 4);
  }
}

// f(blocks, out) for every kBlocks blocks: it writes their 4 * kBlocks values.
template <class F>
BERRANTE_INLINE void each_block(const float* a, const float* b, float* out, int64_t n, const Context& at, F f) {
  const auto seed0 = static_cast<uint32_t>(int_at(a)), seed1 = static_cast<uint32_t>(int_at(b));
  alignas(64) float values[4 * kBlocks];
  for (int64_t i = -(at.first % 4); i < n; i += 4 * kBlocks) {
    const Blocks blocks = philox(seed0, seed1, static_cast<uint64_t>(at.first + i) / 4);
    if (i >= 0 && i + 4 * kBlocks <= n) {
      f(blocks, out + i);
      continue;
    }
    f(blocks, values);
    const int64_t first = i < 0 ? -i : 0, last = n - i < 4 * kBlocks ? n - i : 4 * kBlocks;
    __builtin_memcpy(out + i + first, values + first, static_cast<size_t>(last - first) * 4);
  }
}

void micro_uniform(const float* a, const float* b, const float*, float* out, int64_t n, const Context& at) {
  each_block(a, b, out, n, at, [](const Blocks& blocks, float* y) {
    write_words(blocks, y);
    for (int i = 0; i < 4 * kBlocks; i += kLanes) store(y + i, unit(load(y + i)));
  });
}
void micro_bits(const float* a, const float* b, const float*, float* out, int64_t n, const Context& at) {
  each_block(a, b, out, n, at, [](const Blocks& blocks, float* y) { write_words(blocks, y); });
}
// Box-Muller on word pairs: the even words give radii, the odd ones angles.
void micro_normal(const float* a, const float* b, const float*, float* out, int64_t n, const Context& at) {
  each_block(a, b, out, n, at, [](const Blocks& blocks, float* y) {
    alignas(64) float word[4 * kBlocks], even[2 * kBlocks], odd[2 * kBlocks];
    write_words(blocks, word);
    for (int i = 0; i < 2 * kBlocks; ++i) even[i] = word[2 * i], odd[i] = word[2 * i + 1];
    for (int i = 0; i < 2 * kBlocks; i += kLanes) {
      const vf radius = root(-2.0f * log(unit(load(even + i)) + 0x1p-24f));
      vf sine, cosine;
      sine_of_turns(unit(load(odd + i)), sine, cosine);
      store(even + i, radius * cosine);
      store(odd + i, radius * sine);
    }
    for (int i = 0; i < 2 * kBlocks; ++i) y[2 * i] = even[i], y[2 * i + 1] = odd[i];
  });
}

enum Code {
#define MICRO(name, arity, to, from) kCode_##name,
#include "../core/micro.def"
#undef MICRO
  kCodes
};
struct MicroEntry {
  MicroFunction function;
  int arity;
  bool integer_operands;
};
const MicroEntry kMicros[] = {
#define MICRO(name, arity, to, from) {micro_##name, arity, #from[0] == 'i'},
#include "../core/micro.def"
#undef MICRO
};

BERRANTE_INLINE int64_t elements(const map_attrs& attrs) {
  int64_t n = 1;
  for (int64_t i = 0; i < attrs.shape.size; ++i) n *= attrs.shape.data[i];
  return n;
}

int registers_of(const Call& call, const map_attrs& attrs) {
  int64_t last = call.n_in + attrs.constants.size - 1;
  for (int64_t i = 0; i + 4 < attrs.code.size; i += 5)
    if (attrs.code.data[i + 1] > last) last = attrs.code.data[i + 1];
  return static_cast<int>(last + 1);
}

// How an input is read.
enum class Walk { dense, single, periodic, general };

Walk walk_of(const map_attrs& attrs, int input) {
  const int64_t rank = attrs.shape.size;
  const int64_t* strides = attrs.strides.data + input * rank;
  bool dense = true, zero = true;
  int64_t step = 1;
  for (int64_t d = rank - 1; d >= 0; --d) {
    dense = dense && (strides[d] == step || attrs.shape.data[d] == 1);
    zero = zero && strides[d] == 0;
    step *= attrs.shape.data[d];
  }
  if (zero) return Walk::single;
  if (dense) return Walk::dense;
  if (rank == 2 && strides[0] == 0 && strides[1] == 1 && attrs.shape.data[1] <= kMaxPeriod) return Walk::periodic;
  return Walk::general;
}

void plan_map(const Call& call, Plan& plan) {
  const auto& attrs = attrs_of<map_attrs>(call);
  const int64_t n = elements(attrs);
  if (attrs.shape.size < 1 || attrs.shape.size > kMaxRank || call.n_in > kMaxIn ||
      attrs.strides.size != call.n_in * attrs.shape.size || attrs.code.size % 5 != 0 ||
      attrs.outputs.size != call.n_out || call.n_out > kMaxIn) {
    plan.error = "the attributes do not fit together";
    return;
  }
  const int registers = registers_of(call, attrs);
  if (registers > kMaxRegisters) {
    plan.error = "too many registers";
    return;
  }
  for (int64_t i = 0; i < attrs.code.size; i += 5) {
    const int64_t* op = attrs.code.data + i;
    bool good = op[0] >= 0 && op[0] < kCodes && op[1] >= call.n_in + attrs.constants.size;
    for (int k = 0; good && k < kMicros[op[0]].arity; ++k) good = op[2 + k] >= 0 && op[2 + k] < registers;
    if (!good) {
      plan.error = "a micro-operation names a register that does not exist";
      return;
    }
  }
  for (int k = 0; k < call.n_out; ++k) {
    int64_t size = 1;
    for (int d = 0; d < call.out[k].rank; ++d) size *= call.out[k].shape[d];
    if (size != n || attrs.outputs.data[k] < 0 || attrs.outputs.data[k] >= registers) {
      plan.error = "an output does not have the iteration shape";
      return;
    }
  }
  for (int k = 0; k < call.n_in; ++k) {
    int64_t size = 1, last = 0;
    for (int d = 0; d < call.in[k].rank; ++d) size *= call.in[k].shape[d];
    for (int64_t d = 0; d < attrs.shape.size; ++d)
      last += (attrs.shape.data[d] - 1) * attrs.strides.data[k * attrs.shape.size + d];
    if (n > 0 && (last < 0 || last >= size)) {
      plan.error = "an input's strides leave it";
      return;
    }
  }
  plan.tasks[0] = n == 0 ? 0 : (n + kTile * kTaskTiles - 1) / (kTile * kTaskTiles);
  // Registers, constants twice (as float and as int32), and periodic inputs.
  int64_t size = (registers + attrs.constants.size) * kTileBytes;
  for (int k = 0; k < call.n_in; ++k)
    if (walk_of(attrs, k) == Walk::periodic) size += (kTile + attrs.shape.data[1] + 16) * 4;
  plan.scratch = static_cast<size_t>(size);
  const auto micros = static_cast<double>(attrs.code.size / 5);
  plan.cost = static_cast<double>(n) * (0.15 * micros + 0.3 * (call.n_in + call.n_out));
}

BERRANTE_INLINE void widen(const View& view, int64_t offset, float* out) {
  if (view.dtype == DType::float32 || view.dtype == DType::int32) {
    __builtin_memcpy(out, static_cast<const char*>(view.data) + 4 * offset, 4);
  } else {
    const int32_t x = static_cast<const uint8_t*>(view.data)[offset];
    __builtin_memcpy(out, &x, 4);
  }
}

// Elements first .. first + n of a broadcast input, by coordinates.
void load_general(const View& view, const Ints& shape, const int64_t* strides, int64_t first, int64_t n, float* out) {
  const int rank = static_cast<int>(shape.size);
  int64_t at[kMaxRank], offset = 0, rest = first;
  for (int d = rank - 1; d >= 0; --d) {
    at[d] = rest % shape.data[d];
    rest /= shape.data[d];
    offset += at[d] * strides[d];
  }
  const int last = rank - 1;
  const int64_t inner = shape.data[last], step = strides[last];
  const bool words = view.dtype == DType::float32 || view.dtype == DType::int32;
  for (int64_t i = 0; i < n;) {
    int64_t run = inner - at[last];
    if (run > n - i) run = n - i;
    if (words && step == 1) {
      __builtin_memcpy(out + i, static_cast<const float*>(view.data) + offset, static_cast<size_t>(run) * 4);
    } else if (step == 0) {
      float x;
      widen(view, offset, &x);
      for (int64_t k = 0; k < run; ++k) out[i + k] = x;
    } else {
      for (int64_t k = 0; k < run; ++k) widen(view, offset + k * step, out + i + k);
    }
    i += run;
    offset += run * step;
    at[last] += run;
    for (int d = last; d > 0 && at[d] == shape.data[d]; --d) {
      at[d] = 0;
      offset += strides[d - 1] - shape.data[d] * strides[d];
      ++at[d - 1];
    }
  }
}

void store_output(const View& out, int64_t first, int64_t n, const float* from) {
  if (out.dtype == DType::float32 || out.dtype == DType::int32) {
    float* to = static_cast<float*>(out.data) + first;
    if (to != from) __builtin_memmove(to, from, static_cast<size_t>(n) * 4);
    return;
  }
  uint8_t* to = static_cast<uint8_t*>(out.data) + first;
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<uint8_t>(int_at(from + i));
}

struct Machine {
  const float* value[kMaxRegisters];       // where each register is now
  const float* as_integer[kMaxRegisters];  // constants as int32
  float* buffer[kMaxRegisters];
  const float* period[kMaxIn];
  Walk walk[kMaxIn];
};

void set_up(const Call& call, const map_attrs& attrs, std::byte* scratch, int64_t tile, Machine& m) {
  float* next = reinterpret_cast<float*>(scratch);
  const int registers = registers_of(call, attrs);
  for (int r = 0; r < registers; ++r, next += kTileBytes / 4) m.buffer[r] = next, m.value[r] = next;
  for (int64_t c = 0; c < attrs.constants.size; ++c, next += kTileBytes / 4) {
    const auto r = call.n_in + c;
    const double value = attrs.constants.data[c];
    const auto whole = static_cast<int32_t>(value > 2147483647.0    ? 2147483647.0
                                            : value < -2147483648.0 ? -2147483648.0
                                            : value != value        ? 0.0
                                                                    : value);
    float bits;
    __builtin_memcpy(&bits, &whole, 4);
    for (int64_t i = 0; i < tile; ++i) m.buffer[r][i] = static_cast<float>(value);
    for (int64_t i = 0; i < tile; ++i) next[i] = bits;
    m.as_integer[r] = next;
  }
  for (int k = 0; k < call.n_in; ++k) {
    m.walk[k] = walk_of(attrs, k);
    const bool words = call.in[k].dtype == DType::float32 || call.in[k].dtype == DType::int32;
    if (m.walk[k] == Walk::dense && !words) m.walk[k] = Walk::general;
    if (m.walk[k] == Walk::single) {
      float x;
      widen(call.in[k], 0, &x);
      for (int64_t i = 0; i < tile; ++i) m.buffer[k][i] = x;
    } else if (m.walk[k] == Walk::periodic) {
      const int64_t extent = attrs.shape.data[1], length = tile + extent;
      for (int64_t i = 0; i < length; ++i) widen(call.in[k], i % extent, next + i);
      m.period[k] = next;
      next += kTile + extent + 16;
    }
  }
}

bool overlap(const View& a, const View& b) {
  int64_t m = 4, n = 4;
  for (int d = 0; d < a.rank; ++d) m *= a.shape[d];
  for (int d = 0; d < b.rank; ++d) n *= b.shape[d];
  const char *p = static_cast<const char*>(a.data), *q = static_cast<const char*>(b.data);
  return p < q + n && q < p + m;
}

// The position in the code of the last micro-operation that writes output k, if it may write into the output's memory.
// Before that the register serves other values; after that no input that lies there is read.
int64_t direct_write(const Call& call, const map_attrs& attrs, int k) {
  const int64_t r = attrs.outputs.data[k];
  if (call.out[k].dtype != DType::float32 && call.out[k].dtype != DType::int32) return -1;
  for (int other = 0; other < k; ++other)
    if (attrs.outputs.data[other] == r) return -1;
  int64_t last = -1;
  for (int64_t i = 0; i < attrs.code.size; i += 5)
    if (attrs.code.data[i + 1] == r) last = i;
  if (last < 0) return -1;
  for (int64_t input = 0; input < call.n_in; ++input) {
    if (!overlap(call.in[input], call.out[k])) continue;
    for (int other = 0; other < call.n_out; ++other)
      if (attrs.outputs.data[other] == input) return -1;
    for (int64_t i = last + 5; i < attrs.code.size; i += 5)
      for (int operand = 2; operand < 5; ++operand)
        if (attrs.code.data[i + operand] == input) return -1;
  }
  return last;
}

void run_map(const Call& call, const Range& range) {
  const auto& attrs = attrs_of<map_attrs>(call);
  const int64_t total = elements(attrs);
  const int64_t begin = range.begin * kTaskTiles * kTile;
  const int64_t end = range.end * kTaskTiles * kTile < total ? range.end * kTaskTiles * kTile : total;
  const int64_t tile = total < kTile ? total : kTile;
  Machine m;
  set_up(call, attrs, range.scratch, tile, m);
  const int64_t first_temporary = call.n_in + attrs.constants.size;
  int64_t direct[kMaxIn];
  for (int k = 0; k < call.n_out; ++k) direct[k] = direct_write(call, attrs, k);
  for (int64_t at = begin; at < end; at += kTile) {
    const int64_t n = end - at < kTile ? end - at : kTile;
    for (int k = 0; k < call.n_in; ++k) {
      if (m.walk[k] == Walk::dense) {
        m.value[k] = static_cast<const float*>(call.in[k].data) + at;
      } else if (m.walk[k] == Walk::periodic) {
        m.value[k] = m.period[k] + at % attrs.shape.data[1];
      } else if (m.walk[k] == Walk::general) {
        load_general(call.in[k], attrs.shape, attrs.strides.data + k * attrs.shape.size, at, n, m.buffer[k]);
      }
    }
    const Context context{at};
    for (int64_t i = 0; i < attrs.code.size; i += 5) {
      const int64_t* op = attrs.code.data + i;
      const MicroEntry& micro = kMicros[op[0]];
      const float* operand[3] = {};
      for (int k = 0; k < micro.arity; ++k) {
        const int64_t r = op[2 + k];
        const bool constant = r >= call.n_in && r < first_temporary;
        operand[k] = constant && micro.integer_operands ? m.as_integer[r] : m.value[r];
      }
      float* target = m.buffer[op[1]];
      for (int k = 0; k < call.n_out; ++k)
        if (direct[k] == i) target = static_cast<float*>(call.out[k].data) + at;
      micro.function(operand[0], operand[1], operand[2], target, n, context);
      m.value[op[1]] = target;
    }
    for (int k = 0; k < call.n_out; ++k) {
      if (direct[k] >= 0) continue;
      const int64_t r = attrs.outputs.data[k];
      const bool constant = r >= call.n_in && r < first_temporary;
      const float* from = constant && call.out[k].dtype != DType::float32 ? m.as_integer[r] : m.value[r];
      store_output(call.out[k], at, n, from);
    }
  }
}

}  // namespace

BERRANTE_KERNEL(map, plan_map, run_map);

}  // namespace BERRANTE_ISA
}  // namespace berrante
