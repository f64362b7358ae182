// A pool of threads for parallel regions. A region is a sequence of phases; a phase is some pieces of work that may run
// in any order, on any worker. The caller is worker 0.
//
// There is no barrier that all must reach. Each worker has a share of a phase's pieces, from which it takes half of
// what is left at a time, and helps the others when its own is used up; who ends the last piece prepares the next
// phase. So a worker that sleeps, or whose core does something else, is waited for only while it is in the middle of a
// piece. Which worker does a piece never changes a result.
//
// One region runs at a time: a second caller is told so and works alone, so the machine is never oversubscribed. After
// a fork the child finds a fresh pool, whose threads start with its first region.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>

namespace berrante {

class RegionBody {
 public:
  static constexpr int64_t kMaxPieces = 65535;

  // Called once before the first phase and after each, by one worker at a time: does what only one can do and returns
  // the number of pieces of the next phase, at most kMaxPieces, or 0 at the end of the region.
  virtual int64_t advance(int worker) noexcept = 0;
  virtual void run(int worker, int64_t begin, int64_t end) noexcept = 0;

 protected:
  ~RegionBody() = default;
};

class ThreadPool {
 public:
  static ThreadPool& global();

  int size() const;  // workers, the caller included
  // Throws std::invalid_argument for a size below 1 or above 1024. Waits for a running region.
  void resize(int workers);

  // Runs the body and returns true, or returns false at once: another thread's region is running, or the pool has other
  // than `workers` workers, or only one.
  bool try_run(RegionBody& body, int workers);

  struct State;

 private:
  ThreadPool();
  State* state_;
  static void after_fork_in_child();
};

// Counts forks survived: what was locked by a thread that the child does not have must be made anew.
uint32_t fork_generation();

class ForkSafeMutex {
 public:
  void lock();
  bool try_lock();
  void unlock() { mutex_->unlock(); }
  ForkSafeMutex();
  ~ForkSafeMutex();

 private:
  void refresh();
  std::mutex* mutex_;
  std::atomic<uint32_t> generation_;
};

}  // namespace berrante
