// NumPy arrays as views, and Python values as attributes.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "../program/instruction.h"

namespace berrante {

namespace py = pybind11;

inline DType dtype_of(const py::array& array) {
  const py::dtype dtype = array.dtype();
  if (dtype.kind() == 'f' && dtype.itemsize() == 4) return DType::float32;
  if (dtype.kind() == 'i' && dtype.itemsize() == 4) return DType::int32;
  if (dtype.kind() == 'u' && dtype.itemsize() == 1) return DType::uint8;
  if (dtype.kind() == 'b') return DType::boolean;
  throw py::type_error("expected float32, int32, uint8 or bool; received " + std::string(py::str(dtype)));
}

inline py::dtype numpy_dtype(DType dtype) {
  switch (dtype) {
    case DType::float32: return py::dtype::of<float>();
    case DType::int32: return py::dtype::of<int32_t>();
    case DType::uint8: return py::dtype::of<uint8_t>();
    case DType::boolean: return py::dtype::of<bool>();
  }
  throw std::invalid_argument("unknown dtype");
}

inline View make_view(void* data, DType dtype, const std::vector<int64_t>& shape) {
  if (shape.size() > kMaxRank) throw std::invalid_argument("a tensor's rank must be at most 8");
  View view{data, dtype, static_cast<int32_t>(shape.size()), {}};
  for (size_t i = 0; i < shape.size(); ++i) view.shape[i] = shape[i];
  return view;
}

// The array must be C-contiguous and stay alive as long as the view.
inline View view_of(const py::array& array) {
  if (!(array.flags() & py::array::c_style)) throw py::value_error("expected a C-contiguous array");
  return make_view(const_cast<void*>(array.data()), dtype_of(array),
                   std::vector<int64_t>(array.shape(), array.shape() + array.ndim()));
}

inline AttrValues attr_values(const py::dict& attrs) {
  AttrValues values;
  for (const auto& [key, value] : attrs) {
    const auto name = key.cast<std::string>();
    if (py::isinstance<py::float_>(value)) {
      values[name] = value.cast<double>();
    } else if (py::isinstance<py::int_>(value) || py::isinstance<py::bool_>(value)) {
      values[name] = value.cast<int64_t>();
    } else {
      // A list is real as soon as one element is.
      const auto items = value.cast<py::sequence>();
      bool real = false;
      for (const auto& item : items) real = real || py::isinstance<py::float_>(item);
      if (real)
        values[name] = value.cast<std::vector<double>>();
      else
        values[name] = value.cast<std::vector<int64_t>>();
    }
  }
  return values;
}

}  // namespace berrante
