// One kernel call, owned: its views, its attributes and its plan.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "../core/kernel.h"
#include "../cpu/kernel_table.h"

namespace berrante {

using AttrValue = std::variant<int64_t, double, std::vector<int64_t>, std::vector<double>>;
using AttrValues = std::map<std::string, AttrValue, std::less<>>;

// The kernels' names and attribute fields, from ops.def, in its order.
struct FieldSchema {
  enum class Kind { integer, real, integers, reals } kind;
  std::string_view name;
};
struct OpSchema {
  std::string_view name;
  std::vector<FieldSchema> fields;
};
const std::vector<OpSchema>& op_schemas();
Op op_by_name(std::string_view name);  // throws std::invalid_argument

// The bytes of one `<op>_attrs` struct and the lists that it points to.
class AttrBlock {
 public:
  // Throws std::invalid_argument for a missing, unknown or mistyped attribute.
  AttrBlock(Op op, const AttrValues& values);
  const void* data() const { return words_.data(); }

 private:
  std::vector<uint64_t> words_;
  std::vector<std::vector<int64_t>> integers_;
  std::vector<std::vector<double>> reals_;
};

size_t element_size(DType dtype);
size_t byte_size(const View& view);  // throws std::invalid_argument for a negative or overflowing shape

// What is said where a kernel refuses a call.
std::string refusal(std::string_view name, const char* error, const std::vector<View>& in,
                    const std::vector<View>& out);

constexpr size_t kMaxOperands = 64;  // inputs, and outputs, of an instruction in a loop

class Instruction {
 public:
  // Plans the call; the data pointers of the views may still be null. Throws std::invalid_argument with the kernel's
  // own words if it refuses the shapes.
  Instruction(const Kernel& kernel, Op op, std::vector<View> in, std::vector<View> out, const AttrValues& attrs);

  std::string_view name() const { return kernel_->name; }
  const Plan& plan() const { return plan_; }
  const std::vector<View>& in() const { return in_; }
  const std::vector<View>& out() const { return out_; }
  void run(const Range& range, std::byte* workspace) const { run_on(in_.data(), out_.data(), range, workspace); }
  // The same on other memory of the same shapes.
  void run_on(const View* in, const View* out, const Range& range, std::byte* workspace) const;

 private:
  Call call(const View* in, const View* out, std::byte* workspace) const;

  const Kernel* kernel_;
  std::unique_ptr<AttrBlock> attrs_;
  std::vector<View> in_, out_;
  Plan plan_;
};

}  // namespace berrante
