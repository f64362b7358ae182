#include "thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace berrante {

namespace {

constexpr int kMaxWorkers = 1024;
// About 20 and 50 microseconds of pause instructions.
constexpr int kBarrierSpins = 1000;
constexpr int kIdleSpins = 2500;

std::atomic<uint32_t> g_fork_generation{0};

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int usable_cores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

int default_workers() {
  if (const char* text = std::getenv("BERRANTE_NUM_THREADS"); text != nullptr && *text != '\0') {
    char* end = nullptr;
    const long n = std::strtol(text, &end, 10);
    if (*end != '\0' || n < 1 || n > kMaxWorkers)
      throw std::invalid_argument("BERRANTE_NUM_THREADS must be a number from 1 to 1024; received '" +
                                  std::string(text) + "'");
    return static_cast<int>(n);
  }
  return usable_cores();
}

}  // namespace

void Barrier::reset(int workers, bool spin) {
  workers_ = workers;
  spin_ = spin;
  waiting_.store(0, std::memory_order_relaxed);
}

void Barrier::wait() {
  const uint32_t phase = phase_.load(std::memory_order_relaxed);
  if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == workers_) {
    waiting_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    return;
  }
  for (int spins = spin_ ? kBarrierSpins : 0; phase_.load(std::memory_order_acquire) == phase;) {
    if (spins > 0) {
      --spins;
      pause_cpu();
    } else {
      std::this_thread::yield();
    }
  }
}

struct ThreadPool::State {
  std::mutex region;  // held while a region runs or the pool changes
  std::vector<std::thread> threads;
  std::atomic<int> workers{default_workers()};
  int cores = usable_cores();
  Barrier barrier;
  RegionBody* body = nullptr;
  std::atomic<uint32_t> region_number{0};
  std::atomic<int> running{0};
  std::atomic<int> sleeping{0};
  std::atomic<bool> stopping{false};

  void worker_loop(int worker, uint32_t seen) {
    for (;;) {
      for (int spins = workers <= cores ? kIdleSpins : 0;
           spins > 0 && region_number.load(std::memory_order_acquire) == seen; --spins)
        pause_cpu();
      if (region_number.load(std::memory_order_acquire) == seen) {
        sleeping.fetch_add(1, std::memory_order_seq_cst);
        region_number.wait(seen, std::memory_order_seq_cst);
        sleeping.fetch_sub(1, std::memory_order_relaxed);
        if (region_number.load(std::memory_order_acquire) == seen) continue;
      }
      ++seen;
      if (stopping.load(std::memory_order_acquire)) return;
      body->work(worker, workers, barrier);
      running.fetch_sub(1, std::memory_order_release);
    }
  }

  void start() {
    const uint32_t seen = region_number.load();
    for (int w = static_cast<int>(threads.size()) + 1; w < workers; ++w)
      threads.emplace_back([this, w, seen] { worker_loop(w, seen); });
  }

  void announce() {
    region_number.fetch_add(1, std::memory_order_seq_cst);
    if (sleeping.load(std::memory_order_seq_cst) > 0) region_number.notify_all();
  }

  void stop() {
    if (threads.empty()) return;
    stopping.store(true, std::memory_order_release);
    region_number.fetch_add(1, std::memory_order_seq_cst);
    region_number.notify_all();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
    stopping.store(false, std::memory_order_release);
  }
};

ThreadPool::ThreadPool() : state_(new State) { pthread_atfork(nullptr, nullptr, &ThreadPool::after_fork_in_child); }

// Never destroyed: threads may still wait on it while the process ends.
ThreadPool& ThreadPool::global() {
  static ThreadPool* const pool = new ThreadPool;
  return *pool;
}

void ThreadPool::after_fork_in_child() {
  g_fork_generation.fetch_add(1);
  ThreadPool& pool = global();
  const int workers = pool.state_->workers.load();
  pool.state_ = new State;  // the old one's threads do not exist here; it is left behind
  pool.state_->workers.store(workers);
}

int ThreadPool::size() const { return state_->workers; }

void ThreadPool::resize(int workers) {
  if (workers < 1 || workers > kMaxWorkers)
    throw std::invalid_argument("the number of threads must be 1 to 1024; received " + std::to_string(workers));
  const std::lock_guard lock(state_->region);
  if (workers == state_->workers) return;
  state_->stop();
  state_->workers = workers;
}

bool ThreadPool::try_run(RegionBody& body, int max_workers) {
  State& s = *state_;
  std::unique_lock lock(s.region, std::try_to_lock);
  if (!lock.owns_lock() || s.workers == 1 || s.workers > max_workers) return false;
  s.start();
  s.barrier.reset(s.workers, s.workers <= s.cores);
  s.body = &body;
  s.running.store(s.workers - 1, std::memory_order_relaxed);
  s.announce();
  body.work(0, s.workers, s.barrier);
  for (int spins = s.workers <= s.cores ? kBarrierSpins : 0; s.running.load(std::memory_order_acquire) != 0;) {
    if (spins > 0) {
      --spins;
      pause_cpu();
    } else {
      std::this_thread::yield();
    }
  }
  return true;
}

uint32_t fork_generation() { return g_fork_generation.load(std::memory_order_relaxed); }

ForkSafeMutex::ForkSafeMutex() : mutex_(new std::mutex), generation_(fork_generation()) {}
ForkSafeMutex::~ForkSafeMutex() { delete mutex_; }

void ForkSafeMutex::refresh() {
  if (generation_.load(std::memory_order_relaxed) == fork_generation()) return;
  // Only the forking thread exists at first; the old mutex may be locked forever and is left behind.
  mutex_ = new std::mutex;
  generation_.store(fork_generation(), std::memory_order_relaxed);
}

void ForkSafeMutex::lock() {
  refresh();
  mutex_->lock();
}
bool ForkSafeMutex::try_lock() {
  refresh();
  return mutex_->try_lock();
}

}  // namespace berrante
