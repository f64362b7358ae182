// The module berrante._cuda: devices, and single kernel calls on NumPy arrays for tests. It links no driver: on a
// machine without one it imports, and says that there are no devices.
#include "arrays.h"

#include "../cuda/cuda_kernel.h"

namespace berrante {

namespace {

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

const CudaKernel* const kKernels[] = {&map_cuda_kernel};

std::vector<std::string> devices() {
  std::vector<std::string> names;
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();  // no driver or no device is no error here
    return names;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, i), "cudaGetDeviceProperties");
    names.push_back(std::string(properties.name) + " (compute " + std::to_string(properties.major) + "." +
                    std::to_string(properties.minor) + ", " + std::to_string(properties.totalGlobalMem >> 30) +
                    " GiB)");
  }
  return names;
}

class DeviceMemory {
 public:
  explicit DeviceMemory(size_t size) { check(cudaMalloc(&data_, size == 0 ? 1 : size), "cudaMalloc"); }
  ~DeviceMemory() { cudaFree(data_); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  void* get() const { return data_; }

 private:
  void* data_ = nullptr;
};

void run_kernel(const std::string& name, const std::vector<py::array>& inputs, const std::vector<py::array>& outputs,
                const py::dict& attrs) {
  const CudaKernel* kernel = nullptr;
  for (const CudaKernel* candidate : kKernels)
    if (name == candidate->name) kernel = candidate;
  if (kernel == nullptr) throw py::value_error("kernel '" + name + "' has no CUDA form");
  std::vector<std::unique_ptr<DeviceMemory>> memory;
  std::vector<View> in, out;
  const auto place = [&](const py::array& array, std::vector<View>& views) {
    View view = view_of(array);
    const size_t size = byte_size(view);
    memory.push_back(std::make_unique<DeviceMemory>(size));
    check(cudaMemcpy(memory.back()->get(), view.data, size, cudaMemcpyHostToDevice), "cudaMemcpy");
    view.data = memory.back()->get();
    views.push_back(view);
  };
  for (const py::array& array : inputs) place(array, in);
  for (const py::array& array : outputs) {
    if (!array.writeable()) throw py::value_error("an output array is not writeable");
    place(array, out);
  }
  const AttrBlock block(op_by_name(name), attr_values(attrs));
  const Call call{in.data(),    out.data(), static_cast<int32_t>(in.size()), static_cast<int32_t>(out.size()),
                  block.data(), nullptr};
  const char* error = kernel->launch(call, nullptr);
  if (error != nullptr) throw py::value_error("[" + name + "] " + error);
  check(cudaGetLastError(), kernel->name);
  check(cudaDeviceSynchronize(), kernel->name);
  for (size_t i = 0; i < outputs.size(); ++i)
    check(cudaMemcpy(const_cast<void*>(outputs[i].data()), out[i].data, byte_size(out[i]), cudaMemcpyDeviceToHost),
          "cudaMemcpy");
}

}  // namespace

}  // namespace berrante

PYBIND11_MODULE(_cuda, module) {
  using namespace berrante;
  module.doc() = "berrante's CUDA kernels";
  module.def("devices", &devices, "One line for each device; empty without a driver");
  module.def("kernels", [] {
    std::vector<std::string> names;
    for (const CudaKernel* kernel : kKernels) names.emplace_back(kernel->name);
    return names;
  });
  module.def("run_kernel", &run_kernel, py::arg("name"), py::arg("inputs"), py::arg("outputs"), py::arg("attrs"));
}
