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

struct TensorAt {
  Location location;
  View view;  // data is set by the program
};

struct InstructionSpec {
  Op op;
  std::vector<TensorAt> in, out;
  AttrValues attrs;
};

struct StorageSpan {
  std::byte* data;
  size_t size;
};

// The tensor's place in its space of `limit` bytes; throws std::invalid_argument if it leaves it.
void check_inside(const TensorAt& tensor, size_t limit);

}  // namespace berrante
