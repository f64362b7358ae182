// Programs and the rows they are fed, from Python's lists.
#pragma once
#include "../program/gather.h"
#include "../program/spec.h"
#include "arrays.h"

namespace berrante {

// (space, offset, dtype, shape), and in a loop the bytes to the next slab's.
inline TensorAt tensor_at(const py::handle& item) {
  const auto tuple = item.cast<py::tuple>();
  const auto dtype = tuple[2].cast<int32_t>();
  if (dtype < 0 || dtype > 3) throw py::value_error("unknown dtype");
  const auto shape = tuple[3].cast<std::vector<int64_t>>();
  return {{tuple[0].cast<int64_t>(), tuple[1].cast<int64_t>()},
          make_view(nullptr, static_cast<DType>(dtype), shape),
          tuple.size() > 4 ? tuple[4].cast<int64_t>() : 0};
}

inline std::vector<TensorAt> tensors_at(const py::handle& list) {
  std::vector<TensorAt> result;
  for (const py::handle item : list) result.push_back(tensor_at(item));
  return result;
}

inline SourceType source_type(const py::array& array) {
  const char kind = array.dtype().kind();
  const auto size = array.itemsize();
  const bool native = array.dtype().byteorder() == '=' || array.dtype().byteorder() == '|';
  if (native) {
    if (kind == 'f' && size == 4) return SourceType::f32;
    if (kind == 'f' && size == 8) return SourceType::f64;
    if (kind == 'i')
      return size == 1 ? SourceType::i8 : size == 2 ? SourceType::i16 : size == 4 ? SourceType::i32 : SourceType::i64;
    if (kind == 'u')
      return size == 1 ? SourceType::u8 : size == 2 ? SourceType::u16 : size == 4 ? SourceType::u32 : SourceType::u64;
    if (kind == 'b') return SourceType::boolean;
  }
  throw py::type_error("expected native real numbers; received dtype " + std::string(py::str(array.dtype())));
}

// (kernel, inputs, outputs, attributes)
inline InstructionSpec instruction_spec(const py::handle& item) {
  const auto tuple = item.cast<py::tuple>();
  return {op_by_name(tuple[0].cast<std::string>()), tensors_at(tuple[1]), tensors_at(tuple[2]),
          attr_values(tuple[3].cast<py::dict>())};
}

inline std::vector<InstructionSpec> instruction_specs(const py::handle& instructions) {
  std::vector<InstructionSpec> specs;
  for (const py::handle item : instructions) specs.push_back(instruction_spec(item));
  return specs;
}

// Each an instruction, or (slabs, bytes of the region, [instructions]).
inline std::vector<StepSpec> step_specs(const py::list& steps) {
  std::vector<StepSpec> specs;
  for (const py::handle item : steps) {
    const auto tuple = item.cast<py::tuple>();
    if (!py::isinstance<py::int_>(tuple[0])) {
      specs.push_back({{instruction_spec(item)}});
      continue;
    }
    specs.push_back({instruction_specs(tuple[2]), tuple[0].cast<int64_t>(), tuple[1].cast<size_t>()});
    if (specs.back().slabs < 1) throw py::value_error("a loop needs slabs");
  }
  return specs;
}

// What is checked of every source: its rows have the size that input i expects.
inline Source checked_source(size_t i, const View& input, int64_t rows, const void* data, SourceType type, int64_t size,
                             int64_t first_extent) {
  const int64_t input_size = static_cast<int64_t>(byte_size(input) / element_size(input.dtype));
  const int64_t row_size = rows == 0 ? 0 : input_size / rows;
  const int64_t available = rows == 1 && row_size == size ? 1 : first_extent;
  if (size != available * row_size)
    throw py::value_error("input " + std::to_string(i) + ": expected rows of " + std::to_string(row_size) +
                          " elements; received " + std::to_string(size) + " elements in " + std::to_string(available) +
                          " rows");
  return {data, type, available, row_size};
}

inline void check_count(size_t given, size_t expected) {
  if (given != expected)
    throw py::value_error("expected " + std::to_string(expected) + " arrays; received " + std::to_string(given));
}

inline Source host_source(size_t i, const View& input, int64_t rows, const py::array& array) {
  if (!(array.flags() & py::array::c_style)) throw py::value_error("expected C-contiguous arrays");
  return checked_source(i, input, rows, array.data(), source_type(array), array.size(),
                        array.ndim() > 0 ? array.shape(0) : 1);
}

// rows_of(view): how many rows an input of that shape has.
template <class RowsOf>
std::vector<Source> sources_of(const py::list& arrays, const std::vector<View>& inputs, RowsOf rows_of) {
  check_count(arrays.size(), inputs.size());
  std::vector<Source> sources;
  for (size_t i = 0; i < inputs.size(); ++i)
    sources.push_back(host_source(i, inputs[i], rows_of(inputs[i]), arrays[i].cast<py::array>()));
  return sources;
}

// The range of batches is inside the rows there are.
inline void check_batches(int64_t first, int64_t count, int64_t batch, int64_t available) {
  if (first < 0 || count < 0 || batch < 1 || first + count > available / batch)
    throw py::index_error("batches " + std::to_string(first) + " to " + std::to_string(first + count) + " of " +
                          std::to_string(batch) + " rows leave the " + std::to_string(available) + " rows there are");
}

inline void check_order(const int64_t* order, int64_t begin, int64_t end, int64_t rows) {
  for (int64_t i = begin; i < end; ++i)
    if (order[i] < 0 || order[i] >= rows)
      throw py::index_error("row " + std::to_string(order[i]) + " is not among the " + std::to_string(rows) +
                            " there are");
}

inline int64_t common_rows(const std::vector<Source>& sources) {
  int64_t rows = sources[0].rows;
  for (const Source& source : sources) rows = std::min(rows, source.rows);
  return rows;
}

}  // namespace berrante
