// map: the fused elementwise kernel (core/micro.def). Elements are walked in tiles of kTile; each register of the
// micro-program is a buffer of one tile in scratch, or the input's own memory where that is dense (cpu/map_inputs.h).
// Each micro-operation is one vector loop over the tile (cpu/micro.h). The last micro-operation of an output writes
// straight into its memory, unless an input that lies there is read later; other outputs are stored at the end of each
// tile. map_sums adds the rows of some outputs up instead: each task into sums of its own, which the second stage adds.
#include "../cpu/map_inputs.h"
#include "../cpu/micro.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

constexpr int64_t kTile = 512;
constexpr int64_t kTileBytes = (kTile + 16) * 4;
constexpr int64_t kTaskTiles = 16;
constexpr int64_t kCached = 100'000;  // elements of all operands that are taken to be in the cache
constexpr int64_t kWideRow = 64;      // elements of a row that need not be repeated to fill vectors
constexpr int64_t kSumBlock = 64;     // sums of tasks that are added before their total is
constexpr int kMaxRegisters = 256;
constexpr int kMaxIn = 32;

BERRANTE_INLINE int64_t elements(const map_attrs& attrs) {
  int64_t n = 1;
  for (int64_t i = 0; i < attrs.shape.size; ++i) n *= attrs.shape.data[i];
  return n;
}

BERRANTE_INLINE int64_t sum_of(const Ints& sums, int64_t output) { return output < sums.size ? sums.data[output] : 0; }
// A task sums into some columns for each of the result's, so that short rows fill vectors.
BERRANTE_INLINE int64_t columns_of(int64_t sum) { return sum == 0 ? 0 : sum < kWideRow ? kWideRow / sum * sum : sum; }
BERRANTE_INLINE int64_t columns_before(const Ints& sums, int64_t output) {
  int64_t columns = 0;
  for (int64_t k = 0; k < output; ++k) columns += columns_of(sum_of(sums, k));
  return columns;
}

int registers_of(const Call& call, const map_attrs& attrs) {
  int64_t last = call.n_in + attrs.constants.size - 1;
  for (int64_t i = 0; i + 4 < attrs.code.size; i += 5)
    if (attrs.code.data[i + 1] > last) last = attrs.code.data[i + 1];
  return static_cast<int>(last + 1);
}

// What map and map_sums share; `sums` has an entry for each output, or none.
void plan_tiles(const Call& call, const map_attrs& attrs, const Ints& sums, Plan& plan) {
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
    bool good = op[0] >= 0 && op[0] < kMicroCodes && op[1] >= call.n_in + attrs.constants.size;
    for (int k = 0; good && k < kMicros[op[0]].arity; ++k) good = op[2 + k] >= 0 && op[2 + k] < registers;
    if (!good) {
      plan.error = "a micro-operation names a register that does not exist";
      return;
    }
  }
  for (int k = 0; k < call.n_out; ++k) {
    int64_t size = 1;
    for (int d = 0; d < call.out[k].rank; ++d) size *= call.out[k].shape[d];
    if (size != (sum_of(sums, k) > 0 ? sum_of(sums, k) : n) || attrs.outputs.data[k] < 0 ||
        attrs.outputs.data[k] >= registers) {
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

void plan_map(const Call& call, Plan& plan) { plan_tiles(call, attrs_of<map_attrs>(call), Ints{nullptr, 0}, plan); }

map_attrs without_sums(const map_sums_attrs& attrs) {
  return {attrs.shape, attrs.strides, attrs.code, attrs.constants, attrs.outputs};
}

void plan_map_sums(const Call& call, Plan& plan) {
  const auto& attrs = attrs_of<map_sums_attrs>(call);
  const map_attrs map = without_sums(attrs);
  bool good = attrs.sums.size == call.n_out && map.shape.size > 0;
  for (int k = 0; good && k < call.n_out; ++k)
    good = sum_of(attrs.sums, k) == 0 || (sum_of(attrs.sums, k) > 0 && elements(map) % sum_of(attrs.sums, k) == 0 &&
                                          call.out[k].dtype == DType::float32);
  if (!good) {
    plan.error = "the sums do not fit the outputs";
    return;
  }
  plan_tiles(call, map, attrs.sums, plan);
  if (plan.error != nullptr) return;
  plan.stages = 2;
  plan.tasks[1] = call.n_out;
  plan.workspace = static_cast<size_t>(plan.tasks[0] * columns_before(attrs.sums, call.n_out)) * 4;
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

// The next tile of a dense input, whose first lines the hardware would fetch too late.
void prefetch(const float* p, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) __builtin_prefetch(p + i);
}

// Adds n elements from position `at` on to sums of columns.
void add_rows(const float* x, int64_t at, int64_t n, float* sums, int64_t columns) {
  for (int64_t i = 0, column = at % columns; i < n; column = 0) {
    const int64_t count = columns - column < n - i ? columns - column : n - i;
    float* to = sums + column;
    int64_t j = 0;
    for (; j + kLanes <= count; j += kLanes) store(to + j, load(to + j) + load(x + i + j));
    for (; j < count; ++j) to[j] += x[i + j];
    i += count;
  }
}

void run_tiles(const Call& call, const map_attrs& attrs, const Ints& sums, const Range& range) {
  const int64_t total = elements(attrs);
  const int64_t begin = range.begin * kTaskTiles * kTile;
  const int64_t end = range.end * kTaskTiles * kTile < total ? range.end * kTaskTiles * kTile : total;
  const int64_t tile = total < kTile ? total : kTile;
  Machine m;
  set_up(call, attrs, range.scratch, tile, m);
  const int64_t first_temporary = call.n_in + attrs.constants.size;
  const bool large = total * (call.n_in + call.n_out) > kCached;
  int64_t direct[kMaxIn];
  for (int k = 0; k < call.n_out; ++k) direct[k] = sum_of(sums, k) > 0 ? -1 : direct_write(call, attrs, k);
  const int64_t columns = columns_before(sums, call.n_out);
  float* partials = reinterpret_cast<float*>(call.workspace);
  for (int64_t i = range.begin * columns; i < range.end * columns; ++i) partials[i] = 0.0f;
  for (int64_t at = begin; at < end; at += kTile) {
    const int64_t n = end - at < kTile ? end - at : kTile;
    for (int k = 0; k < call.n_in; ++k) {
      if (m.walk[k] == Walk::dense) {
        m.value[k] = static_cast<const float*>(call.in[k].data) + at;
        if (large) prefetch(m.value[k] + kTile, end - at - n < kTile ? end - at - n : kTile);
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
      if (sum_of(sums, k) == 0)
        store_output(call.out[k], at, n, from);
      else
        add_rows(from, at, n, partials + at / (kTaskTiles * kTile) * columns + columns_before(sums, k),
                 columns_of(sum_of(sums, k)));
    }
  }
}

void run_map(const Call& call, const Range& range) {
  run_tiles(call, attrs_of<map_attrs>(call), Ints{nullptr, 0}, range);
}

void run_map_sums(const Call& call, const Range& range) {
  const auto& attrs = attrs_of<map_sums_attrs>(call);
  const map_attrs map = without_sums(attrs);
  if (range.stage == 0) return run_tiles(call, map, attrs.sums, range);
  const int64_t all = columns_before(attrs.sums, call.n_out), tile = kTaskTiles * kTile;
  const int64_t tasks = (elements(map) + tile - 1) / tile;
  for (int64_t k = range.begin; k < range.end; ++k) {
    const int64_t sum = sum_of(attrs.sums, k), columns = columns_of(sum);
    const float* partial = reinterpret_cast<const float*>(call.workspace) + columns_before(attrs.sums, k);
    float* out = static_cast<float*>(call.out[k].data);
    for (int64_t j = 0; j < sum; ++j) {
      float total = 0.0f;
      for (int64_t first = 0; first < tasks; first += kSumBlock) {
        float block = 0.0f;
        for (int64_t task = first; task < tasks && task < first + kSumBlock; ++task)
          for (int64_t column = j; column < columns; column += sum) block += partial[task * all + column];
        total += block;
      }
      out[j] = total;
    }
  }
}

}  // namespace

BERRANTE_KERNEL(map, plan_map, run_map);
BERRANTE_KERNEL(map_sums, plan_map_sums, run_map_sums);

}  // namespace BERRANTE_ISA
}  // namespace berrante
