// The module berrante._cpu: the kernels' schema and single kernel calls.
#include "arrays.h"

#include "../core/aligned.h"
#include "../cpu/kernel_table.h"
#include "specs.h"

namespace berrante {

namespace {

py::dict schema() {
  static const char* const kinds[] = {"int", "float", "ints", "floats"};
  py::dict result;
  for (const OpSchema& op : op_schemas()) {
    py::list fields;
    for (const FieldSchema& field : op.fields)
      fields.append(py::make_tuple(std::string(field.name), kinds[static_cast<int>(field.kind)]));
    result[py::str(std::string(op.name))] = fields;
  }
  return result;
}

// name -> (opcode, arity, result type, operand type)
py::dict micro_ops() {
  py::dict result;
  int code = 0;
#define MICRO(name, arity, to, from) result[#name] = py::make_tuple(code++, arity, #to, #from);
#include "../core/micro.def"
#undef MICRO
  return result;
}

const KernelTable& table_named(const std::string& isa) {
  if (isa.empty()) return kernel_table();
  const KernelTable* table = find_kernel_table(isa);
  if (table == nullptr) throw py::value_error("instruction set '" + isa + "' was not built");
  if (!machine_runs(isa)) throw py::value_error("this machine does not run instruction set '" + isa + "'");
  return *table;
}

// One kernel on arrays, for tests of kernels: `outputs` are written in place, the tasks are dealt to `workers` workers
// one after the other, and `isa` names an instruction set other than the machine's own.
void run_kernel(const std::string& name, const std::vector<py::array>& inputs, const std::vector<py::array>& outputs,
                const py::dict& attrs, const std::string& isa, int workers) {
  const Op op = op_by_name(name);
  const Kernel* kernel = table_named(isa).kernels[static_cast<int>(op)];
  std::vector<View> in, out;
  for (const py::array& array : inputs) in.push_back(view_of(array));
  for (const py::array& array : outputs) {
    if (!array.writeable()) throw py::value_error("an output array is not writeable");
    out.push_back(view_of(array));
  }
  const Instruction instruction(*kernel, op, std::move(in), std::move(out), attr_values(attrs));
  const Plan& plan = instruction.plan();
  const AlignedBytes workspace = allocate_aligned(plan.workspace), scratch = allocate_aligned(plan.scratch);
  py::gil_scoped_release release;
  for (int stage = 0; stage < plan.stages; ++stage)
    for (int64_t w = 0; w < workers; ++w) {
      const int64_t begin = plan.tasks[stage] * w / workers, end = plan.tasks[stage] * (w + 1) / workers;
      if (begin < end) instruction.run({stage, begin, end, scratch.get()}, workspace.get());
    }
}

// How a kernel would divide its work: rough nanoseconds on one core, and the tasks of each stage. Tensors are as a
// program's instructions have them, (space, offset, dtype, shape).
py::tuple divide_kernel(const std::string& name, const py::list& inputs, const py::list& outputs,
                        const py::dict& attrs) {
  const Op op = op_by_name(name);
  std::vector<View> in, out;
  for (const TensorAt& tensor : tensors_at(inputs)) in.push_back(tensor.view);
  for (const TensorAt& tensor : tensors_at(outputs)) out.push_back(tensor.view);
  const Kernel& kernel = *kernel_table().kernels[static_cast<int>(op)];
  const Instruction instruction(kernel, op, std::move(in), std::move(out), attr_values(attrs));
  const Plan& plan = instruction.plan();
  return py::make_tuple(plan.cost, std::vector<int64_t>(plan.tasks, plan.tasks + plan.stages));
}

}  // namespace

void bind_program(py::module_& module);

}  // namespace berrante

PYBIND11_MODULE(_cpu, module) {
  using namespace berrante;
  module.doc() = "berrante's CPU kernels and executor";
  module.def("schema", &schema);
  module.def("micro_ops", &micro_ops);
  module.def("isa", [] { return std::string(kernel_table().isa); });
  module.def("lanes", [](const std::string& isa) { return table_named(isa).lanes; }, py::arg("isa") = "");
  module.def("isas", [] {
    std::vector<std::string> names;
    for (const char* isa : {"baseline", "neon", "avx2", "wide", "avx512"})
      if (find_kernel_table(isa) != nullptr && machine_runs(isa)) names.emplace_back(isa);
    return names;
  });
  module.def(
      "fma_loop",
      [](int64_t rounds, const std::string& isa) {
        double flops = 0;
        table_named(isa).fma_loop(rounds, &flops);
        return flops;
      },
      py::arg("rounds"), py::arg("isa") = "", py::call_guard<py::gil_scoped_release>());
  module.def("divide_kernel", &divide_kernel, py::arg("name"), py::arg("inputs"), py::arg("outputs"), py::arg("attrs"));
  bind_program(module);
  module.def("run_kernel", &run_kernel, py::arg("name"), py::arg("inputs"), py::arg("outputs"), py::arg("attrs"),
             py::arg("isa") = "", py::arg("workers") = 1);
}
