// A loop: some instructions over slabs of the batch. Python cuts the batch into slabs of equal shape and plans the body
// for one slab; every tensor of the body slides along with the slab, or is the same for all of them (weights), or is
// the body's own, in a region of memory that is used for one slab after the other and so stays in cache.
//
// Workers take whole slabs, each of which has the region of the worker that computes it. What is left over, fewer slabs
// than workers, they share: stage by stage, every slab with a region. A slab's values do not depend on who computes
// them.
#pragma once
#include "instruction.h"

namespace berrante {

// Where a tensor of the body lies for slab i: at base + i * stride, or at `offset` of the region if base is null.
struct Sliding {
  std::byte* base;
  size_t offset;
  int64_t stride;  // bytes
};

struct BodyInstruction {
  Instruction instruction;
  std::vector<Sliding> in, out;
};

class Loop {
 public:
  Loop(int64_t slabs, size_t region_size, std::vector<BodyInstruction> body);

  int64_t slabs() const { return slabs_; }
  const std::vector<BodyInstruction>& body() const { return body_; }
  double cost() const { return cost_; }  // of all slabs
  size_t scratch_size() const { return scratch_size_; }
  size_t region_size() const { return region_size_; }

  void run_slabs(int64_t begin, int64_t end, std::byte* region, std::byte* scratch) const;
  // Tasks of one stage of one instruction on the slabs from `first` on, numbered through all of them; slab first + i
  // has region i.
  void run_shared(size_t instruction, int stage, int64_t first, int64_t begin, int64_t end, std::byte* regions,
                  std::byte* scratch) const;

 private:
  void run(const BodyInstruction& body, int64_t slab, const Range& range, std::byte* region) const;

  int64_t slabs_;
  std::vector<BodyInstruction> body_;
  size_t workspace_at_, region_size_, scratch_size_ = 0;
  double cost_ = 0;
};

}  // namespace berrante
