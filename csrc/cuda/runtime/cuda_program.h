// A program on a CUDA device: the flat list of kernel launches with fixed addresses, captured as one CUDA graph at its
// second run and replayed from then on.
//
// The caller gives one slab of device memory (arena, workspace, feed) and the storages' addresses with `place`, which
// may be called again: what was captured is forgotten then. Batches come from the host through two pinned slots and a
// copy stream of their own, or from data sets in device memory, gathered by the graph itself (feed.h). All work goes to
// the stream that the caller names; capture uses a stream of its own, as CUDA's default stream cannot capture.
#pragma once
#include <array>
#include <memory>
#include <mutex>
#include <optional>

#include "../../program/gather.h"
#include "../../program/spec.h"
#include "../cuda_kernel.h"
#include "feed.h"
#include "status.h"

namespace berrante {

struct GraphDeleter {
  void operator()(std::remove_pointer_t<cudaGraphExec_t>* graph) const { cudaGraphExecDestroy(graph); }
};
using Executable = std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, GraphDeleter>;
struct StreamDeleter {
  void operator()(std::remove_pointer_t<cudaStream_t>* stream) const { cudaStreamDestroy(stream); }
};
using OwnedStream = std::unique_ptr<std::remove_pointer_t<cudaStream_t>, StreamDeleter>;
struct EventDeleter {
  void operator()(std::remove_pointer_t<cudaEvent_t>* event) const { cudaEventDestroy(event); }
};
using OwnedEvent = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, EventDeleter>;
struct PinnedDeleter {
  void operator()(std::byte* memory) const { cudaFreeHost(memory); }
};
struct DeviceDeleter {
  void operator()(std::byte* memory) const { cudaFree(memory); }
};

// A whole input of one run: host memory, or device memory.
struct InputAt {
  Source source;
  bool on_device;
};

class CudaProgram {
 public:
  // Plans all calls; needs no device. Throws std::invalid_argument if a tensor leaves its space, a kernel refuses its
  // shapes, or there is no such kernel for CUDA.
  CudaProgram(std::vector<InstructionSpec> instructions, size_t arena_size, std::vector<size_t> storage_sizes,
              std::vector<TensorAt> inputs, std::vector<TensorAt> outputs, Precision precision);

  size_t arena_size() const { return arena_size_; }
  size_t slab_size() const { return feed_offset_ + sizeof(Feed); }
  const std::vector<TensorAt>& inputs() const { return input_specs_; }
  const std::vector<TensorAt>& outputs() const { return output_specs_; }
  size_t graphs() const { return (steps_graph_ ? 1u : 0u) + (fed_graph_ ? 1u : 0u); }
  void set_captured(bool captured);

  void place(int device, std::byte* slab, const std::vector<std::byte*>& storages);

  // Loads the inputs, runs, and puts a copy of each output to the given place; waits for it if that is on the host.
  void run(const std::vector<InputAt>& inputs, const std::vector<void*>& outputs, bool outputs_on_device,
           cudaStream_t stream);

  // Batches first .. first + count - 1, as Program::run_batches (program/program.h); waits for the last one.
  int64_t run_staged(const std::vector<Source>& sources, const int64_t* order, int64_t batch_size, int64_t first,
                     int64_t count, double budget, cudaStream_t stream);
  // The same from data sets and an order that lie in device memory.
  int64_t run_resident(const std::vector<Source>& sources, const int64_t* order, int64_t batch_size, int64_t first,
                       int64_t count, double budget, cudaStream_t stream);

  // Seconds per kernel, the fastest of some runs.
  std::vector<std::pair<std::string, double>> profile(int repeats, cudaStream_t stream);

 private:
  struct CudaInstruction {
    const CudaKernel* kernel;
    std::unique_ptr<AttrBlock> attrs;
    std::vector<TensorAt> in_at, out_at;
    std::vector<View> in, out;
  };
  struct Slot {
    std::unique_ptr<std::byte, PinnedDeleter> pinned;
    std::unique_ptr<std::byte, DeviceDeleter> device;
    OwnedEvent copied, consumed;
    bool used = false;
  };

  View resolve(const TensorAt& tensor, std::byte* slab, const std::vector<std::byte*>& storages) const;
  Call call(const CudaInstruction& instruction, std::byte* workspace) const;
  CudaTarget target(cudaStream_t stream) const;
  void launch_steps(cudaStream_t stream) const;
  void launch_fed_steps(const std::vector<Source>& sources, cudaStream_t stream) const;
  template <class F>
  Executable capture(F launches);
  void run_steps(cudaStream_t stream);
  Slot& slot(size_t index);
  void gather_into(Slot& slot, const std::vector<Source>& sources, const int64_t* order, int64_t begin, int64_t end);
  void require_placed() const;

  size_t arena_size_, workspace_offset_, feed_offset_, input_bytes_ = 0;
  std::vector<size_t> storage_sizes_;
  std::vector<CudaInstruction> instructions_;
  std::vector<TensorAt> input_specs_, output_specs_;
  std::vector<View> inputs_, outputs_;
  std::vector<size_t> input_offsets_;  // inside a slot
  Precision precision_;
  int device_ = 0, compute_ = 0, multiprocessors_ = 0;
  std::byte* slab_ = nullptr;
  bool captured_ = true;
  int64_t runs_ = 0, fed_runs_ = 0;
  Executable steps_graph_, fed_graph_;
  std::vector<SourceType> fed_types_;
  OwnedStream capture_stream_, copy_stream_;
  std::array<std::optional<Slot>, 2> slots_;
  std::mutex mutex_;
};

}  // namespace berrante
