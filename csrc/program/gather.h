// Rows of the caller's arrays into a program's input: the batch, converted on the way.
#pragma once
#include <cstdint>

#include "../core/kernel.h"

namespace berrante {

enum class SourceType : int32_t { f32, f64, i8, u8, i16, u16, i32, u32, i64, u64, boolean };

// A C-contiguous array of `rows` rows of `row_size` elements.
struct Source {
  const void* data;
  SourceType type;
  int64_t rows;
  int64_t row_size;
};

// Rows order[begin .. end) of the source (or begin .. end, if order is null) into rows 0 .. of `target`, whose dtype
// they take as a C cast gives it; anything but 0 becomes true.
void gather_rows(const Source& source, const int64_t* order, int64_t begin, int64_t end, void* target, DType dtype);

}  // namespace berrante
