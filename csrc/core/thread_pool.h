// A pool of threads for parallel regions. The caller is worker 0; the others spin briefly between regions, then sleep.
//
// One region runs at a time: a second caller is told so and works alone, so the machine is never oversubscribed. After
// a fork the child finds a fresh pool, whose threads start with its first region.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>

namespace berrante {

// All workers of a region meet here. Spins, then yields.
class Barrier {
 public:
  void reset(int workers, bool spin);
  void wait();

 private:
  std::atomic<int> waiting_{0};
  std::atomic<uint32_t> phase_{0};
  int workers_ = 1;
  bool spin_ = true;
};

class RegionBody {
 public:
  virtual void work(int worker, int workers, Barrier& barrier) noexcept = 0;

 protected:
  ~RegionBody() = default;
};

class ThreadPool {
 public:
  static ThreadPool& global();

  int size() const;  // workers, the caller included
  // Throws std::invalid_argument for a size below 1 or above 1024. Waits for a running region.
  void resize(int workers);

  // Runs the body on all workers and returns true, or returns false at once: another thread's region is running, there
  // is only one worker, or there are more than `max_workers`.
  bool try_run(RegionBody& body, int max_workers);

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
