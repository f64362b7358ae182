// A program: a flat list of kernel calls with fixed addresses, and the executor that runs it. It knows nothing of
// layers or gradients. Python plans it (graph/passes) and hands over where every tensor lives.
//
// Space 0 is the program's own arena; space k is the caller's storage k - 1 (parameters, optimizer slots, constants).
// The executor divides each stage's tasks statically over the workers, with a barrier after each stage; runs of small
// instructions are worker 0's alone, loops (loop.h) divide their slabs, and a small program never wakes the other
// threads. Results do not depend on that.
#pragma once
#include <chrono>
#include <memory>
#include <vector>

#include "../core/aligned.h"
#include "../core/thread_pool.h"
#include "gather.h"
#include "instruction.h"
#include "loop.h"
#include "spec.h"

namespace berrante {

class Program {
 public:
  // Throws std::invalid_argument if a tensor leaves its space or a kernel refuses its shapes.
  Program(const KernelTable& table, const std::vector<StepSpec>& steps, size_t arena_size,
          std::vector<StorageSpan> storages, std::vector<TensorAt> inputs, std::vector<TensorAt> outputs);

  const std::vector<View>& inputs() const { return inputs_; }
  const std::vector<View>& outputs() const { return outputs_; }
  size_t arena_size() const { return arena_size_; }

  // Copies the sources (one row each) in, runs, and copies the outputs to the given places. Serialised.
  void run(const std::vector<Source>& sources, const std::vector<void*>& outputs);

  // Runs batches first .. first + count - 1 of rows; batch k takes rows order[k * size ..) of every source. Stops early
  // when the budget (seconds; negative: none) is used up. Returns the number of batches run.
  int64_t run_batches(const std::vector<Source>& sources, const int64_t* order, int64_t batch_size, int64_t first,
                      int64_t count, double budget);

  // Seconds per step, the fastest of some runs, on this thread alone, with the inputs as they are.
  std::vector<std::pair<std::string, double>> profile(int repeats);

 private:
  struct Step {  // one of the two
    std::unique_ptr<Instruction> instruction;
    std::unique_ptr<Loop> loop;
  };
  struct Phase {  // one stage or a loop on all workers, or a run of whole steps on worker 0
    size_t begin, end;
    int stage;
    bool parallel;
  };
  class Region;

  View resolve(const TensorAt& tensor, const std::vector<StorageSpan>& storages) const;
  Sliding resolve_sliding(const TensorAt& tensor, int64_t slabs, size_t region_size,
                          const std::vector<StorageSpan>& storages) const;
  std::unique_ptr<Loop> make_loop(const KernelTable& table, const StepSpec& spec,
                                  const std::vector<StorageSpan>& storages) const;
  void schedule();
  void run_step(const Step& step);
  void load(const std::vector<Source>& sources, const int64_t* order, int64_t first_row, int64_t rows_begin,
            int64_t rows_end);
  void run_serially();
  void run_phases(int worker, int workers, Barrier& barrier);
  std::byte* scratch_of(int worker) { return scratch_.get() + static_cast<size_t>(worker) * scratch_size_; }
  void reserve(int workers);

  size_t arena_size_;
  AlignedBytes arena_, workspace_, scratch_, regions_;
  size_t scratch_size_ = 0, region_size_ = 0;  // a worker's
  int reserved_workers_ = 0;
  std::vector<Step> steps_;
  std::vector<View> inputs_, outputs_;
  std::vector<Phase> phases_;
  bool parallel_ = false;
  ForkSafeMutex mutex_;
};

}  // namespace berrante
