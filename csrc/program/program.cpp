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

Program::Program(const KernelTable& table, const std::vector<StepSpec>& steps, size_t arena_size,
                 std::vector<StorageSpan> storages, std::vector<TensorAt> inputs, std::vector<TensorAt> outputs)
    : arena_size_(arena_size), arena_(allocate_aligned(arena_size)) {
  size_t workspace = 0;
  for (const StepSpec& spec : steps) {
    if (spec.slabs > 0) {
      steps_.push_back({nullptr, make_loop(table, spec, storages)});
      scratch_size_ = std::max(scratch_size_, steps_.back().loop->scratch_size());
      region_size_ = std::max(region_size_, steps_.back().loop->region_size());
      continue;
    }
    const InstructionSpec& only = spec.body.at(0);
    std::vector<View> in, out;
    for (const TensorAt& tensor : only.in) in.push_back(resolve(tensor, storages));
    for (const TensorAt& tensor : only.out) out.push_back(resolve(tensor, storages));
    const Kernel& kernel = *table.kernels[static_cast<size_t>(only.op)];
    steps_.push_back(
        {std::make_unique<Instruction>(kernel, only.op, std::move(in), std::move(out), only.attrs), nullptr});
    const Plan& plan = steps_.back().instruction->plan();
    workspace = std::max(workspace, plan.workspace);
    scratch_size_ = std::max(scratch_size_, round_up(plan.scratch, 64));
  }
  workspace_ = allocate_aligned(workspace);
  for (const TensorAt& tensor : inputs) inputs_.push_back(resolve(tensor, storages));
  for (const TensorAt& tensor : outputs) outputs_.push_back(resolve(tensor, storages));
  reserve(1);
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

// The slabs of a tensor must all lie inside its space: the first and the last are resolved.
Sliding Program::resolve_sliding(const TensorAt& tensor, int64_t slabs, size_t region_size,
                                 const std::vector<StorageSpan>& storages) const {
  const size_t size = byte_size(tensor.view);
  if (tensor.location.space == kRegionSpace) {
    const auto offset = static_cast<size_t>(tensor.location.offset);
    if (tensor.location.offset < 0 || offset > region_size || size > region_size - offset)
      throw std::invalid_argument("a tensor leaves its loop's region");
    return {nullptr, offset, 0};
  }
  int64_t distance = 0, last = 0;
  if (tensor.stride < 0 || __builtin_mul_overflow(tensor.stride, slabs - 1, &distance) ||
      __builtin_add_overflow(tensor.location.offset, distance, &last))
    throw std::invalid_argument("a tensor's stride is negative or too large");
  TensorAt end = tensor;
  end.location.offset = last;
  resolve(end, storages);
  return {static_cast<std::byte*>(resolve(tensor, storages).data), 0, tensor.stride};
}

std::unique_ptr<Loop> Program::make_loop(const KernelTable& table, const StepSpec& spec,
                                         const std::vector<StorageSpan>& storages) const {
  std::vector<BodyInstruction> body;
  for (const InstructionSpec& item : spec.body) {
    if (std::max(item.in.size(), item.out.size()) > kMaxOperands)
      throw std::invalid_argument("an instruction of a loop has too many operands");
    std::vector<View> in, out;
    std::vector<Sliding> in_at, out_at;
    for (const TensorAt& tensor : item.in) {
      in.push_back(tensor.view);
      in_at.push_back(resolve_sliding(tensor, spec.slabs, spec.region_size, storages));
    }
    for (const TensorAt& tensor : item.out) {
      out.push_back(tensor.view);
      out_at.push_back(resolve_sliding(tensor, spec.slabs, spec.region_size, storages));
    }
    const Kernel& kernel = *table.kernels[static_cast<size_t>(item.op)];
    body.push_back(
        {Instruction(kernel, item.op, std::move(in), std::move(out), item.attrs), std::move(in_at), std::move(out_at)});
  }
  return std::make_unique<Loop>(spec.slabs, spec.region_size, std::move(body));
}

void Program::schedule() {
  double parallel_cost = 0;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Loop* loop = steps_[i].loop.get();
    int stages = 1;
    double cost = loop != nullptr ? loop->cost() : 0;
    if (loop == nullptr) {
      const Plan& plan = steps_[i].instruction->plan();
      bool any = false;
      for (int stage = 0; stage < plan.stages; ++stage) any = any || plan.tasks[stage] > 1;
      stages = plan.stages;
      cost = any ? plan.cost : 0;
    }
    if (cost >= kParallelStage) {
      parallel_cost += cost;
      for (int stage = 0; stage < stages; ++stage) phases_.push_back({i, i + 1, stage, true});
    } else if (!phases_.empty() && !phases_.back().parallel) {
      phases_.back().end = i + 1;
    } else {
      phases_.push_back({i, i + 1, 0, false});
    }
  }
  parallel_ = parallel_cost >= kParallelProgram;
}

void Program::reserve(int workers) {
  if (workers <= reserved_workers_) return;
  scratch_ = allocate_aligned(scratch_size_ * static_cast<size_t>(workers));
  regions_ = allocate_aligned(region_size_ * static_cast<size_t>(workers));
  reserved_workers_ = workers;
}

void Program::run_step(const Step& step) {
  if (step.loop != nullptr) return step.loop->work_alone(regions_.get(), scratch_of(0));
  const Plan& plan = step.instruction->plan();
  for (int stage = 0; stage < plan.stages; ++stage)
    if (plan.tasks[stage] > 0) step.instruction->run({stage, 0, plan.tasks[stage], scratch_of(0)}, workspace_.get());
}

void Program::run_serially() {
  for (const Step& step : steps_) run_step(step);
}

void Program::run_phases(int worker, int workers, Barrier& barrier) {
  for (const Phase& phase : phases_) {
    const Step& step = steps_[phase.begin];
    if (phase.parallel && step.loop != nullptr) {
      step.loop->work(worker, workers, barrier, regions_.get(), scratch_of(worker));
    } else if (phase.parallel) {
      const int64_t tasks = step.instruction->plan().tasks[phase.stage];
      const int64_t begin = tasks * worker / workers, end = tasks * (worker + 1) / workers;
      if (begin < end) step.instruction->run({phase.stage, begin, end, scratch_of(worker)}, workspace_.get());
    } else if (worker == 0) {
      for (size_t i = phase.begin; i < phase.end; ++i) run_step(steps_[i]);
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
    reserve(ThreadPool::global().size());
    if (ThreadPool::global().try_run(region, reserved_workers_)) return region.done;
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
    reserve(ThreadPool::global().size());
    done = ThreadPool::global().try_run(region, reserved_workers_);
  }
  if (!done) run_serially();
  for (size_t i = 0; i < outputs.size(); ++i) std::memcpy(outputs[i], outputs_[i].data, byte_size(outputs_[i]));
}

std::vector<std::pair<std::string, double>> Program::profile(int repeats) {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, double>> times;
  for (const Step& step : steps_)
    times.emplace_back(step.loop != nullptr ? "loop" : step.instruction->name(),
                       std::numeric_limits<double>::infinity());
  for (int repeat = 0; repeat < repeats; ++repeat)
    for (size_t i = 0; i < steps_.size(); ++i) {
      const double start = now();
      run_step(steps_[i]);
      times[i].second = std::min(times[i].second, now() - start);
    }
  return times;
}

}  // namespace berrante
