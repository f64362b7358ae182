// The emulated machine. Blocks of a grid run one after the other; the threads of a block are fibers that change only at
// barriers and warp operations, in a fixed order (settings: forward, reverse or shuffled, which shows missing
// barriers). One launch runs at a time in the process.
//
// Found and reported as a launch failure: a barrier or warp operation that some of its threads never reach (or reach at
// another line), lanes missing from a mask, more threads, shared memory or grid than a device has, writes
// beyond dynamic shared memory, cp.async at unaligned addresses. Shared memory starts as NaN (all bits set) in each
// block.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "cuda_runtime_api.h"
#include "types.h"

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace berrante::emulator {

struct Launch {
  dim3 grid, block;
  size_t shared_bytes;
  std::function<void()> body;  // one thread's work
};

// The host side: runs the launch, or records it on a capturing stream. Errors go to cudaGetLastError.
void launch(Launch work, cudaStream_t stream);

// Any other work for the stream: at once, or into the graph that it captures.
void submit(cudaStream_t stream, std::function<void()> work);

enum class Order { forward, reverse, shuffled };
struct Settings {
  Order order = Order::forward;
  bool poison = true;
  int compute = 80;
  int devices = 1;
};
Settings& settings();  // from BERRANTE_EMULATOR_ORDER, _POISON, _COMPUTE, _DEVICES at first

// What was launched since the last call, for tests of launch geometry.
struct Geometry {
  dim3 grid, block;
  size_t shared_bytes;
};
std::vector<Geometry> take_launches();

// The device side, for the headers of this directory.
void* dynamic_shared();
size_t shared_bytes();
void barrier(int id, int threads, const char* file, int line);
int lane();
[[noreturn]] void fail(const std::string& why);  // ends the launch
void pause();                                    // until the other threads can go no further

// A warp operation: every lane of the mask hands over its argument; when the last has come, `run` sees all of them, by
// lane, and writes their results; then they go on.
using WarpFunction = void (*)(void* const* arguments, unsigned mask);
void warp_operation(unsigned mask, WarpFunction run, void* argument, const char* file, int line);

void copy_async(void* shared, const void* global, int bytes);  // zeros without a source
void copy_async_commit();
void copy_async_wait(int newest);

// Work that the thread has started and that ends at a wait at the latest; here it runs there. A commit closes a group,
// a wait returns when all but the newest groups are done.
void defer(std::function<void()> work);
void defer_commit();
void defer_wait(int newest);

}  // namespace berrante::emulator

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  berrante::emulator::barrier(0, 0, file, line);
}
inline void __nanosleep(unsigned) { berrante::emulator::pause(); }
