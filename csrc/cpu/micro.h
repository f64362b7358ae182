// What map knows of its micro-operations (core/micro.def): functions over one tile, by their code. micro_cpu.cpp has
// them.
#pragma once
#include "simd.h"

namespace berrante {
namespace BERRANTE_ISA {

struct Context {
  int64_t first;  // flat index of the tile's first element
};
typedef void (*MicroFunction)(const float* a, const float* b, const float* c, float* out, int64_t n, const Context& at);
struct MicroEntry {
  MicroFunction function;
  int arity;
  bool integer_operands;
};

enum MicroCode {
#define MICRO(name, arity, to, from) kMicroCode_##name,
#include "../core/micro.def"
#undef MICRO
  kMicroCodes
};
extern const MicroEntry kMicros[kMicroCodes];

namespace {

BERRANTE_INLINE int32_t int_at(const float* p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return x;
}

}  // namespace
}  // namespace BERRANTE_ISA
}  // namespace berrante
