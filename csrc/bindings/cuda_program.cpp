// Programs on a CUDA device, device memory and copies, for Python. Device memory and streams are plain addresses here:
// Python keeps alive what owns them (CuPy's pool, or Memory).
#include "../cuda/runtime/cuda_program.h"

#include "device_memory.h"
#include "specs.h"

namespace berrante {

namespace {

void* address(uintptr_t value) { return reinterpret_cast<void*>(value); }
cudaStream_t stream_at(uintptr_t value) { return reinterpret_cast<cudaStream_t>(value); }

// (address, dtype string as in __array_interface__, shape) of an array in device memory.
struct DeviceArray {
  const void* data;
  SourceType type;
  int64_t size, first_extent;
};

DeviceArray device_array(const py::handle& item) {
  const auto [data, type, shape] = item.cast<std::tuple<uintptr_t, std::string, std::vector<int64_t>>>();
  int64_t size = 1;
  for (const int64_t extent : shape) size *= extent;
  const py::array example(py::dtype(type), std::vector<py::ssize_t>{});
  return {address(data), source_type(example), size, shape.empty() ? 1 : shape[0]};
}

class BoundCudaProgram {
 public:
  BoundCudaProgram(const py::list& instructions, size_t arena_size, const std::vector<size_t>& storage_sizes,
                   const py::list& inputs, const py::list& outputs, int precision)
      : program_(instruction_specs(instructions), arena_size, storage_sizes, tensors_at(inputs), tensors_at(outputs),
                 static_cast<Precision>(precision)) {}

  void place(int device, uintptr_t slab, const std::vector<uintptr_t>& storages) {
    std::vector<std::byte*> places;
    for (const uintptr_t storage : storages) places.push_back(static_cast<std::byte*>(address(storage)));
    program_.place(device, static_cast<std::byte*>(address(slab)), places);
  }

  // Arrays are NumPy's, or tuples that name device memory. With targets (addresses) the outputs stay on the device.
  py::list run(const py::list& arrays, uintptr_t stream, const std::optional<std::vector<uintptr_t>>& targets) {
    check_count(arrays.size(), program_.inputs().size());
    std::vector<InputAt> inputs;
    for (size_t i = 0; i < arrays.size(); ++i) {
      const View& view = program_.inputs()[i].view;
      if (py::isinstance<py::tuple>(arrays[i])) {
        const DeviceArray array = device_array(arrays[i]);
        inputs.push_back({checked_source(i, view, 1, array.data, array.type, array.size, 1), true});
      } else {
        inputs.push_back({host_source(i, view, 1, arrays[i].cast<py::array>()), false});
      }
    }
    py::list results;
    std::vector<void*> places;
    if (targets) check_count(targets->size(), program_.outputs().size());
    for (size_t i = 0; i < program_.outputs().size(); ++i) {
      const View& view = program_.outputs()[i].view;
      if (targets) {
        places.push_back(address((*targets)[i]));
        continue;
      }
      py::array result(numpy_dtype(view.dtype), std::vector<py::ssize_t>(view.shape, view.shape + view.rank));
      places.push_back(result.mutable_data());
      results.append(std::move(result));
    }
    const py::gil_scoped_release release;
    program_.run(inputs, places, targets.has_value(), stream_at(stream));
    return results;
  }

  int64_t batch() const {
    if (program_.inputs().empty() || program_.inputs()[0].view.rank == 0)
      throw py::value_error("this program has no batch");
    return program_.inputs()[0].view.shape[0];
  }

  int64_t run_staged(const py::list& arrays, const std::optional<py::array_t<int64_t, py::array::c_style>>& order,
                     int64_t first, int64_t count, const std::optional<double>& budget, uintptr_t stream) {
    std::vector<View> views;
    for (const TensorAt& input : program_.inputs()) views.push_back(input.view);
    const std::vector<Source> sources = sources_of(arrays, views, [](const View& view) { return view.shape[0]; });
    const int64_t rows = common_rows(sources), size = batch();
    check_batches(first, count, size, order ? order->size() : rows);
    if (order) check_order(order->data(), first * size, (first + count) * size, rows);
    const int64_t* rows_in_order = order ? order->data() : nullptr;
    const py::gil_scoped_release release;
    return program_.run_staged(sources, rows_in_order, size, first, count, budget.value_or(-1.0), stream_at(stream));
  }

  // `order` is checked by the caller when it goes to the device; 0 means rows as they lie.
  int64_t run_resident(const py::list& arrays, uintptr_t order, int64_t ordered, int64_t first, int64_t count,
                       const std::optional<double>& budget, uintptr_t stream) {
    check_count(arrays.size(), program_.inputs().size());
    std::vector<Source> sources;
    for (size_t i = 0; i < arrays.size(); ++i) {
      const View& view = program_.inputs()[i].view;
      const DeviceArray array = device_array(arrays[i]);
      sources.push_back(checked_source(i, view, view.shape[0], array.data, array.type, array.size, array.first_extent));
    }
    check_batches(first, count, batch(), order != 0 ? ordered : common_rows(sources));
    const py::gil_scoped_release release;
    return program_.run_resident(sources, static_cast<const int64_t*>(address(order)), batch(), first, count,
                                 budget.value_or(-1.0), stream_at(stream));
  }

  std::vector<std::pair<std::string, double>> profile(int repeats, uintptr_t stream) {
    const py::gil_scoped_release release;
    return program_.profile(repeats, stream_at(stream));
  }

  CudaProgram program_;
};

void copy_in(uintptr_t to, const py::array& array, int device, uintptr_t stream) {
  if (!(array.flags() & py::array::c_style)) throw py::value_error("expected a C-contiguous array");
  const void* data = array.data();
  const auto size = static_cast<size_t>(array.nbytes());
  const py::gil_scoped_release release;
  const OnDevice scope(device);
  check(cudaMemcpyAsync(address(to), data, size, cudaMemcpyHostToDevice, stream_at(stream)), "a copy to the device");
  check(cudaStreamSynchronize(stream_at(stream)), "a copy to the device");
}

// Waits for all work of the device first: whoever asks for the value may be on another stream than its writer.
void copy_out(py::array& array, uintptr_t from, int device) {
  if (!(array.flags() & py::array::c_style)) throw py::value_error("expected a C-contiguous array");
  void* data = array.mutable_data();
  const auto size = static_cast<size_t>(array.nbytes());
  const py::gil_scoped_release release;
  const OnDevice scope(device);
  check(cudaDeviceSynchronize(), "the device");
  check(cudaMemcpy(data, address(from), size, cudaMemcpyDeviceToHost), "a copy from the device");
}

void copy_within(uintptr_t to, uintptr_t from, size_t size, int device, uintptr_t stream) {
  const OnDevice scope(device);
  check(cudaMemcpyAsync(address(to), address(from), size, cudaMemcpyDeviceToDevice, stream_at(stream)), "a copy");
}

// Work on `stream` waits for what `other` has been given so far.
void wait_for(uintptr_t stream, uintptr_t other, int device) {
  const OnDevice scope(device);
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  const cudaError_t recorded = cudaEventRecord(event, stream_at(other));
  const cudaError_t waits = cudaStreamWaitEvent(stream_at(stream), event, 0);
  cudaEventDestroy(event);
  check(recorded, "cudaEventRecord");
  check(waits, "cudaStreamWaitEvent");
}

}  // namespace

void bind_cuda_program(py::module_& module) {
  py::register_exception<CudaError>(module, "CudaError", PyExc_RuntimeError);
  py::register_exception<CudaOutOfMemory>(module, "CudaOutOfMemory", PyExc_MemoryError);
  py::class_<DeviceMemory>(module, "Memory")
      .def(py::init([](size_t size, int device) {
             const OnDevice scope(device);
             return std::make_unique<DeviceMemory>(size);
           }),
           py::arg("size"), py::arg("device") = 0)
      .def_property_readonly("ptr", [](const DeviceMemory& m) { return reinterpret_cast<uintptr_t>(m.get()); })
      .def_property_readonly("size", &DeviceMemory::size);
  py::class_<BoundCudaProgram>(module, "Program")
      .def(py::init<const py::list&, size_t, const std::vector<size_t>&, const py::list&, const py::list&, int>(),
           py::arg("instructions"), py::arg("arena_size"), py::arg("storage_sizes"), py::arg("inputs"),
           py::arg("outputs"), py::arg("precision") = 0)
      .def_property_readonly("arena_size", [](const BoundCudaProgram& p) { return p.program_.arena_size(); })
      .def_property_readonly("slab_size", [](const BoundCudaProgram& p) { return p.program_.slab_size(); })
      .def_property_readonly("graphs", [](const BoundCudaProgram& p) { return p.program_.graphs(); })
      .def("set_captured", [](BoundCudaProgram& p, bool captured) { p.program_.set_captured(captured); })
      .def("place", &BoundCudaProgram::place, py::arg("device"), py::arg("slab"), py::arg("storages"))
      .def("run", &BoundCudaProgram::run, py::arg("arrays"), py::arg("stream") = 0, py::arg("targets") = py::none())
      .def("run_staged", &BoundCudaProgram::run_staged, py::arg("arrays"), py::arg("order"), py::arg("first"),
           py::arg("count"), py::arg("budget") = py::none(), py::arg("stream") = 0)
      .def("run_resident", &BoundCudaProgram::run_resident, py::arg("arrays"), py::arg("order"), py::arg("ordered"),
           py::arg("first"), py::arg("count"), py::arg("budget") = py::none(), py::arg("stream") = 0)
      .def("profile", &BoundCudaProgram::profile, py::arg("repeats") = 10, py::arg("stream") = 0);
  module.def("copy_in", &copy_in, py::arg("to"), py::arg("array"), py::arg("device") = 0, py::arg("stream") = 0);
  module.def("copy_out", &copy_out, py::arg("array"), py::arg("at"), py::arg("device") = 0);
  module.def("copy_within", &copy_within, py::arg("to"), py::arg("at"), py::arg("size"), py::arg("device") = 0,
             py::arg("stream") = 0);
  module.def("wait_for", &wait_for, py::arg("stream"), py::arg("other"), py::arg("device") = 0);
  module.def(
      "synchronize",
      [](int device) {
        const py::gil_scoped_release release;
        const OnDevice scope(device);
        check(cudaDeviceSynchronize(), "the device");
      },
      py::arg("device") = 0);
  module.def(
      "free_memory",
      [](int device) {
        const OnDevice scope(device);
        size_t free = 0, total = 0;
        check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
        return free;
      },
      py::arg("device") = 0);
}

}  // namespace berrante
