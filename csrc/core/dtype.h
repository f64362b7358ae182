// Element types, and the small enumerations that attributes carry. Python mirrors them (runtime/enums.py); a test
// compares.
#pragma once
#include <cstdint>

namespace berrante {

enum class DType : int32_t { float32 = 0, int32 = 1, uint8 = 2, boolean = 3 };

enum class Reduction : int64_t { sum = 0, mean = 1, maximum = 2, minimum = 3, product = 4 };
enum class Activation : int64_t { linear = 0, relu = 1, sigmoid = 2, tanh = 3 };
enum class Pooling : int64_t { maximum = 0, average = 1, median = 2 };
enum class Resize : int64_t { nearest = 0, bilinear = 1 };

}  // namespace berrante
