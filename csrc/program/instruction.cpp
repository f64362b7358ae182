#include "instruction.h"

#include <stdexcept>

namespace berrante {

namespace {

std::vector<OpSchema> make_schemas() {
  using Kind = FieldSchema::Kind;
  std::vector<OpSchema> schemas;
#define INT(field) FieldSchema{Kind::integer, #field},
#define REAL(field) FieldSchema{Kind::real, #field},
#define INTS(field) FieldSchema{Kind::integers, #field},
#define REALS(field) FieldSchema{Kind::reals, #field},
#define OP(name, ...) schemas.push_back({#name, {__VA_ARGS__}});
#include "../ops.def"
#undef OP
#undef INT
#undef REAL
#undef INTS
#undef REALS
  return schemas;
}

[[noreturn]] void bad_attribute(std::string_view op, std::string_view field, const char* what) {
  throw std::invalid_argument("[" + std::string(op) + "] attribute '" + std::string(field) + "' " + what);
}

}  // namespace

const std::vector<OpSchema>& op_schemas() {
  static const std::vector<OpSchema> schemas = make_schemas();
  return schemas;
}

Op op_by_name(std::string_view name) {
  static const std::map<std::string_view, Op> ops = [] {
    std::map<std::string_view, Op> result;
    for (size_t i = 0; i < op_schemas().size(); ++i) result[op_schemas()[i].name] = static_cast<Op>(i);
    return result;
  }();
  const auto it = ops.find(name);
  if (it == ops.end()) throw std::invalid_argument("there is no kernel named '" + std::string(name) + "'");
  return it->second;
}

AttrBlock::AttrBlock(Op op, const AttrValues& values) {
  using Kind = FieldSchema::Kind;
  const OpSchema& schema = op_schemas()[static_cast<size_t>(op)];
  for (const auto& [name, value] : values) {
    bool known = false;
    for (const FieldSchema& field : schema.fields) known = known || field.name == name;
    if (!known) bad_attribute(schema.name, name, "is not one of the kernel's");
  }
  // Lists are stored first so that their addresses are final when the words are written.
  integers_.reserve(schema.fields.size());
  reals_.reserve(schema.fields.size());
  words_.reserve(2 * schema.fields.size() + 1);
  const auto push = [this](const auto& word) {
    static_assert(sizeof word == sizeof(uint64_t));
    uint64_t bits;
    __builtin_memcpy(&bits, &word, sizeof bits);
    words_.push_back(bits);
  };
  for (const FieldSchema& field : schema.fields) {
    const auto it = values.find(field.name);
    if (it == values.end()) bad_attribute(schema.name, field.name, "is missing");
    const AttrValue& value = it->second;
    if (field.kind == Kind::integer) {
      if (!std::holds_alternative<int64_t>(value)) bad_attribute(schema.name, field.name, "must be an integer");
      push(std::get<int64_t>(value));
    } else if (field.kind == Kind::real) {
      if (std::holds_alternative<int64_t>(value))
        push(static_cast<double>(std::get<int64_t>(value)));
      else if (std::holds_alternative<double>(value))
        push(std::get<double>(value));
      else
        bad_attribute(schema.name, field.name, "must be a number");
    } else if (field.kind == Kind::integers) {
      if (!std::holds_alternative<std::vector<int64_t>>(value))
        bad_attribute(schema.name, field.name, "must be a list of integers");
      const auto& list = integers_.emplace_back(std::get<std::vector<int64_t>>(value));
      push(list.data());
      push(static_cast<int64_t>(list.size()));
    } else {
      std::vector<double>& list = reals_.emplace_back();
      if (std::holds_alternative<std::vector<double>>(value))
        list = std::get<std::vector<double>>(value);
      else if (std::holds_alternative<std::vector<int64_t>>(value))
        for (int64_t x : std::get<std::vector<int64_t>>(value)) list.push_back(static_cast<double>(x));
      else
        bad_attribute(schema.name, field.name, "must be a list of numbers");
      push(list.data());
      push(static_cast<int64_t>(list.size()));
    }
  }
  words_.push_back(0);  // data() is valid for a kernel without attributes too
}

size_t element_size(DType dtype) { return dtype == DType::float32 || dtype == DType::int32 ? 4 : 1; }

size_t byte_size(const View& view) {
  size_t size = element_size(view.dtype);
  if (view.rank < 0 || view.rank > kMaxRank) throw std::invalid_argument("a tensor's rank must be 0 to 8");
  for (int i = 0; i < view.rank; ++i) {
    if (view.shape[i] < 0) throw std::invalid_argument("a tensor's shape must not be negative");
    if (__builtin_mul_overflow(size, static_cast<size_t>(view.shape[i]), &size))
      throw std::invalid_argument("a tensor's size overflows");
  }
  return size;
}

std::string refusal(std::string_view name, const char* error, const std::vector<View>& in,
                    const std::vector<View>& out) {
  std::string message("[");
  message.append(name).append("] ").append(error).append("; received");
  for (const auto* views : {&in, &out}) {
    message += views == &in ? " inputs" : " outputs";
    for (const View& view : *views) {
      message += " (";
      for (int i = 0; i < view.rank; ++i) message.append(i ? ", " : "").append(std::to_string(view.shape[i]));
      message += ")";
    }
  }
  return message;
}

Instruction::Instruction(const Kernel& kernel, Op op, std::vector<View> in, std::vector<View> out,
                         const AttrValues& attrs)
    : kernel_(&kernel),
      attrs_(std::make_unique<AttrBlock>(op, attrs)),
      in_(std::move(in)),
      out_(std::move(out)),
      plan_{nullptr, 1, {1, 1, 1}, 0, 0, 0} {
  for (const auto* views : {&in_, &out_})
    for (const View& view : *views) byte_size(view);
  kernel_->plan(call(in_.data(), out_.data(), nullptr), plan_);
  if (plan_.error != nullptr) throw std::invalid_argument(refusal(name(), plan_.error, in_, out_));
}

Call Instruction::call(const View* in, const View* out, std::byte* workspace) const {
  return {in, out, static_cast<int32_t>(in_.size()), static_cast<int32_t>(out_.size()), attrs_->data(), workspace};
}

void Instruction::run_on(const View* in, const View* out, const Range& range, std::byte* workspace) const {
  kernel_->run(call(in, out, workspace), range);
}

}  // namespace berrante
