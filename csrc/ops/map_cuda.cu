// map on CUDA: one thread an element (in a grid-stride loop) runs the micro-program of core/micro.def over registers of
// its own. The program travels as a kernel parameter, so a launch needs no memory besides the tensors.
#include "../cuda/cuda_kernel.h"
#include "../cuda/launch.cuh"
#include "../cuda/micro.cuh"

namespace berrante {
namespace {

constexpr int kMaxIn = 16, kMaxOut = 8, kMaxCode = 192, kMaxConstants = 64, kMaxRegisters = 96;

struct Operand {
  const void* data;
  int64_t stride[kMaxRank];
  bool words;  // 4-byte elements; else bytes, widened to int32
};
struct Result {
  void* data;
  int16_t source;
  bool words, integer;
};
struct Program {
  Operand in[kMaxIn];
  Result out[kMaxOut];
  int64_t shape[kMaxRank], size;
  float constant_f[kMaxConstants];
  int32_t constant_i[kMaxConstants];
  int16_t code[kMaxCode][5];
  bool integer[kMaxCode];  // the micro-operation reads constants as int32
  int rank, n_in, n_out, n_constants, n_code;
};

__global__ void __launch_bounds__(256) map_kernel(const __grid_constant__ Program p) {
  Word reg[kMaxRegisters];
  const int first_temporary = p.n_in + p.n_constants;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t index = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; index < p.size; index += step) {
    for (int k = 0; k < p.n_in; ++k) {
      int64_t rest = index, offset = 0;
      for (int d = p.rank - 1; d >= 0; --d) {
        offset += rest % p.shape[d] * p.in[k].stride[d];
        rest /= p.shape[d];
      }
      if (p.in[k].words)
        reg[k].i = static_cast<const int32_t*>(p.in[k].data)[offset];
      else
        reg[k].i = static_cast<const uint8_t*>(p.in[k].data)[offset];
    }
    const auto read = [&](int r, bool integer) {
      if (r < 0) return word_of(0);
      if (r < p.n_in || r >= first_temporary) return reg[r];
      return integer ? word_of(p.constant_i[r - p.n_in]) : word_of(p.constant_f[r - p.n_in]);
    };
    for (int m = 0; m < p.n_code; ++m) {
      const int16_t* op = p.code[m];
      const bool integer = p.integer[m];
      reg[op[1]] = micro_operation(op[0], read(op[2], integer), read(op[3], integer), read(op[4], integer), index);
    }
    for (int k = 0; k < p.n_out; ++k) {
      const Word w = read(p.out[k].source, p.out[k].integer);
      if (p.out[k].words)
        static_cast<int32_t*>(p.out[k].data)[index] = w.i;
      else
        static_cast<uint8_t*>(p.out[k].data)[index] = static_cast<uint8_t>(w.i);
    }
  }
}

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

bool is_words(DType dtype) { return dtype == DType::float32 || dtype == DType::int32; }

int64_t size_of(const View& view) {
  int64_t n = 1;
  for (int i = 0; i < view.rank; ++i) n *= view.shape[i];
  return n;
}

const char* fill(const Call& call, const map_attrs& attrs, Program& p) {
  const int64_t rank = attrs.shape.size, codes = attrs.code.size / 5;
  if (rank < 1 || rank > kMaxRank || attrs.strides.size != call.n_in * rank || attrs.code.size % 5 != 0 ||
      attrs.outputs.size != call.n_out)
    return "the attributes do not fit together";
  if (call.n_in > kMaxIn || call.n_out > kMaxOut || codes > kMaxCode || attrs.constants.size > kMaxConstants)
    return "the program is too long";
  p.rank = static_cast<int>(rank);
  p.n_in = call.n_in;
  p.n_out = call.n_out;
  p.n_constants = static_cast<int>(attrs.constants.size);
  p.n_code = static_cast<int>(codes);
  p.size = 1;
  for (int d = 0; d < p.rank; ++d) p.size *= p.shape[d] = attrs.shape.data[d];
  for (int k = 0; k < call.n_in; ++k) {
    p.in[k].data = call.in[k].data;
    p.in[k].words = is_words(call.in[k].dtype);
    int64_t last = 0;
    for (int d = 0; d < p.rank; ++d) {
      p.in[k].stride[d] = attrs.strides.data[k * rank + d];
      last += (p.shape[d] - 1) * p.in[k].stride[d];
    }
    if (p.size > 0 && (last < 0 || last >= size_of(call.in[k]))) return "an input's strides leave it";
  }
  const int first_temporary = p.n_in + p.n_constants;
  for (int c = 0; c < p.n_constants; ++c) {
    const double value = attrs.constants.data[c];
    p.constant_f[c] = static_cast<float>(value);
    p.constant_i[c] = static_cast<int32_t>(value > 2147483647.0    ? 2147483647.0
                                           : value < -2147483648.0 ? -2147483648.0
                                           : value != value        ? 0.0
                                                                   : value);
  }
  for (int m = 0; m < p.n_code; ++m) {
    const int64_t* op = attrs.code.data + 5 * m;
    if (op[0] < 0 || op[0] >= kMicroCount || op[1] < first_temporary || op[1] >= kMaxRegisters)
      return "an unknown micro-operation, or too many registers";
    p.integer[m] = kMicros[op[0]].integer;
    for (int k = 0; k < 5; ++k) p.code[m][k] = static_cast<int16_t>(op[k]);
    for (int k = 0; k < 3; ++k) {
      const bool used = k < kMicros[op[0]].arity;
      if (used && (op[2 + k] < 0 || op[2 + k] >= kMaxRegisters)) return "a micro-operation names no register";
      if (!used) p.code[m][2 + k] = -1;
    }
  }
  for (int k = 0; k < call.n_out; ++k) {
    const int64_t source = attrs.outputs.data[k];
    if (size_of(call.out[k]) != p.size || source < 0 || source >= kMaxRegisters)
      return "an output does not have the iteration shape";
    p.out[k] = {call.out[k].data, static_cast<int16_t>(source), is_words(call.out[k].dtype),
                call.out[k].dtype != DType::float32};
  }
  return nullptr;
}

void plan_map(const Call& call, CudaPlan& plan) {
  Program program{};
  plan.error = fill(call, *static_cast<const map_attrs*>(call.attrs), program);
}

void launch_map(const Call& call, const CudaTarget& target) {
  Program program{};
  fill(call, *static_cast<const map_attrs*>(call.attrs), program);
  launch(map_kernel, blocks_for(program.size, 256, target.multiprocessors * 32), 256, 0, target.stream, program);
}

}  // namespace

const CudaKernel map_cuda_kernel = {"map", plan_map, launch_map};

}  // namespace berrante
