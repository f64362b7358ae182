// map on CUDA: a thread runs the micro-program of core/micro.def over packs of four neighbouring elements, in a
// grid-stride loop. The program travels as a kernel parameter, so a launch needs no memory besides the tensors.
//
// Registers live in shared memory, 16 bytes a thread each: they are named at run time, which real registers cannot be.
// Before the launch they are renamed, so that one whose last reader has come is taken again; what is left decides how
// many threads a block has. Dense inputs are read 16 bytes at once, several inputs before the first is used; broadcast
// ones by index arithmetic, once a pack where a pack does not leave its row. Random numbers take one Philox block a
// pack.
#include "../cuda/access.cuh"
#include "../cuda/cuda_kernel.h"
#include "../cuda/launch.cuh"
#include "../cuda/micro.cuh"

namespace berrante {
namespace {

constexpr int kMaxIn = 16, kMaxOut = 8, kMaxCode = 192, kMaxConstants = 64, kMaxRegisters = 96;
constexpr int kFirstConstant = 128;  // in an instruction: registers below, then constants as float32, then as int32
constexpr int kMaxThreads = 256;
constexpr int64_t kSharedBytes = 48 << 10;

// How an input's four elements lie: together; one for all; together, or one, at an offset to be found; anyhow.
enum class Reach : uint8_t { dense, single, row, row_single, any };

template <class Index>
struct Operand {
  const void* data;
  std::make_signed_t<Index> stride[kMaxRank];
  Reach reach;
  bool words;    // 4-byte elements; else bytes, widened to int32
  bool aligned;  // packs are
  uint8_t slot;
};
struct Result {
  void* data;
  uint8_t source;
  bool words, aligned;
};
struct Instruction {
  uint8_t code, target, operand[3];
};
template <class Index>
struct Program {
  Operand<Index> in[kMaxIn];
  Result out[kMaxOut];
  Divider<Index> shape[kMaxRank];
  Index size;
  Word constant[2 * kMaxConstants];
  Instruction code[kMaxCode];
  int rank, n_in, n_out, n_code;
};

__device__ __forceinline__ Word read_word(const void* data, int64_t at, bool words) {
  if (words) return word_of(static_cast<const int32_t*>(data)[at]);
  return word_of(static_cast<int32_t>(static_cast<const uint8_t*>(data)[at]));
}

template <class Index>
__device__ __forceinline__ int64_t offset_of(const Program<Index>& p, const Operand<Index>& in, Index index) {
  int64_t offset = 0;
  for (int d = p.rank - 1; d > 0; --d) {
    Index at;
    index = p.shape[d].divide(index, &at);
    offset += static_cast<int64_t>(at) * in.stride[d];
  }
  return offset + static_cast<int64_t>(index) * in.stride[0];
}

// Four elements from `first` on, or the `count` that there are.
template <class Index>
__device__ __forceinline__ Words read_input(const Program<Index>& p, const Operand<Index>& in, Index first, int count) {
  Words result;
#pragma unroll
  for (int k = 0; k < 4; ++k) result.w[k] = word_of(0);
  if (in.reach == Reach::single || in.reach == Reach::row_single) {
    const Word w = read_word(in.data, in.reach == Reach::single ? 0 : offset_of(p, in, first), in.words);
#pragma unroll
    for (int k = 0; k < 4; ++k) result.w[k] = w;
    return result;
  }
  if (in.reach != Reach::any) {
    const int64_t at = in.reach == Reach::dense ? static_cast<int64_t>(first) : offset_of(p, in, first);
    if (count == 4 && in.aligned && in.words)
      return *reinterpret_cast<const Words*>(static_cast<const Word*>(in.data) + at);
    if (count == 4 && in.aligned) {
      const auto bytes = *reinterpret_cast<const Pack<uint8_t, 4>*>(static_cast<const uint8_t*>(in.data) + at);
#pragma unroll
      for (int k = 0; k < 4; ++k) result.w[k] = word_of(static_cast<int32_t>(bytes.v[k]));
      return result;
    }
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (k < count) result.w[k] = read_word(in.data, at + k, in.words);
    return result;
  }
#pragma unroll
  for (int k = 0; k < 4; ++k)
    if (k < count) result.w[k] = read_word(in.data, offset_of(p, in, static_cast<Index>(first + k)), in.words);
  return result;
}

template <class Index>
__device__ __forceinline__ void write_output(const Result& out, const Words& value, Index first, int count) {
  if (out.words) {
    Word* to = static_cast<Word*>(out.data) + first;
    if (count == 4 && out.aligned) {
      *reinterpret_cast<Words*>(to) = value;
      return;
    }
#pragma unroll
    for (int k = 0; k < 4; ++k)
      if (k < count) to[k] = value.w[k];
    return;
  }
  uint8_t* to = static_cast<uint8_t*>(out.data) + first;
  Pack<uint8_t, 4> bytes;
#pragma unroll
  for (int k = 0; k < 4; ++k) bytes.v[k] = static_cast<uint8_t>(value.w[k].i);
  if (count == 4 && out.aligned) {
    *reinterpret_cast<Pack<uint8_t, 4>*>(to) = bytes;
    return;
  }
#pragma unroll
  for (int k = 0; k < 4; ++k)
    if (k < count) to[k] = bytes.v[k];
}

template <class Index>
__global__ void __launch_bounds__(kMaxThreads) map_kernel(const __grid_constant__ Program<Index> p) {
  constexpr int kAhead = 4;  // inputs read before the first is kept
  const Index threads = blockDim.x, step = static_cast<Index>(gridDim.x) * threads, packs = (p.size + 3) / 4;
  Words* slots = dynamic_shared<Words>() + threadIdx.x;
  const auto slot = [&](int number) -> Words& { return slots[number * static_cast<int>(threads)]; };
  const auto operand = [&](int number) {
    if (number < kFirstConstant) return slot(number);
    Words value;
#pragma unroll
    for (int k = 0; k < 4; ++k) value.w[k] = p.constant[number - kFirstConstant];
    return value;
  };
  for (Index pack = blockIdx.x * threads + threadIdx.x; pack < packs; pack += step) {
    const Index first = 4 * pack;
    const int count = p.size - first < 4 ? static_cast<int>(p.size - first) : 4;
    for (int k = 0; k < p.n_in; k += kAhead) {
      Words value[kAhead];
#pragma unroll
      for (int i = 0; i < kAhead; ++i)
        if (k + i < p.n_in) value[i] = read_input(p, p.in[k + i], first, count);
#pragma unroll
      for (int i = 0; i < kAhead; ++i)
        if (k + i < p.n_in) slot(p.in[k + i].slot) = value[i];
    }
    for (int m = 0; m < p.n_code; ++m) {
      const Instruction op = p.code[m];
      slot(op.target) =
          micro_operation(op.code, operand(op.operand[0]), operand(op.operand[1]), operand(op.operand[2]), first);
    }
    for (int k = 0; k < p.n_out; ++k) write_output(p.out[k], operand(p.out[k].source), first, count);
  }
}

// --- host ------------------------------------------------------------------------------------------------------------

struct MicroType {
  int arity;
  bool integer;
};
constexpr MicroType kMicros[] = {
#define MICRO(name, arity, to, from) {arity, #from[0] == 'i'},
#include "../core/micro.def"
#undef MICRO
};
constexpr int64_t kMicroCount = sizeof kMicros / sizeof kMicros[0];

const char* check(const Call& call) {
  const auto& attrs = attrs_of<map_attrs>(call);
  const int64_t rank = attrs.shape.size, codes = attrs.code.size / 5;
  if (rank < 1 || rank > kMaxRank || attrs.strides.size != call.n_in * rank || attrs.code.size % 5 != 0 ||
      attrs.outputs.size != call.n_out)
    return "the attributes do not fit together";
  if (call.n_in > kMaxIn || call.n_out > kMaxOut || codes > kMaxCode || attrs.constants.size > kMaxConstants)
    return "the program is too long";
  int64_t size = 1;
  for (int64_t d = 0; d < rank; ++d) size *= attrs.shape.data[d];
  for (int k = 0; k < call.n_in; ++k) {
    int64_t last = 0;
    for (int64_t d = 0; d < rank; ++d) last += (attrs.shape.data[d] - 1) * attrs.strides.data[k * rank + d];
    if (size > 0 && (last < 0 || last >= count_of(call.in[k]))) return "an input's strides leave it";
  }
  const int64_t first_temporary = call.n_in + attrs.constants.size;
  for (int64_t m = 0; m < codes; ++m) {
    const int64_t* op = attrs.code.data + 5 * m;
    if (op[0] < 0 || op[0] >= kMicroCount || op[1] < first_temporary || op[1] >= kMaxRegisters)
      return "an unknown micro-operation, or too many registers";
    for (int k = 0; k < kMicros[op[0]].arity; ++k)
      if (op[2 + k] < 0 || op[2 + k] >= kMaxRegisters) return "a micro-operation names no register";
  }
  for (int k = 0; k < call.n_out; ++k) {
    const int64_t source = attrs.outputs.data[k];
    if (count_of(call.out[k]) != size || source < 0 || source >= kMaxRegisters)
      return "an output does not have the iteration shape";
  }
  return nullptr;
}

// New numbers for registers. A register is free again after its last reader; the operation that reads it last may
// write there, as operands are read first.
class Slots {
 public:
  explicit Slots(const Call& call) : attrs_(attrs_of<map_attrs>(call)), n_in_(call.n_in) {
    for (int& last : last_) last = -1;
    const int codes = static_cast<int>(attrs_.code.size / 5);
    for (int m = 0; m < codes; ++m) {
      const int64_t* op = attrs_.code.data + 5 * m;
      last_[op[1]] = m;  // never taken while it is still to be written
      for (int k = 0; k < kMicros[op[0]].arity; ++k) last_[op[2 + k]] = m;
    }
    for (int64_t k = 0; k < attrs_.outputs.size; ++k) last_[attrs_.outputs.data[k]] = codes;
    for (int& slot : slot_) slot = -1;
    for (int k = 0; k < n_in_; ++k) take(k);
  }
  bool is_constant(int64_t number) const { return number >= n_in_ && number < n_in_ + attrs_.constants.size; }
  int of(int64_t number) { return slot_[number] < 0 ? take(number) : slot_[number]; }
  // After operation m has read its operands.
  void release(int m) {
    for (int r = 0; r < kMaxRegisters; ++r)
      if (slot_[r] >= 0 && last_[r] <= m && attrs_.code.data[5 * m + 1] != r) taken_[slot_[r]] = false, slot_[r] = -1;
  }
  int count() const { return count_ < 1 ? 1 : count_; }

 private:
  int take(int64_t number) {
    int slot = 0;
    while (taken_[slot]) ++slot;
    taken_[slot] = true;
    slot_[number] = slot;
    if (slot + 1 > count_) count_ = slot + 1;
    return slot;
  }
  const map_attrs& attrs_;
  int n_in_, count_ = 0;
  int last_[kMaxRegisters], slot_[kMaxRegisters];
  bool taken_[kMaxRegisters + 1] = {};
};

template <class Index>
void fill_input(const View& x, const map_attrs& attrs, const int64_t* strides, Operand<Index>& in) {
  const auto rank = static_cast<int>(attrs.shape.size);
  int64_t dense = 1;
  bool is_dense = true, is_single = true, by_four = true;
  for (int d = rank - 1; d >= 0; --d) {
    in.stride[d] = static_cast<std::make_signed_t<Index>>(strides[d]);
    is_dense = is_dense && (strides[d] == dense || attrs.shape.data[d] == 1);
    is_single = is_single && (strides[d] == 0 || attrs.shape.data[d] == 1);
    by_four = by_four && (d == rank - 1 || strides[d] % 4 == 0);
    dense *= attrs.shape.data[d];
  }
  const bool whole_rows = attrs.shape.data[rank - 1] % 4 == 0;
  const int64_t inner = strides[rank - 1];
  in.data = x.data;
  in.words = is_number(x.dtype);
  in.reach = is_single                  ? Reach::single
             : is_dense                 ? Reach::dense
             : whole_rows && inner == 1 ? Reach::row
             : whole_rows && inner == 0 ? Reach::row_single
                                        : Reach::any;
  in.aligned = is_aligned(x.data, in.words ? 16 : 4) && (in.reach == Reach::dense || by_four);
}

int32_t constant_as_integer(double value) {
  return static_cast<int32_t>(value > 2147483647.0    ? 2147483647.0
                              : value < -2147483648.0 ? -2147483648.0
                              : value != value        ? 0.0
                                                      : value);
}

// Gives the number of slots.
template <class Index>
int fill(const Call& call, Program<Index>& p) {
  const auto& attrs = attrs_of<map_attrs>(call);
  const int64_t rank = attrs.shape.size;
  p.rank = static_cast<int>(rank);
  p.n_in = call.n_in;
  p.n_out = call.n_out;
  p.n_code = static_cast<int>(attrs.code.size / 5);
  p.size = 1;
  for (int d = 0; d < p.rank; ++d) {
    p.shape[d] = Divider<Index>(attrs.shape.data[d]);
    p.size *= static_cast<Index>(attrs.shape.data[d]);
  }
  for (int64_t c = 0; c < attrs.constants.size; ++c) {
    p.constant[c].f = static_cast<float>(attrs.constants.data[c]);
    p.constant[kMaxConstants + c].i = constant_as_integer(attrs.constants.data[c]);
  }
  Slots slots(call);
  const auto number_of = [&](int64_t number, bool integer) {
    if (!slots.is_constant(number)) return static_cast<uint8_t>(slots.of(number));
    return static_cast<uint8_t>(kFirstConstant + (integer ? kMaxConstants : 0) + number - call.n_in);
  };
  for (int k = 0; k < call.n_in; ++k) {
    fill_input(call.in[k], attrs, attrs.strides.data + k * rank, p.in[k]);
    p.in[k].slot = static_cast<uint8_t>(slots.of(k));
  }
  for (int m = 0; m < p.n_code; ++m) {
    const int64_t* op = attrs.code.data + 5 * m;
    const MicroType& type = kMicros[op[0]];
    Instruction& to = p.code[m];
    to.code = static_cast<uint8_t>(op[0]);
    for (int k = 0; k < 3; ++k) to.operand[k] = number_of(op[2 + (k < type.arity ? k : 0)], type.integer);
    slots.release(m);
    to.target = static_cast<uint8_t>(slots.of(op[1]));
  }
  for (int k = 0; k < call.n_out; ++k) {
    const View& y = call.out[k];
    const bool words = is_number(y.dtype);
    p.out[k] = {y.data, number_of(attrs.outputs.data[k], y.dtype != DType::float32), words,
                is_aligned(y.data, words ? 16 : 4)};
  }
  return slots.count();
}

void plan_map(const Call& call, CudaPlan& plan) { plan.error = check(call); }

template <class Index>
void launch_sized(const Call& call, const CudaTarget& target) {
  Program<Index> program{};
  const int slots = fill(call, program);
  int threads = kMaxThreads;
  while (threads > kWarp && slots * threads * static_cast<int64_t>(sizeof(Words)) > kSharedBytes) threads /= 2;
  launch(map_kernel<Index>,
         blocks_for(ceil_div(static_cast<int64_t>(program.size), 4), threads, target.multiprocessors * 32),
         static_cast<unsigned>(threads), sizeof(Words) * static_cast<size_t>(slots * threads), target.stream, program);
}

void launch_map(const Call& call, const CudaTarget& target) {
  const auto& attrs = attrs_of<map_attrs>(call);
  int64_t size = 1;
  for (int64_t d = 0; d < attrs.shape.size; ++d) size *= attrs.shape.data[d];
  if (size < kIndexLimit - 4) return launch_sized<uint32_t>(call, target);
  launch_sized<uint64_t>(call, target);
}

}  // namespace

const CudaKernel map_cuda_kernel = {"map", plan_map, launch_map};

}  // namespace berrante
