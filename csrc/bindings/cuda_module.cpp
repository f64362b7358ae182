// The module berrante._cuda: devices, and single kernel calls on NumPy arrays for tests. It links no driver: on a
// machine without one it imports, and says that there are no devices. The same file makes berrante._cuda_emulated,
// whose one device is the emulator (cuda/emulator/README.md).
#include "../cuda/cuda_kernel.h"
#include "../cuda/self_test.h"
#include "arrays.h"
#include "device_memory.h"
#ifdef BERRANTE_CUDA_EMULATED
#include "../cuda/emulator/machine.h"
#endif

namespace berrante {

namespace {

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

const CudaKernel& kernel_named(const std::string& name) {
  const CudaKernel* kernel = cuda_kernel(static_cast<int>(op_by_name(name)));
  if (kernel == nullptr) throw py::value_error("kernel '" + name + "' has no CUDA form");
  return *kernel;
}

// A call with memory of its own, for tests.
struct OwnedCall {
  std::vector<View> in, out;
  AttrBlock attrs;
  Call call(void* workspace) const {
    return {in.data(),
            out.data(),
            static_cast<int32_t>(in.size()),
            static_cast<int32_t>(out.size()),
            attrs.data(),
            static_cast<std::byte*>(workspace)};
  }
};

CudaPlan planned(const CudaKernel& kernel, const OwnedCall& call, int precision) {
  CudaPlan plan{nullptr, 0, static_cast<Precision>(precision)};
  kernel.plan(call.call(nullptr), plan);
  if (plan.error != nullptr) throw py::value_error(std::string("[") + kernel.name + "] " + plan.error);
  return plan;
}

// Shapes alone; needs no device. Gives the bytes of workspace.
size_t plan_kernel(const std::string& name, const std::vector<py::array>& inputs, const std::vector<py::array>& outputs,
                   const py::dict& attrs, int precision) {
  OwnedCall call{{}, {}, AttrBlock(op_by_name(name), attr_values(attrs))};
  for (const py::array& array : inputs) call.in.push_back(view_of(array));
  for (const py::array& array : outputs) call.out.push_back(view_of(array));
  return planned(kernel_named(name), call, precision).workspace;
}

CudaTarget target_of(int precision) {
  int device = 0, major = 0, minor = 0, multiprocessors = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "cudaDeviceGetAttribute");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "cudaDeviceGetAttribute");
  check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device), "cudaDeviceGetAttribute");
  return {nullptr, static_cast<Precision>(precision), 10 * major + minor, multiprocessors};
}

// Memory past the end of every output and of the workspace, to see that nothing is written there.
constexpr size_t kSentinel = 256;
constexpr unsigned char kSentinelByte = 0xa5;

void check_sentinel(const DeviceMemory& memory, size_t size, const char* what) {
  unsigned char bytes[kSentinel];
  check(cudaMemcpy(bytes, static_cast<std::byte*>(memory.get()) + size, kSentinel, cudaMemcpyDeviceToHost), what);
  for (const unsigned char byte : bytes)
    if (byte != kSentinelByte) throw std::runtime_error(std::string(what) + ": a write beyond the end");
}

// One kernel on arrays: copies the inputs in, poisons the workspace (all bits set, NaN), runs, copies the outputs back,
// and looks for writes beyond the ends.
void run_kernel(const std::string& name, const std::vector<py::array>& inputs, const std::vector<py::array>& outputs,
                const py::dict& attrs, int precision) {
  const CudaKernel& kernel = kernel_named(name);
  OwnedCall call{{}, {}, AttrBlock(op_by_name(name), attr_values(attrs))};
  std::vector<std::unique_ptr<DeviceMemory>> memory;
  const auto place = [&](const py::array& array, std::vector<View>& views) {
    View view = view_of(array);
    const size_t size = byte_size(view);
    memory.push_back(std::make_unique<DeviceMemory>(size + kSentinel));
    auto* data = static_cast<std::byte*>(memory.back()->get());
    check(cudaMemcpy(data, view.data, size, cudaMemcpyHostToDevice), "cudaMemcpy");
    check(cudaMemset(data + size, kSentinelByte, kSentinel), "cudaMemset");
    view.data = data;
    views.push_back(view);
  };
  for (const py::array& array : inputs) place(array, call.in);
  for (const py::array& array : outputs) {
    if (!array.writeable()) throw py::value_error("an output array is not writeable");
    place(array, call.out);
  }
  const CudaPlan plan = planned(kernel, call, precision);
  const DeviceMemory workspace(plan.workspace + kSentinel);
  check(cudaMemset(workspace.get(), 0xff, plan.workspace), "cudaMemset");
  check(cudaMemset(static_cast<std::byte*>(workspace.get()) + plan.workspace, kSentinelByte, kSentinel), "cudaMemset");
  {
    py::gil_scoped_release release;
    kernel.launch(call.call(workspace.get()), target_of(precision));
    check(cudaGetLastError(), kernel.name);
    check(cudaDeviceSynchronize(), kernel.name);
  }
  for (size_t i = 0; i < memory.size(); ++i)
    check_sentinel(*memory[i], byte_size(i < call.in.size() ? call.in[i] : call.out[i - call.in.size()]), kernel.name);
  check_sentinel(workspace, plan.workspace, kernel.name);
  for (size_t i = 0; i < outputs.size(); ++i)
    check(cudaMemcpy(const_cast<void*>(outputs[i].data()), call.out[i].data, byte_size(call.out[i]),
                     cudaMemcpyDeviceToHost),
          "cudaMemcpy");
}

using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

py::array run_self_test(const std::string& name, const Floats& a, const Floats& b, size_t size) {
  const auto bytes = [](const Floats& x) { return static_cast<size_t>(x.nbytes()); };
  const DeviceMemory da(bytes(a)), db(bytes(b)), out(4 * size);
  check(cudaMemcpy(da.get(), a.data(), bytes(a), cudaMemcpyHostToDevice), "cudaMemcpy");
  check(cudaMemcpy(db.get(), b.data(), bytes(b), cudaMemcpyHostToDevice), "cudaMemcpy");
  const auto floats = [](const DeviceMemory& memory) { return static_cast<float*>(memory.get()); };
  if (!self_test(name, floats(da), floats(db), floats(out), nullptr))
    throw py::value_error("there is no test named '" + name + "'");
  check(cudaGetLastError(), name.c_str());
  check(cudaDeviceSynchronize(), name.c_str());
  Floats result(static_cast<py::ssize_t>(size));
  check(cudaMemcpy(result.mutable_data(), out.get(), 4 * size, cudaMemcpyDeviceToHost), "cudaMemcpy");
  return result;
}

std::vector<std::string> kernels() {
  std::vector<std::string> names;
  for (size_t i = 0; i < op_schemas().size(); ++i)
    if (const CudaKernel* kernel = cuda_kernel(static_cast<int>(i)); kernel && kernel->name == op_schemas()[i].name)
      names.emplace_back(op_schemas()[i].name);
  return names;
}

#ifdef BERRANTE_CUDA_EMULATED
void set_emulator(const std::string& order, bool poison, int compute, int devices) {
  using emulator::Order;
  if (order != "forward" && order != "reverse" && order != "shuffled")
    throw py::value_error("order: expected forward, reverse or shuffled; received '" + order + "'");
  emulator::settings() = {order == "forward"   ? Order::forward
                          : order == "reverse" ? Order::reverse
                                               : Order::shuffled,
                          poison, compute, devices};
}

// (grid, block, bytes of dynamic shared memory) of every launch since the last call.
py::list take_launches() {
  py::list result;
  for (const emulator::Geometry& g : emulator::take_launches())
    result.append(py::make_tuple(py::make_tuple(g.grid.x, g.grid.y, g.grid.z),
                                 py::make_tuple(g.block.x, g.block.y, g.block.z), g.shared_bytes));
  return result;
}
#endif

}  // namespace

void bind_cuda_program(py::module_& module);
#ifdef BERRANTE_CUDA_EMULATED
void bind_substitutes(py::module_& module);
#endif

}  // namespace berrante

PYBIND11_MODULE(BERRANTE_CUDA_MODULE, module) {
  using namespace berrante;
  module.doc() = "berrante's CUDA kernels";
  bind_cuda_program(module);
  module.def("devices", &devices, "One line for each device; empty without a driver");
  module.def("kernels", &kernels);
  module.def("plan_kernel", &plan_kernel, py::arg("name"), py::arg("inputs"), py::arg("outputs"), py::arg("attrs"),
             py::arg("precision") = 0);
  module.def("run_kernel", &run_kernel, py::arg("name"), py::arg("inputs"), py::arg("outputs"), py::arg("attrs"),
             py::arg("precision") = 0);
  module.def("self_test", &run_self_test, py::arg("name"), py::arg("a"), py::arg("b"), py::arg("size"));
#ifdef BERRANTE_CUDA_EMULATED
  module.def("set_emulator", &set_emulator, py::arg("order") = "forward", py::arg("poison") = true,
             py::arg("compute") = 80, py::arg("devices") = 1);
  bind_substitutes(module);
  module.def("take_launches", &take_launches);
#endif
}
