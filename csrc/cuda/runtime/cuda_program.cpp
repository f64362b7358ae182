#include "cuda_program.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "../../core/aligned.h"

namespace berrante {

namespace {

constexpr size_t kAlignment = 256;
constexpr int64_t kInFlight =
    32;  // batches between two looks at the clock, and the most that wait on the device is twice that

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

OwnedStream make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return OwnedStream(stream);
}

OwnedEvent make_event(unsigned flags = cudaEventDisableTiming) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, flags), "cudaEventCreate");
  return OwnedEvent(event);
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
  return value;
}

// Lets the host run ahead of the device, but not too far, and looks at the clock.
class Pace {
 public:
  Pace(double budget, cudaStream_t stream) : deadline_(budget < 0 ? -1.0 : now() + budget), stream_(stream) {
    for (OwnedEvent& event : events_) event = make_event();
  }
  // After batch k (from 0); false when the time is used up.
  bool go_on(int64_t k) {
    if ((k + 1) % kInFlight != 0) return deadline_ < 0 || now() < deadline_;
    cudaEvent_t mine = events_[static_cast<size_t>((k / kInFlight) % 2)].get();
    cudaEvent_t before = events_[static_cast<size_t>((k / kInFlight + 1) % 2)].get();
    check(cudaEventRecord(mine, stream_), "cudaEventRecord");
    if (k >= kInFlight) check(cudaEventSynchronize(before), "a step");
    return deadline_ < 0 || now() < deadline_;
  }

 private:
  double deadline_;
  cudaStream_t stream_;
  OwnedEvent events_[2];
};

}  // namespace

CudaProgram::CudaProgram(std::vector<InstructionSpec> instructions, size_t arena_size,
                         std::vector<size_t> storage_sizes, std::vector<TensorAt> inputs, std::vector<TensorAt> outputs,
                         Precision precision)
    : arena_size_(arena_size),
      storage_sizes_(std::move(storage_sizes)),
      input_specs_(std::move(inputs)),
      output_specs_(std::move(outputs)),
      precision_(precision) {
  size_t workspace = 0;
  for (InstructionSpec& spec : instructions) {
    const CudaKernel* kernel = cuda_kernel(static_cast<int>(spec.op));
    if (kernel == nullptr)
      throw std::invalid_argument("[" + std::string(op_schemas()[static_cast<size_t>(spec.op)].name) +
                                  "] there is no CUDA kernel of this name");
    CudaInstruction& instruction = instructions_.emplace_back();
    instruction = {
        kernel, std::make_unique<AttrBlock>(spec.op, spec.attrs), std::move(spec.in), std::move(spec.out), {}, {}};
    for (const TensorAt& tensor : instruction.in_at) instruction.in.push_back(resolve(tensor, nullptr, {}));
    for (const TensorAt& tensor : instruction.out_at) instruction.out.push_back(resolve(tensor, nullptr, {}));
    CudaPlan plan{nullptr, 0, precision};
    kernel->plan(call(instruction, nullptr), plan);
    if (plan.error != nullptr)
      throw std::invalid_argument(refusal(kernel->name, plan.error, instruction.in, instruction.out));
    workspace = std::max(workspace, plan.workspace);
  }
  for (const TensorAt& tensor : input_specs_) {
    inputs_.push_back(resolve(tensor, nullptr, {}));
    input_offsets_.push_back(input_bytes_);
    input_bytes_ += round_up(byte_size(tensor.view), kAlignment);
  }
  for (const TensorAt& tensor : output_specs_) outputs_.push_back(resolve(tensor, nullptr, {}));
  workspace_offset_ = round_up(arena_size_, kAlignment);
  feed_offset_ = round_up(workspace_offset_ + workspace, kAlignment);
}

// Checks always; gives an address only where there is a slab.
View CudaProgram::resolve(const TensorAt& tensor, std::byte* slab, const std::vector<std::byte*>& storages) const {
  const int64_t space = tensor.location.space;
  if (space < 0 || space > static_cast<int64_t>(storage_sizes_.size()))
    throw std::invalid_argument("a tensor names space " + std::to_string(space) + ", which does not exist");
  check_inside(tensor, space == 0 ? arena_size_ : storage_sizes_[static_cast<size_t>(space - 1)]);
  View view = tensor.view;
  std::byte* base = space == 0 ? slab : slab == nullptr ? nullptr : storages[static_cast<size_t>(space - 1)];
  view.data = slab == nullptr ? nullptr : base + tensor.location.offset;
  return view;
}

Call CudaProgram::call(const CudaInstruction& instruction, std::byte* workspace) const {
  return {instruction.in.data(),
          instruction.out.data(),
          static_cast<int32_t>(instruction.in.size()),
          static_cast<int32_t>(instruction.out.size()),
          instruction.attrs->data(),
          workspace};
}

void CudaProgram::set_captured(bool captured) {
  const std::lock_guard lock(mutex_);
  captured_ = captured;
  steps_graph_.reset();
  fed_graph_.reset();
}

void CudaProgram::place(int device, std::byte* slab, const std::vector<std::byte*>& storages) {
  const std::lock_guard lock(mutex_);
  if (storages.size() != storage_sizes_.size()) throw std::invalid_argument("the storages do not fit the program");
  const OnDevice scope(device);
  for (CudaInstruction& instruction : instructions_) {
    for (size_t i = 0; i < instruction.in.size(); ++i)
      instruction.in[i] = resolve(instruction.in_at[i], slab, storages);
    for (size_t i = 0; i < instruction.out.size(); ++i)
      instruction.out[i] = resolve(instruction.out_at[i], slab, storages);
  }
  for (size_t i = 0; i < inputs_.size(); ++i) inputs_[i] = resolve(input_specs_[i], slab, storages);
  for (size_t i = 0; i < outputs_.size(); ++i) outputs_[i] = resolve(output_specs_[i], slab, storages);
  slab_ = slab;
  device_ = device;
  compute_ =
      10 * attribute(cudaDevAttrComputeCapabilityMajor, device) + attribute(cudaDevAttrComputeCapabilityMinor, device);
  multiprocessors_ = attribute(cudaDevAttrMultiProcessorCount, device);
  steps_graph_.reset();
  fed_graph_.reset();
  runs_ = fed_runs_ = 0;
}

void CudaProgram::require_placed() const {
  if (slab_ == nullptr) throw std::logic_error("the program has no memory yet");
}

CudaTarget CudaProgram::target(cudaStream_t stream) const { return {stream, precision_, compute_, multiprocessors_}; }

void CudaProgram::launch_steps(cudaStream_t stream) const {
  const CudaTarget on = target(stream);
  for (const CudaInstruction& instruction : instructions_)
    instruction.kernel->launch(call(instruction, slab_ + workspace_offset_), on);
}

void CudaProgram::launch_fed_steps(const std::vector<Source>& sources, cudaStream_t stream) const {
  auto* feed = reinterpret_cast<Feed*>(slab_ + feed_offset_);
  for (size_t i = 0; i < sources.size(); ++i)
    launch_feed(feed, static_cast<int>(i), sources[i].type, inputs_[i].dtype, inputs_[i].shape[0], sources[i].row_size,
                inputs_[i].data, stream);
  launch_steps(stream);
  launch_advance(feed, stream);
}

template <class F>
Executable CudaProgram::capture(F launches) {
  if (!capture_stream_) capture_stream_ = make_stream();
  check(cudaStreamBeginCapture(capture_stream_.get(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  launches(capture_stream_.get());
  const cudaError_t launched = cudaGetLastError();
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(capture_stream_.get(), &graph);
  check(launched, "a launch during capture");
  check(ended, "cudaStreamEndCapture");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t made = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check(made, "cudaGraphInstantiate");
  return Executable(executable);
}

void CudaProgram::run_steps(cudaStream_t stream) {
  if (captured_ && runs_ > 0 && !steps_graph_) steps_graph_ = capture([this](cudaStream_t s) { launch_steps(s); });
  ++runs_;
  if (steps_graph_)
    check(cudaGraphLaunch(steps_graph_.get(), stream), "cudaGraphLaunch");
  else
    launch_steps(stream);
  check(cudaGetLastError(), "a kernel's launch");
}

CudaProgram::Slot& CudaProgram::slot(size_t index) {
  std::optional<Slot>& slot = slots_[index];
  if (!slot) {
    Slot fresh;
    void* memory = nullptr;
    check(cudaHostAlloc(&memory, std::max<size_t>(input_bytes_, 1), cudaHostAllocDefault), "pinned memory");
    fresh.pinned.reset(static_cast<std::byte*>(memory));
    fresh.copied = make_event();
    fresh.consumed = make_event();
    slot.emplace(std::move(fresh));
  }
  return *slot;
}

void CudaProgram::gather_into(Slot& slot, const std::vector<Source>& sources, const int64_t* order, int64_t begin,
                              int64_t end) {
  for (size_t i = 0; i < sources.size(); ++i)
    gather_rows(sources[i], order, begin, end, slot.pinned.get() + input_offsets_[i], inputs_[i].dtype);
}

void CudaProgram::run(const std::vector<InputAt>& inputs, const std::vector<void*>& outputs, bool outputs_on_device,
                      cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  require_placed();
  const OnDevice scope(device_);
  bool staged = false;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto& [source, on_device] = inputs[i];
    const int64_t n = source.rows * source.row_size;
    if (on_device) {
      launch_convert(source.data, source.type, inputs_[i].dtype, n, inputs_[i].data, stream);
      continue;
    }
    Slot& first = slot(0);
    if (!staged && first.used) check(cudaEventSynchronize(first.copied.get()), "the last run's inputs");
    staged = true;
    std::byte* pinned = first.pinned.get() + input_offsets_[i];
    gather_rows(source, nullptr, 0, source.rows, pinned, inputs_[i].dtype);
    check(cudaMemcpyAsync(inputs_[i].data, pinned, byte_size(inputs_[i]), cudaMemcpyHostToDevice, stream), "an input");
  }
  if (staged) {
    check(cudaEventRecord(slot(0).copied.get(), stream), "cudaEventRecord");
    slot(0).used = true;
  }
  run_steps(stream);
  const cudaMemcpyKind kind = outputs_on_device ? cudaMemcpyDeviceToDevice : cudaMemcpyDeviceToHost;
  for (size_t i = 0; i < outputs.size(); ++i)
    check(cudaMemcpyAsync(outputs[i], outputs_[i].data, byte_size(outputs_[i]), kind, stream), "an output");
  if (!outputs_on_device) check(cudaStreamSynchronize(stream), "the program");
}

int64_t CudaProgram::run_staged(const std::vector<Source>& sources, const int64_t* order, int64_t batch_size,
                                int64_t first, int64_t count, double budget, cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  require_placed();
  const OnDevice scope(device_);
  if (!copy_stream_) copy_stream_ = make_stream();
  Pace pace(budget, stream);
  int64_t done = 0;
  while (done < count) {
    Slot& mine = slot(static_cast<size_t>(done % 2));
    if (!mine.device) {
      void* memory = nullptr;
      check(cudaMalloc(&memory, std::max<size_t>(input_bytes_, 1)), "a batch's staging memory");
      mine.device.reset(static_cast<std::byte*>(memory));
    }
    // The host writes a slot when its last copy has left it; the copy waits until the last step that read it is over.
    if (mine.used) check(cudaEventSynchronize(mine.copied.get()), "a batch's copy");
    gather_into(mine, sources, order, (first + done) * batch_size, (first + done + 1) * batch_size);
    check(cudaStreamWaitEvent(copy_stream_.get(), mine.consumed.get(), 0), "cudaStreamWaitEvent");
    check(
        cudaMemcpyAsync(mine.device.get(), mine.pinned.get(), input_bytes_, cudaMemcpyHostToDevice, copy_stream_.get()),
        "a batch's copy");
    check(cudaEventRecord(mine.copied.get(), copy_stream_.get()), "cudaEventRecord");
    check(cudaStreamWaitEvent(stream, mine.copied.get(), 0), "cudaStreamWaitEvent");
    for (size_t i = 0; i < inputs_.size(); ++i)
      check(cudaMemcpyAsync(inputs_[i].data, mine.device.get() + input_offsets_[i], byte_size(inputs_[i]),
                            cudaMemcpyDeviceToDevice, stream),
            "an input");
    check(cudaEventRecord(mine.consumed.get(), stream), "cudaEventRecord");
    mine.used = true;
    run_steps(stream);
    if (!pace.go_on(done++)) break;
  }
  check(cudaStreamSynchronize(stream), "the program");
  return done;
}

int64_t CudaProgram::run_resident(const std::vector<Source>& sources, const int64_t* order, int64_t batch_size,
                                  int64_t first, int64_t count, double budget, cudaStream_t stream) {
  (void)batch_size;
  const std::lock_guard lock(mutex_);
  require_placed();
  if (sources.size() > Feed::kMaxSources) throw std::invalid_argument("too many inputs to gather on the device");
  const OnDevice scope(device_);
  Feed feed{first, order, {}};
  std::vector<SourceType> types;
  for (size_t i = 0; i < sources.size(); ++i) {
    feed.sources[i] = sources[i].data;
    types.push_back(sources[i].type);
  }
  check(cudaMemcpyAsync(slab_ + feed_offset_, &feed, sizeof feed, cudaMemcpyHostToDevice, stream), "the feed");
  if (types != fed_types_) {
    fed_graph_.reset();
    fed_types_ = types;
  }
  Pace pace(budget, stream);
  int64_t done = 0;
  while (done < count) {
    if (captured_ && fed_runs_ > 0 && !fed_graph_)
      fed_graph_ = capture([&](cudaStream_t s) { launch_fed_steps(sources, s); });
    ++fed_runs_;
    if (fed_graph_)
      check(cudaGraphLaunch(fed_graph_.get(), stream), "cudaGraphLaunch");
    else
      launch_fed_steps(sources, stream);
    check(cudaGetLastError(), "a kernel's launch");
    if (!pace.go_on(done++)) break;
  }
  check(cudaStreamSynchronize(stream), "the program");
  return done;
}

std::vector<std::pair<std::string, double>> CudaProgram::profile(int repeats, cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  require_placed();
  const OnDevice scope(device_);
  const OwnedEvent start = make_event(0), end = make_event(0);
  std::vector<std::pair<std::string, double>> times;
  for (const CudaInstruction& instruction : instructions_)
    times.emplace_back(instruction.kernel->name, std::numeric_limits<double>::infinity());
  const CudaTarget on = target(stream);
  for (int repeat = 0; repeat < repeats; ++repeat)
    for (size_t i = 0; i < instructions_.size(); ++i) {
      check(cudaEventRecord(start.get(), stream), "cudaEventRecord");
      instructions_[i].kernel->launch(call(instructions_[i], slab_ + workspace_offset_), on);
      check(cudaEventRecord(end.get(), stream), "cudaEventRecord");
      check(cudaEventSynchronize(end.get()), "a kernel");
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, start.get(), end.get()), "cudaEventElapsedTime");
      times[i].second = std::min(times[i].second, milliseconds * 1e-3);
    }
  return times;
}

}  // namespace berrante
