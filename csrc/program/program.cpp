#include "program.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace berrante {

namespace {

// Nanoseconds: below the first a stage is not worth a barrier, below the second a program is not worth waking threads.
constexpr double kParallelStage = 4000;
constexpr double kParallelProgram = 30000;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

Program::Program(const KernelTable& table, std::vector<InstructionSpec> instructions, size_t arena_size,
                 std::vector<StorageSpan> storages, std::vector<TensorAt> inputs, std::vector<TensorAt> outputs)
    : arena_size_(arena_size), arena_(allocate_aligned(arena_size)) {
  size_t workspace = 0;
  for (InstructionSpec& spec : instructions) {
    std::vector<View> in, out;
    for (const TensorAt& tensor : spec.in) in.push_back(resolve(tensor, storages));
    for (const TensorAt& tensor : spec.out) out.push_back(resolve(tensor, storages));
    const Kernel& kernel = *table.kernels[static_cast<size_t>(spec.op)];
    instructions_.emplace_back(kernel, spec.op, std::move(in), std::move(out), spec.attrs);
    const Plan& plan = instructions_.back().plan();
    workspace = std::max(workspace, plan.workspace);
    scratch_size_ = std::max(scratch_size_, round_up(plan.scratch, 64));
  }
  workspace_ = allocate_aligned(workspace);
  for (const TensorAt& tensor : inputs) inputs_.push_back(resolve(tensor, storages));
  for (const TensorAt& tensor : outputs) outputs_.push_back(resolve(tensor, storages));
  reserve_scratch(1);
  schedule();
}

View Program::resolve(const TensorAt& tensor, const std::vector<StorageSpan>& storages) const {
  const auto [space, offset] = tensor.location;
  if (space < 0 || space > static_cast<int64_t>(storages.size()))
    throw std::invalid_argument("a tensor names space " + std::to_string(space) + ", which does not exist");
  std::byte* base = space == 0 ? arena_.get() : storages[static_cast<size_t>(space - 1)].data;
  const size_t limit = space == 0 ? arena_size_ : storages[static_cast<size_t>(space - 1)].size;
  check_inside(tensor, limit);
  View view = tensor.view;
  view.data = base + offset;
  return view;
}

void Program::schedule() {
  double parallel_cost = 0;
  for (size_t i = 0; i < instructions_.size(); ++i) {
    const Plan& plan = instructions_[i].plan();
    bool any = false;
    for (int stage = 0; stage < plan.stages; ++stage) any = any || plan.tasks[stage] > 1;
    if (any && plan.cost >= kParallelStage) {
      parallel_cost += plan.cost;
      for (int stage = 0; stage < plan.stages; ++stage) phases_.push_back({i, i + 1, stage, true});
    } else if (!phases_.empty() && !phases_.back().parallel) {
      phases_.back().end = i + 1;
    } else {
      phases_.push_back({i, i + 1, 0, false});
    }
  }
  parallel_ = parallel_cost >= kParallelProgram;
}

void Program::reserve_scratch(int workers) {
  if (workers <= scratch_workers_) return;
  scratch_ = allocate_aligned(scratch_size_ * static_cast<size_t>(workers));
  scratch_workers_ = workers;
}

void Program::run_serially() {
  for (const Instruction& instruction : instructions_)
    for (int stage = 0; stage < instruction.plan().stages; ++stage)
      if (instruction.plan().tasks[stage] > 0)
        instruction.run({stage, 0, instruction.plan().tasks[stage], scratch_of(0)}, workspace_.get());
}

void Program::run_phases(int worker, int workers, Barrier& barrier) {
  for (const Phase& phase : phases_) {
    if (phase.parallel) {
      const Instruction& instruction = instructions_[phase.begin];
      const int64_t tasks = instruction.plan().tasks[phase.stage];
      const int64_t begin = tasks * worker / workers, end = tasks * (worker + 1) / workers;
      if (begin < end) instruction.run({phase.stage, begin, end, scratch_of(worker)}, workspace_.get());
    } else if (worker == 0) {
      for (size_t i = phase.begin; i < phase.end; ++i)
        for (int stage = 0; stage < instructions_[i].plan().stages; ++stage)
          if (instructions_[i].plan().tasks[stage] > 0)
            instructions_[i].run({stage, 0, instructions_[i].plan().tasks[stage], scratch_of(0)}, workspace_.get());
    }
    barrier.wait();
  }
}

void Program::load(const std::vector<Source>& sources, const int64_t* order, int64_t first_row, int64_t begin,
                   int64_t end) {
  if (begin >= end) return;
  for (size_t i = 0; i < sources.size(); ++i) {
    std::byte* target = static_cast<std::byte*>(inputs_[i].data) +
                        static_cast<size_t>(begin * sources[i].row_size) * element_size(inputs_[i].dtype);
    gather_rows(sources[i], order, first_row + begin, first_row + end, target, inputs_[i].dtype);
  }
}

// Batches inside one parallel region, so that the workers stay awake from step to step.
class Program::Region final : public RegionBody {
 public:
  Region(Program& program, const std::vector<Source>& sources, const int64_t* order, int64_t batch_size, int64_t first,
         int64_t count, double deadline)
      : program_(program),
        sources_(sources),
        order_(order),
        batch_size_(batch_size),
        first_(first),
        count_(count),
        deadline_(deadline) {}

  void work(int worker, int workers, Barrier& barrier) noexcept override {
    for (int64_t k = 0; k < count_; ++k) {
      program_.load(sources_, order_, (first_ + k) * batch_size_, batch_size_ * worker / workers,
                    batch_size_ * (worker + 1) / workers);
      barrier.wait();
      program_.run_phases(worker, workers, barrier);
      if (worker == 0) {
        done = k + 1;
        more_ = deadline_ < 0 || now() < deadline_;
      }
      barrier.wait();
      if (!more_) return;
    }
  }

  void work_alone() {
    for (int64_t k = 0; k < count_ && more_; ++k) {
      program_.load(sources_, order_, (first_ + k) * batch_size_, 0, batch_size_);
      program_.run_serially();
      done = k + 1;
      more_ = deadline_ < 0 || now() < deadline_;
    }
  }

  int64_t done = 0;

 private:
  Program& program_;
  const std::vector<Source>& sources_;
  const int64_t* order_;
  int64_t batch_size_, first_, count_;
  double deadline_;
  bool more_ = true;
};

int64_t Program::run_batches(const std::vector<Source>& sources, const int64_t* order, int64_t batch_size,
                             int64_t first, int64_t count, double budget) {
  const std::lock_guard lock(mutex_);
  Region region(*this, sources, order, batch_size, first, count, budget < 0 ? -1.0 : now() + budget);
  if (parallel_ && count > 0) {
    reserve_scratch(ThreadPool::global().size());
    if (ThreadPool::global().try_run(region, scratch_workers_)) return region.done;
  }
  region.work_alone();
  return region.done;
}

void Program::run(const std::vector<Source>& sources, const std::vector<void*>& outputs) {
  const std::lock_guard lock(mutex_);
  load(sources, nullptr, 0, 0, 1);
  static const std::vector<Source> nothing;
  Region region(*this, nothing, nullptr, 0, 0, 1, -1.0);
  bool done = false;
  if (parallel_) {
    reserve_scratch(ThreadPool::global().size());
    done = ThreadPool::global().try_run(region, scratch_workers_);
  }
  if (!done) run_serially();
  for (size_t i = 0; i < outputs.size(); ++i) std::memcpy(outputs[i], outputs_[i].data, byte_size(outputs_[i]));
}

std::vector<std::pair<std::string, double>> Program::profile(int repeats) {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, double>> times;
  for (const Instruction& instruction : instructions_)
    times.emplace_back(instruction.name(), std::numeric_limits<double>::infinity());
  for (int repeat = 0; repeat < repeats; ++repeat)
    for (size_t i = 0; i < instructions_.size(); ++i) {
      const double start = now();
      for (int stage = 0; stage < instructions_[i].plan().stages; ++stage)
        if (instructions_[i].plan().tasks[stage] > 0)
          instructions_[i].run({stage, 0, instructions_[i].plan().tasks[stage], scratch_of(0)}, workspace_.get());
      times[i].second = std::min(times[i].second, now() - start);
    }
  return times;
}

}  // namespace berrante
