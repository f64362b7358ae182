#include "machine.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>

#include "../../core/aligned.h"
#include "api.h"
#include "fiber.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

// The section of all __shared__ variables; absent if there are none.
extern "C" unsigned char __start_berrante_shared[] __attribute__((weak, visibility("hidden")));
extern "C" unsigned char __stop_berrante_shared[] __attribute__((weak, visibility("hidden")));

namespace berrante::emulator {

namespace {

constexpr int kLanes = 32, kNamedBarriers = 16;
constexpr size_t kCanary = 1024;

struct Copy {
  void* to;
  const void* from;
  int bytes, group;
};

struct Deferred {
  std::function<void()> work;
  int group;
};

enum class State { fresh, ready, paused, at_barrier, in_warp_operation, done };

struct Thread {
  Fiber fiber;
  State state = State::fresh;
  uint3 index{};
  int stack = -1;
  // What it waits for.
  int barrier = 0, line = 0;
  const char* file = "";
  unsigned mask = 0;
  WarpFunction operation = nullptr;
  void* argument = nullptr;
  // Its asynchronous copies.
  std::vector<Copy> copies;
  int group = 0;
  // Its deferred work.
  std::vector<Deferred> deferred;
  int deferred_group = 0;
};

struct Barrier {
  int arrived, expected;
  const char* file;
  int line;
};

std::string place(const char* file, int line) {
  const char* slash = std::strrchr(file, '/');
  return std::string(slash == nullptr ? file : slash + 1) + ":" + std::to_string(line);
}

class Machine {
 public:
  // Empty, or what went wrong.
  std::string run(const Launch& work) {
    const std::lock_guard lock(mutex_);
    work_ = &work;
    error_.clear();
    shared_size_ = work.shared_bytes;
    if (shared_capacity_ < shared_size_ + kCanary) {
      shared_capacity_ = shared_size_ + kCanary;
      shared_ = allocate_aligned(shared_capacity_ + 128);
    }
    gridDim = work.grid;
    blockDim = work.block;
    const size_t count = static_cast<size_t>(work.block.x) * work.block.y * work.block.z;
    if (threads_.size() < count) threads_.resize(count);
    count_ = static_cast<int>(count);
    arrange();
    const int64_t blocks = static_cast<int64_t>(work.grid.x) * work.grid.y * work.grid.z;
    for (int64_t i = 0; i < blocks && error_.empty(); ++i) {
      const int64_t block = settings().order == Order::forward ? i : blocks - 1 - i;
      blockIdx = {static_cast<unsigned>(block % work.grid.x), static_cast<unsigned>(block / work.grid.x % work.grid.y),
                  static_cast<unsigned>(block / work.grid.x / work.grid.y)};
      run_block();
    }
    work_ = nullptr;
    return error_;
  }

  size_t shared_size() const { return shared_size_; }
  std::byte* shared() {
    const auto address = reinterpret_cast<uintptr_t>(shared_.get());
    return shared_.get() + (round_up(address, 128) - address);
  }

  void wait_at_barrier(int id, int threads, const char* file, int line) {
    if (id < 0 || id >= kNamedBarriers) fail("there is no barrier " + std::to_string(id));
    const int expected = threads == 0 ? count_ : threads;
    Barrier& barrier = barriers_[id];
    if (barrier.arrived == 0) barrier = {0, expected, file, line};
    if (id == 0 && (barrier.line != line || std::strcmp(barrier.file, file) != 0))
      fail("threads wait at different barriers: " + place(barrier.file, barrier.line) + " and " + place(file, line));
    if (barrier.expected != expected) fail("a barrier is given different numbers of threads at " + place(file, line));
    Thread& me = *current_;
    me.barrier = id;
    me.file = file;
    me.line = line;
    me.state = State::at_barrier;
    if (++barrier.arrived < expected) return leave();
    barrier.arrived = 0;
    for (int i = 0; i < count_; ++i) {
      Thread& other = threads_[static_cast<size_t>(i)];
      if (other.state == State::at_barrier && other.barrier == id) other.state = State::ready;
    }
    // The others of this barrier go first or later, as the order has it: results must not depend on it.
    if (settings().order != Order::forward) leave();
  }

  void wait_in_warp(unsigned mask, WarpFunction run, void* argument, const char* file, int line) {
    Thread& me = *current_;
    const int first = number_of(me) / kLanes * kLanes, mine = lane();
    if ((mask >> mine & 1) == 0) fail("a lane is not in its own mask at " + place(file, line));
    if (count_ - first < kLanes && (mask >> (count_ - first)) != 0)
      fail("a mask names lanes that the block does not have at " + place(file, line));
    me.mask = mask;
    me.operation = run;
    me.argument = argument;
    me.file = file;
    me.line = line;
    me.state = State::in_warp_operation;
    void* arguments[kLanes] = {};
    for (int i = kLanes - 1; i >= 0; --i) {
      if ((mask >> i & 1) == 0) continue;
      const Thread& other = threads_[static_cast<size_t>(first + i)];
      if (other.state != State::in_warp_operation || other.mask != mask) return leave();
      if (other.operation != run || other.line != line || std::strcmp(other.file, file) != 0)
        fail("lanes of one mask are in different operations: " + place(file, line) + " and " +
             place(other.file, other.line));
      arguments[i] = other.argument;
    }
    run(arguments, mask);
    for (int i = 0; i < kLanes; ++i)
      if ((mask >> i & 1) != 0) threads_[static_cast<size_t>(first + i)].state = State::ready;
    if (settings().order != Order::forward) leave();
  }

  void pause() {
    current_->state = State::paused;
    leave();
  }

  Thread& current() { return *current_; }
  int lane() const { return number_of(*current_) % kLanes; }
  bool running() const { return current_ != nullptr; }

  [[noreturn]] void fail(const std::string& why) {
    if (error_.empty())
      error_ = why + " [block (" + std::to_string(blockIdx.x) + ", " + std::to_string(blockIdx.y) + ", " +
               std::to_string(blockIdx.z) + "), thread (" + std::to_string(threadIdx.x) + ", " +
               std::to_string(threadIdx.y) + ", " + std::to_string(threadIdx.z) + ")]";
    Fiber::change(current_->fiber, scheduler_);
    std::abort();  // a failed thread never goes on
  }

 private:
  int number_of(const Thread& thread) const { return static_cast<int>(&thread - threads_.data()); }

  // The order in which the threads get their turns, warp by warp.
  void arrange() {
    const int warps = (count_ + kLanes - 1) / kLanes;
    uint32_t state = 12345;
    const auto permuted = [&state](int n) {
      std::vector<int> p(static_cast<size_t>(n));
      std::iota(p.begin(), p.end(), 0);
      if (settings().order == Order::reverse) std::reverse(p.begin(), p.end());
      if (settings().order == Order::shuffled)
        for (size_t i = p.size(); i > 1; --i) {
          state = state * 1664525u + 1013904223u;
          std::swap(p[i - 1], p[(state >> 8) % i]);
        }
      return p;
    };
    order_.clear();
    for (const int warp : permuted(warps)) {
      const int first = warp * kLanes;
      for (const int lane : permuted(std::min(kLanes, count_ - first))) order_.push_back(first + lane);
    }
  }

  void run_block() {
    if (settings().poison) {
      std::memset(shared(), 0xff, shared_size_ + kCanary);
      if (__start_berrante_shared != nullptr)
        std::memset(__start_berrante_shared, 0xff,
                    static_cast<size_t>(__stop_berrante_shared - __start_berrante_shared));
    }
    for (Barrier& barrier : barriers_) barrier.arrived = 0;
    for (int i = 0; i < count_; ++i) {
      Thread& thread = threads_[static_cast<size_t>(i)];
      thread.state = State::fresh;
      const auto n = static_cast<unsigned>(i);
      thread.index = {n % blockDim.x, n / blockDim.x % blockDim.y, n / blockDim.x / blockDim.y};
      thread.copies.clear();
      thread.deferred.clear();
      thread.group = 0;
      thread.stack = -1;
    }
    free_stacks_.resize(static_cast<size_t>(count_));
    for (int i = 0; i < count_; ++i) free_stacks_[static_cast<size_t>(i)] = count_ - 1 - i;
    bool progress = true;
    while (progress && error_.empty()) {
      progress = false;
      // A warp goes as far as it can before the next one starts: a missing barrier shows.
      for (size_t warp = 0; warp < order_.size(); warp += kLanes)
        while (run_warp(warp)) {
          progress = true;
          if (!error_.empty()) return;
        }
      for (int i = 0; i < count_; ++i) {
        Thread& thread = threads_[static_cast<size_t>(i)];
        if (thread.state != State::paused) continue;
        thread.state = State::ready;
        progress = true;
      }
    }
    check_end();
  }

  // One turn for every lane that can go on; false if there was none.
  bool run_warp(size_t first) {
    bool progress = false;
    for (size_t k = first; k < std::min(first + kLanes, order_.size()); ++k) {
      Thread& thread = threads_[static_cast<size_t>(order_[k])];
      if (thread.state != State::fresh && thread.state != State::ready) continue;
      progress = true;
      resume(thread);
      if (!error_.empty()) break;
    }
    return progress;
  }

  void resume(Thread& thread) {
    if (thread.state == State::fresh) {
      thread.stack = free_stacks_.back();
      free_stacks_.pop_back();
      thread.fiber.start(stacks_.get(static_cast<size_t>(thread.stack)), Stacks::kSize, &Machine::enter);
    }
    thread.state = State::ready;
    current_ = &thread;
    threadIdx = thread.index;
    Fiber::change(scheduler_, thread.fiber);
    current_ = nullptr;
    if (thread.state == State::done) free_stacks_.push_back(thread.stack);
  }

  // Back to the scheduler until this thread's next turn.
  void leave() { Fiber::change(current_->fiber, scheduler_); }

  static void enter();

  void check_end() {
    for (int i = 0; i < count_; ++i) {
      const Thread& thread = threads_[static_cast<size_t>(i)];
      if (thread.state == State::done) continue;
      int done = 0;
      for (int k = 0; k < count_; ++k) done += threads_[static_cast<size_t>(k)].state == State::done;
      error_ = std::string("thread ") + std::to_string(i) + " waits for ever " +
               (thread.state == State::at_barrier ? "at the barrier of " : "in the warp operation of ") +
               place(thread.file, thread.line) + "; " + std::to_string(done) + " of " + std::to_string(count_) +
               " threads have ended";
      return;
    }
    if (!settings().poison) return;
    for (size_t i = 0; i < kCanary; ++i)
      if (shared()[shared_size_ + i] != std::byte{0xff}) {
        error_ = "a write beyond the " + std::to_string(shared_size_) + " bytes of dynamic shared memory";
        return;
      }
  }

  std::mutex mutex_;
  const Launch* work_ = nullptr;
  std::string error_;
  AlignedBytes shared_;
  size_t shared_size_ = 0, shared_capacity_ = 0;
  std::vector<Thread> threads_;
  int count_ = 0;
  Barrier barriers_[kNamedBarriers]{};
  std::vector<int> order_, free_stacks_;
  Stacks stacks_;
  Fiber scheduler_;
  Thread* current_ = nullptr;
};

Machine& machine() {
  static auto* const instance = new Machine;  // never destroyed: stacks may outlive static objects
  return *instance;
}

void Machine::enter() {
  Machine& m = machine();
  m.work_->body();
  m.current_->state = State::done;
  m.leave();
  std::abort();
}

}  // namespace

std::string run(const Launch& work) { return machine().run(work); }

void* dynamic_shared() { return machine().shared(); }
size_t shared_bytes() { return machine().shared_size(); }
void barrier(int id, int threads, const char* file, int line) { machine().wait_at_barrier(id, threads, file, line); }
int lane() { return machine().lane(); }
void fail(const std::string& why) { machine().fail(why); }
void pause() { machine().pause(); }
void warp_operation(unsigned mask, WarpFunction run, void* argument, const char* file, int line) {
  machine().wait_in_warp(mask, run, argument, file, line);
}

void copy_async(void* shared, const void* global, int bytes) {
  Thread& me = machine().current();
  if (reinterpret_cast<uintptr_t>(shared) % static_cast<unsigned>(bytes) != 0 ||
      reinterpret_cast<uintptr_t>(global) % static_cast<unsigned>(bytes) != 0)
    fail("an asynchronous copy of " + std::to_string(bytes) + " bytes at an address that is not so aligned");
  me.copies.push_back({shared, global, bytes, me.group});
  if (settings().poison) std::memset(shared, 0xff, static_cast<size_t>(bytes));
}

void defer(std::function<void()> work) {
  Thread& me = machine().current();
  me.deferred.push_back({std::move(work), me.deferred_group});
}
void defer_commit() { ++machine().current().deferred_group; }
void defer_wait(int newest) {
  Thread& me = machine().current();
  size_t done = 0;
  for (; done < me.deferred.size() && me.deferred[done].group < me.deferred_group - newest; ++done)
    me.deferred[done].work();
  me.deferred.erase(me.deferred.begin(), me.deferred.begin() + static_cast<std::ptrdiff_t>(done));
}

void copy_async_commit() { ++machine().current().group; }

void copy_async_wait(int newest) {
  Thread& me = machine().current();
  size_t kept = 0;
  for (const Copy& copy : me.copies) {
    if (copy.group >= me.group - newest)
      me.copies[kept++] = copy;
    else if (copy.from == nullptr)
      std::memset(copy.to, 0, static_cast<size_t>(copy.bytes));
    else
      std::memcpy(copy.to, copy.from, static_cast<size_t>(copy.bytes));
  }
  me.copies.resize(kept);
}

}  // namespace berrante::emulator
