#include "program.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <stdexcept>

namespace berrante {

namespace {

// Nanoseconds: below the first a stage is not worth a phase, below the second a program is not worth waking threads,
// and no piece is made smaller than the third. More pieces than kMaxPieces a worker would even nothing out any more.
constexpr double kParallelStage = 4000;
constexpr double kParallelProgram = 30000;
constexpr double kPiece = 1500;
constexpr int64_t kMaxPieces = 32;
constexpr double kLoadedBytes = 8;  // a nanosecond

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
  parallel_ = shared_cost() >= kParallelProgram;
  reserve(1);
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

// Nanoseconds of a step that are worth sharing, 0 if none are.
double Program::shared_cost(const Step& step) const {
  if (step.loop != nullptr) return step.loop->cost() >= kParallelStage ? step.loop->cost() : 0;
  const Plan& plan = step.instruction->plan();
  const bool divides = std::any_of(plan.tasks, plan.tasks + plan.stages, [](int64_t tasks) { return tasks > 1; });
  return divides && plan.cost >= kParallelStage ? plan.cost : 0;
}

double Program::shared_cost() const {
  return std::accumulate(steps_.begin(), steps_.end(), 0.0,
                         [this](double sum, const Step& step) { return sum + shared_cost(step); });
}

Program::Phase Program::shared(Phase::Kind kind, size_t step, size_t last, int stage, int64_t tasks,
                               double cost) const {
  const auto most = std::min<int64_t>(kMaxPieces * scheduled_workers_, RegionBody::kMaxPieces);
  const auto worth = static_cast<int64_t>(std::min(cost / kPiece, 1e6));
  const int64_t pieces = cost < kParallelStage ? 1 : std::clamp<int64_t>(worth, scheduled_workers_, most);
  return {kind, step, last, stage, tasks, std::min(tasks, pieces)};
}

void Program::schedule(int workers, int64_t rows) {
  if (workers == scheduled_workers_ && rows == scheduled_rows_) return;
  scheduled_workers_ = workers;
  scheduled_rows_ = rows;
  phases_.clear();
  using Kind = Phase::Kind;
  if (rows > 0) {
    double bytes = 0;
    for (const View& input : inputs_) bytes += static_cast<double>(byte_size(input));
    phases_.push_back(shared(Kind::load, 0, 0, 0, rows, bytes / kLoadedBytes));
  }
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (shared_cost(steps_[i]) == 0) {
      if (phases_.empty() || phases_.back().kind != Kind::alone) phases_.push_back({Kind::alone, i, i, 0, 1, 1});
      phases_.back().last = i + 1;
    } else if (const Loop* loop = steps_[i].loop.get(); loop != nullptr) {
      schedule(*loop, i);
    } else {
      const Plan& plan = steps_[i].instruction->plan();
      for (int stage = 0; stage < plan.stages; ++stage)
        if (plan.tasks[stage] > 0)
          phases_.push_back(shared(Kind::stage, i, i, stage, plan.tasks[stage], plan.cost / plan.stages));
    }
  }
}

void Program::schedule(const Loop& loop, size_t step) {
  using Kind = Phase::Kind;
  const int64_t rest = loop.slabs() % scheduled_workers_, whole = loop.slabs() - rest;
  if (whole > 0) phases_.push_back(shared(Kind::slabs, step, step, 0, whole, std::numeric_limits<double>::infinity()));
  for (size_t k = 0; rest > 0 && k < loop.body().size(); ++k) {
    const Plan& plan = loop.body()[k].instruction.plan();
    for (int stage = 0; stage < plan.stages; ++stage)
      if (plan.tasks[stage] > 0)
        phases_.push_back(shared(Kind::shared, step, k, stage, rest * plan.tasks[stage],
                                 plan.cost * static_cast<double>(rest) / plan.stages));
  }
}

void Program::reserve(int workers) {
  if (workers <= reserved_workers_) return;
  scratch_ = allocate_aligned(scratch_size_ * static_cast<size_t>(workers));
  regions_ = allocate_aligned(region_size_ * static_cast<size_t>(workers));
  reserved_workers_ = workers;
}

void Program::run_step(const Step& step, int worker) {
  if (step.loop != nullptr) return step.loop->run_slabs(0, step.loop->slabs(), region_of(worker), scratch_of(worker));
  const Plan& plan = step.instruction->plan();
  for (int stage = 0; stage < plan.stages; ++stage)
    if (plan.tasks[stage] > 0)
      step.instruction->run({stage, 0, plan.tasks[stage], scratch_of(worker)}, workspace_.get());
}

void Program::run_serially() {
  for (const Step& step : steps_) run_step(step, 0);
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

  int64_t advance(int worker) noexcept override {
    for (;;) {
      if (++at_ == program_.phases_.size()) {
        at_ = 0;
        count_batch();
        if (done == count_) return 0;
      }
      const Phase& phase = program_.phases_[at_];
      if (phase.pieces > 1) return phase.pieces;
      run_tasks(phase, worker, 0, phase.tasks);
    }
  }

  void run(int worker, int64_t begin, int64_t end) noexcept override {
    const Phase& phase = program_.phases_[at_];
    run_tasks(phase, worker, phase.tasks * begin / phase.pieces, phase.tasks * end / phase.pieces);
  }

  void work_alone() {
    while (done < count_) {
      program_.load(sources_, order_, (first_ + done) * batch_size_, 0, batch_size_);
      program_.run_serially();
      count_batch();
    }
  }

  int64_t done = 0;

 private:
  void count_batch() {
    ++done;
    if (deadline_ >= 0 && now() >= deadline_) count_ = done;
  }

  void run_tasks(const Phase& phase, int worker, int64_t begin, int64_t end) {
    const Step& step = program_.steps_[phase.step];
    std::byte* scratch = program_.scratch_of(worker);
    switch (phase.kind) {
      case Phase::Kind::load: return program_.load(sources_, order_, (first_ + done) * batch_size_, begin, end);
      case Phase::Kind::alone:
        for (size_t i = phase.step; i < phase.last; ++i) program_.run_step(program_.steps_[i], worker);
        return;
      case Phase::Kind::stage:
        return step.instruction->run({phase.stage, begin, end, scratch}, program_.workspace_.get());
      case Phase::Kind::slabs: return step.loop->run_slabs(begin, end, program_.region_of(worker), scratch);
      case Phase::Kind::shared:
        return step.loop->run_shared(phase.last, phase.stage,
                                     step.loop->slabs() - step.loop->slabs() % program_.scheduled_workers_, begin, end,
                                     program_.regions_.get(), scratch);
    }
  }

  Program& program_;
  const std::vector<Source>& sources_;
  const int64_t* order_;
  int64_t batch_size_, first_, count_;
  double deadline_;
  size_t at_ = std::numeric_limits<size_t>::max();  // the phase; before the first
};

bool Program::run_in_pool(Region& region, int64_t rows) {
  if (!parallel_) return false;
  const int workers = ThreadPool::global().size();
  reserve(workers);
  schedule(workers, rows);
  return ThreadPool::global().try_run(region, workers);
}

int64_t Program::run_batches(const std::vector<Source>& sources, const int64_t* order, int64_t batch_size,
                             int64_t first, int64_t count, double budget) {
  const std::lock_guard lock(mutex_);
  Region region(*this, sources, order, batch_size, first, count, budget < 0 ? -1.0 : now() + budget);
  if (count > 0 && !run_in_pool(region, batch_size)) region.work_alone();
  return region.done;
}

void Program::run(const std::vector<Source>& sources, const std::vector<void*>& outputs) {
  const std::lock_guard lock(mutex_);
  load(sources, nullptr, 0, 0, 1);
  static const std::vector<Source> nothing;
  Region region(*this, nothing, nullptr, 0, 0, 1, -1.0);
  if (!run_in_pool(region, 0)) run_serially();
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
      run_step(steps_[i], 0);
      times[i].second = std::min(times[i].second, now() - start);
    }
  return times;
}

}  // namespace berrante
