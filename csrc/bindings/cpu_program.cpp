// Program and thread pool for Python.
#include <pybind11/pybind11.h>

#include "../program/program.h"
#include "arrays.h"

namespace berrante {

namespace {

TensorAt tensor_at(const py::handle& item) {
  const auto [space, offset, dtype, shape] = item.cast<std::tuple<int64_t, int64_t, int32_t, std::vector<int64_t>>>();
  if (dtype < 0 || dtype > 3) throw py::value_error("unknown dtype");
  return {{space, offset}, make_view(nullptr, static_cast<DType>(dtype), shape)};
}

std::vector<TensorAt> tensors_at(const py::handle& list) {
  std::vector<TensorAt> result;
  for (const py::handle item : list) result.push_back(tensor_at(item));
  return result;
}

SourceType source_type(const py::array& array) {
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

// The program with what it borrows.
class BoundProgram {
 public:
  BoundProgram(const py::list& instructions, size_t arena_size, const std::vector<py::array>& storages,
               const py::list& inputs, const py::list& outputs)
      : storages_(storages) {
    std::vector<StorageSpan> spans;
    for (const py::array& storage : storages) {
      if (!(storage.flags() & py::array::c_style)) throw py::value_error("a storage must be C-contiguous");
      spans.push_back(
          {static_cast<std::byte*>(const_cast<void*>(storage.data())), static_cast<size_t>(storage.nbytes())});
    }
    std::vector<InstructionSpec> specs;
    for (const py::handle item : instructions) {
      const auto tuple = item.cast<py::tuple>();
      specs.push_back({op_by_name(tuple[0].cast<std::string>()), tensors_at(tuple[1]), tensors_at(tuple[2]),
                       attr_values(tuple[3].cast<py::dict>())});
    }
    program_ = std::make_unique<Program>(kernel_table(), std::move(specs), arena_size, std::move(spans),
                                         tensors_at(inputs), tensors_at(outputs));
  }

  py::list run(const py::list& arrays) {
    // A whole input counts as one row.
    std::vector<Source> sources = checked_sources(arrays, [](const View&) { return int64_t{1}; });
    py::list results;
    std::vector<void*> targets;
    for (const View& view : program_->outputs()) {
      py::array result(numpy_dtype(view.dtype), std::vector<py::ssize_t>(view.shape, view.shape + view.rank));
      targets.push_back(result.mutable_data());
      results.append(std::move(result));
    }
    {
      py::gil_scoped_release release;
      program_->run(sources, targets);
    }
    return results;
  }

  int64_t run_batches(const py::list& arrays, const std::optional<py::array_t<int64_t, py::array::c_style>>& order,
                      int64_t first, int64_t count, const std::optional<double>& budget) {
    if (program_->inputs().empty() || program_->inputs()[0].rank == 0)
      throw py::value_error("this program has no batch");
    const int64_t batch = program_->inputs()[0].shape[0];
    std::vector<Source> sources = checked_sources(arrays, [](const View& view) { return view.shape[0]; });
    int64_t rows = sources[0].rows;
    for (const Source& source : sources) rows = std::min(rows, source.rows);
    const int64_t available = order ? order->size() : rows;
    if (first < 0 || count < 0 || batch < 1 || first + count > available / batch)
      throw py::index_error("batches " + std::to_string(first) + " to " + std::to_string(first + count) + " of " +
                            std::to_string(batch) + " rows leave the " + std::to_string(available) + " rows there are");
    if (order)
      for (int64_t i = first * batch; i < (first + count) * batch; ++i)
        if (order->data()[i] < 0 || order->data()[i] >= rows)
          throw py::index_error("row " + std::to_string(order->data()[i]) + " is not among the " +
                                std::to_string(rows) + " there are");
    const int64_t* rows_in_order = order ? order->data() : nullptr;
    py::gil_scoped_release release;
    return program_->run_batches(sources, rows_in_order, batch, first, count, budget.value_or(-1.0));
  }

  std::vector<std::pair<std::string, double>> profile(int repeats) {
    py::gil_scoped_release release;
    return program_->profile(repeats);
  }

  size_t arena_size() const { return program_->arena_size(); }

 private:
  // Each input's rows must have the size that the program expects.
  template <class RowsOf>
  std::vector<Source> checked_sources(const py::list& arrays, RowsOf rows_of) const {
    const std::vector<View>& inputs = program_->inputs();
    if (arrays.size() != inputs.size())
      throw py::value_error("expected " + std::to_string(inputs.size()) + " arrays; received " +
                            std::to_string(arrays.size()));
    std::vector<Source> sources;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto array = arrays[i].cast<py::array>();
      if (!(array.flags() & py::array::c_style)) throw py::value_error("expected C-contiguous arrays");
      const int64_t rows = rows_of(inputs[i]);
      const int64_t input_size = static_cast<int64_t>(byte_size(inputs[i]) / element_size(inputs[i].dtype));
      const int64_t row_size = rows == 0 ? 0 : input_size / rows;
      const int64_t available = rows == 1 && row_size == array.size() ? 1 : array.ndim() > 0 ? array.shape(0) : 1;
      if (array.size() != available * row_size)
        throw py::value_error("input " + std::to_string(i) + ": expected rows of " + std::to_string(row_size) +
                              " elements; received " + std::to_string(array.size()) + " elements in " +
                              std::to_string(available) + " rows");
      sources.push_back({array.data(), source_type(array), available, row_size});
    }
    return sources;
  }

  std::vector<py::array> storages_;
  std::unique_ptr<Program> program_;
};

}  // namespace

void bind_program(py::module_& module) {
  py::class_<BoundProgram>(module, "Program")
      .def(py::init<const py::list&, size_t, const std::vector<py::array>&, const py::list&, const py::list&>(),
           py::arg("instructions"), py::arg("arena_size"), py::arg("storages"), py::arg("inputs"), py::arg("outputs"))
      .def("run", &BoundProgram::run)
      .def("run_batches", &BoundProgram::run_batches, py::arg("sources"), py::arg("order"), py::arg("first"),
           py::arg("count"), py::arg("budget") = py::none())
      .def("profile", &BoundProgram::profile, py::arg("repeats") = 10)
      .def_property_readonly("arena_size", &BoundProgram::arena_size);
  module.def("num_threads", [] { return ThreadPool::global().size(); });
  module.def(
      "set_num_threads", [](int n) { ThreadPool::global().resize(n); }, py::arg("threads"),
      py::call_guard<py::gil_scoped_release>());
}

}  // namespace berrante
