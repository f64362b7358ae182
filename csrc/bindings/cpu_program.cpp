// Program and thread pool for Python.
#include <pybind11/pybind11.h>

#include "../program/program.h"
#include "specs.h"

namespace berrante {

namespace {

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
    program_ = std::make_unique<Program>(kernel_table(), step_specs(instructions), arena_size, std::move(spans),
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
    const int64_t rows = common_rows(sources);
    check_batches(first, count, batch, order ? order->size() : rows);
    if (order) check_order(order->data(), first * batch, (first + count) * batch, rows);
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
  template <class RowsOf>
  std::vector<Source> checked_sources(const py::list& arrays, RowsOf rows_of) const {
    return sources_of(arrays, program_->inputs(), rows_of);
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
