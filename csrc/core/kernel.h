// What a kernel is: two functions and a name. `plan` looks at shapes and attributes alone, checks them, and says how
// the work divides; `run` does a range of the tasks of one stage. How tasks fall to threads never changes a result:
// each task writes what no other task of its stage writes. Stages run one after the other.
//
// Everything here is plain data without member functions, so that no code compiled for one instruction set can be
// shared with another (see cpu/simd.h).
#pragma once
#include <cstddef>
#include <cstdint>

#include "attrs.h"
#include "dtype.h"

namespace berrante {

constexpr int kMaxRank = 8;
constexpr int kMaxStages = 3;

// A dense, row-major tensor that someone else owns. Data is 64-byte aligned inside a program's arena, but may be
// only element-aligned when it is a slice of a flat parameter buffer.
struct View {
  void* data;
  DType dtype;
  int32_t rank;
  int64_t shape[kMaxRank];
};

struct Call {
  const View* in;
  const View* out;
  int32_t n_in;
  int32_t n_out;
  const void* attrs;     // the `<name>_attrs` of ops.def
  std::byte* workspace;  // Plan::workspace bytes, 64-byte aligned, undefined at the start, shared by all tasks
};

struct Plan {
  const char* error;          // not null: the shapes or attributes are wrong, and why; `run` is never called
  int32_t stages;             // 1 to kMaxStages
  int64_t tasks[kMaxStages];  // independent tasks of each stage, from shapes alone
  size_t workspace;           // bytes shared by the whole call
  size_t scratch;             // bytes private to each worker
  double cost;                // rough work in nanoseconds on one core; decides whether threads are worth waking
};

struct Range {
  int32_t stage;
  int64_t begin;
  int64_t end;
  std::byte* scratch;  // Plan::scratch bytes, 64-byte aligned, undefined at the start
};

// `plan` receives a Plan filled with {nullptr, 1, {1, 1, 1}, 0, 0, 0}; data pointers in the call may be null there.
struct Kernel {
  const char* name;
  void (*plan)(const Call& call, Plan& plan);
  void (*run)(const Call& call, const Range& range);
};

}  // namespace berrante
