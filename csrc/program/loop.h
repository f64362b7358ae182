// A loop: some instructions over slabs of the batch. Python cuts the batch into slabs of equal shape and plans the body
// for one slab; every tensor of the body slides along with the slab, or is the same for all of them (weights), or is
// the body's own, in a region of memory that is used for one slab after the other and so stays in cache.
//
// Each worker takes as many whole slabs as the others do, without a barrier in between; all of them share the work on
// the slabs that are left over, stage by stage. A slab's values do not depend on who computes them.
#pragma once
#include "../core/thread_pool.h"
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

  double cost() const { return cost_; }
  size_t scratch_size() const { return scratch_size_; }
  size_t region_size() const { return region_size_; }

  // One worker's part; `regions` holds region_size() bytes for each worker. Every worker calls it.
  void work(int worker, int workers, Barrier& barrier, std::byte* regions, std::byte* scratch) const;
  void work_alone(std::byte* region, std::byte* scratch) const;

 private:
  void run(const BodyInstruction& body, int64_t slab, const Range& range, std::byte* region) const;
  void run_slab(int64_t slab, std::byte* region, std::byte* scratch) const;
  void share(int64_t first, int worker, int workers, Barrier& barrier, std::byte* regions, std::byte* scratch) const;

  int64_t slabs_;
  std::vector<BodyInstruction> body_;
  size_t workspace_at_, region_size_, scratch_size_ = 0;
  double cost_ = 0;
};

}  // namespace berrante
