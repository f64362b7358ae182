#include "spec.h"

#include <stdexcept>

namespace berrante {

void check_inside(const TensorAt& tensor, size_t limit) {
  const int64_t offset = tensor.location.offset;
  const size_t size = byte_size(tensor.view);
  if (offset < 0 || static_cast<size_t>(offset) > limit || size > limit - static_cast<size_t>(offset))
    throw std::invalid_argument("a tensor of " + std::to_string(size) + " bytes at " + std::to_string(offset) +
                                " leaves its space of " + std::to_string(limit) + " bytes");
}

}  // namespace berrante
