#include "loop.h"

#include <algorithm>

#include "../core/aligned.h"

namespace berrante {

Loop::Loop(int64_t slabs, size_t region_size, std::vector<BodyInstruction> body)
    : slabs_(slabs), body_(std::move(body)), workspace_at_(round_up(region_size, 64)) {
  size_t workspace = 0;
  for (const BodyInstruction& item : body_) {
    const Plan& plan = item.instruction.plan();
    workspace = std::max(workspace, round_up(plan.workspace, 64));
    scratch_size_ = std::max(scratch_size_, round_up(plan.scratch, 64));
    cost_ += plan.cost * static_cast<double>(slabs_);
  }
  region_size_ = workspace_at_ + workspace;
}

void Loop::run(const BodyInstruction& body, int64_t slab, const Range& range, std::byte* region) const {
  const auto place = [&](const std::vector<View>& views, const std::vector<Sliding>& places, View* out) {
    for (size_t i = 0; i < views.size(); ++i) {
      out[i] = views[i];
      out[i].data = places[i].base == nullptr ? region + places[i].offset : places[i].base + slab * places[i].stride;
    }
  };
  View in[kMaxOperands], out[kMaxOperands];
  place(body.instruction.in(), body.in, in);
  place(body.instruction.out(), body.out, out);
  body.instruction.run_on(in, out, range, region + workspace_at_);
}

void Loop::run_slabs(int64_t begin, int64_t end, std::byte* region, std::byte* scratch) const {
  for (int64_t slab = begin; slab < end; ++slab)
    for (const BodyInstruction& body : body_) {
      const Plan& plan = body.instruction.plan();
      for (int stage = 0; stage < plan.stages; ++stage)
        if (plan.tasks[stage] > 0) run(body, slab, {stage, 0, plan.tasks[stage], scratch}, region);
    }
}

void Loop::run_shared(size_t instruction, int stage, int64_t first, int64_t begin, int64_t end, std::byte* regions,
                      std::byte* scratch) const {
  const BodyInstruction& body = body_[instruction];
  const int64_t tasks = body.instruction.plan().tasks[stage];
  while (begin < end) {
    const int64_t slab = begin / tasks, last = std::min(end, (slab + 1) * tasks);
    run(body, first + slab, {stage, begin - slab * tasks, last - slab * tasks, scratch},
        regions + static_cast<size_t>(slab) * region_size_);
    begin = last;
  }
}

}  // namespace berrante
