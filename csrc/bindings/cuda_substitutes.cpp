// The emulated module only: a Python function (berrante._cpu.run_kernel) in place of kernels that have no CUDA form,
// for tests of the runtime alone. Emulated device memory is the host's, so that the views can be handed over as arrays.
#ifdef BERRANTE_CUDA_EMULATED
#include <utility>

#include "../cuda/cuda_kernel.h"
#include "../cuda/emulator/machine.h"
#include "arrays.h"

namespace berrante {

namespace {

py::object* function = nullptr;  // never destroyed: the interpreter may be gone before static objects

// The fields of an attribute struct, read back by its schema.
py::dict attributes(int op, const void* attrs) {
  using Kind = FieldSchema::Kind;
  py::dict result;
  const auto* at = static_cast<const std::byte*>(attrs);
  const auto read = [&at](auto& value) {
    __builtin_memcpy(&value, at, sizeof value);
    at += sizeof value;
  };
  for (const FieldSchema& field : op_schemas()[static_cast<size_t>(op)].fields) {
    const py::str name{std::string(field.name)};
    int64_t integer;
    double real;
    Ints integers;
    Reals reals;
    switch (field.kind) {
      case Kind::integer: read(integer), result[name] = integer; break;
      case Kind::real: read(real), result[name] = real; break;
      case Kind::integers:
        read(integers), result[name] = std::vector<int64_t>(integers.data, integers.data + integers.size);
        break;
      case Kind::reals: read(reals), result[name] = std::vector<double>(reals.data, reals.data + reals.size); break;
    }
  }
  return result;
}

py::list arrays(const std::vector<View>& views) {
  const py::capsule owner("the program", [](void*) {});  // an owner makes them views instead of copies
  py::list result;
  for (const View& view : views)
    result.append(py::array(numpy_dtype(view.dtype), std::vector<py::ssize_t>(view.shape, view.shape + view.rank),
                            view.data, owner));
  return result;
}

template <int kOp>
void launch_substitute(const Call& call, const CudaTarget& target) {
  emulator::submit(target.stream, [in = std::vector<View>(call.in, call.in + call.n_in),
                                   out = std::vector<View>(call.out, call.out + call.n_out), attrs = call.attrs] {
    const py::gil_scoped_acquire acquire;
    (*function)(std::string(op_schemas()[kOp].name), arrays(in), arrays(out), attributes(kOp, attrs));
  });
}

template <int... kOps>
const CudaKernel* substitute_of(int op, std::integer_sequence<int, kOps...>) {
  static const CudaKernel kernels[] = {{"substitute", [](const Call&, CudaPlan&) {}, launch_substitute<kOps>}...};
  return &kernels[op];
}

}  // namespace

void bind_substitutes(py::module_& module) {
  module.def(
      "substitute",
      [](const py::object& f) {
        if (f.is_none()) {
          substitute_kernel = nullptr;
          return;
        }
        function = new py::object(f);
        substitute_kernel = [](int op) {
          return substitute_of(op, std::make_integer_sequence<int, static_cast<int>(Op::count)>{});
        };
      },
      py::arg("function"));
}

}  // namespace berrante
#endif
