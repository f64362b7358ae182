// A program as Python hands it over: kernel calls over tensors that lie in numbered spaces. Space 0 is the program's
// own arena; space k is the caller's storage k - 1.
#pragma once
#include <vector>

#include "instruction.h"

namespace berrante {

struct Location {
  int64_t space;
  int64_t offset;  // bytes
};

constexpr int64_t kRegionSpace = -1;  // a loop's region, for tensors of its body alone

struct TensorAt {
  Location location;
  View view;           // data is set by the program
  int64_t stride = 0;  // bytes to the next slab's, in a loop
};

struct InstructionSpec {
  Op op;
  std::vector<TensorAt> in, out;
  AttrValues attrs;
};

// One instruction or, with slabs, a loop over them (loop.h; the CPU's alone).
struct StepSpec {
  std::vector<InstructionSpec> body;
  int64_t slabs = 0;
  size_t region_size = 0;
};

struct StorageSpan {
  std::byte* data;
  size_t size;
};

// The tensor's place in its space of `limit` bytes; throws std::invalid_argument if it leaves it.
void check_inside(const TensorAt& tensor, size_t limit);

}  // namespace berrante
