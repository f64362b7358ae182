// A program: a flat list of kernel calls with fixed addresses, and the executor that runs it. It knows nothing of
// layers or gradients. Python plans it (graph/passes) and hands over where every tensor lives.
//
// Space 0 is the program's own arena; space k is the caller's storage k - 1 (parameters, optimizer slots, constants).
// The executor makes phases of it (core/thread_pool.h): loading a batch, the tasks of a stage, the slabs of a loop
// (loop.h). Small instructions are done by whoever ends the phase before, and a small program never wakes the other
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
  struct Phase {
    enum class Kind { load, alone, stage, slabs, shared } kind;
    size_t step;  // alone: the first of them
    size_t last;  // alone: one past their last; shared: the instruction in the loop
    int stage;    // stage, shared
    int64_t tasks;
    int64_t pieces;  // of all tasks, as evenly as can be; 1: whoever ended the phase before does it at once
  };
  class Region;

  View resolve(const TensorAt& tensor, const std::vector<StorageSpan>& storages) const;
  Sliding resolve_sliding(const TensorAt& tensor, int64_t slabs, size_t region_size,
                          const std::vector<StorageSpan>& storages) const;
  std::unique_ptr<Loop> make_loop(const KernelTable& table, const StepSpec& spec,
                                  const std::vector<StorageSpan>& storages) const;
  double shared_cost(const Step& step) const;
  double shared_cost() const;
  Phase shared(Phase::Kind kind, size_t step, size_t last, int stage, int64_t tasks, double cost) const;
  void schedule(int workers, int64_t rows);
  void schedule(const Loop& loop, size_t step);
  void run_step(const Step& step, int worker);
  void load(const std::vector<Source>& sources, const int64_t* order, int64_t first_row, int64_t rows_begin,
            int64_t rows_end);
  void run_serially();
  bool run_in_pool(Region& region, int64_t rows);
  std::byte* scratch_of(int worker) { return scratch_.get() + static_cast<size_t>(worker) * scratch_size_; }
  std::byte* region_of(int worker) { return regions_.get() + static_cast<size_t>(worker) * region_size_; }
  void reserve(int workers);

  size_t arena_size_;
  AlignedBytes arena_, workspace_, scratch_, regions_;
  size_t scratch_size_ = 0, region_size_ = 0;  // a worker's
  int reserved_workers_ = 0, scheduled_workers_ = 0;
  int64_t scheduled_rows_ = 0;  // of a batch that is loaded
  std::vector<Step> steps_;
  std::vector<View> inputs_, outputs_;
  std::vector<Phase> phases_;  // of a step, for scheduled_workers_
  bool parallel_ = false;
  ForkSafeMutex mutex_;
};

}  // namespace berrante
