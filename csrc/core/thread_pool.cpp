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
constexpr int kSpins = 2500;  // about 50 microseconds of pause instructions

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

namespace {

// A phase is one word, its number and how many pieces it has, and a share another: the number of the phase that it was
// last used in and its next piece. Numbers only grow, so a worker that comes late with an old phase takes nothing.
constexpr int kPieceBits = 16;
constexpr uint64_t kPieceMask = (uint64_t{1} << kPieceBits) - 1;

struct alignas(64) Share {
  std::atomic<uint64_t> taken{0};
};

struct Pieces {
  int64_t begin = 0, end = 0;
};

// Half of what is left of a share of which `first` to `last` are this phase's pieces.
Pieces take(Share& share, uint64_t number, int64_t first, int64_t last) {
  uint64_t word = share.taken.load(std::memory_order_relaxed);
  for (;;) {
    const uint64_t used_in = word >> kPieceBits;
    const int64_t next = used_in < number ? first : used_in == number ? static_cast<int64_t>(word & kPieceMask) : last;
    if (next >= last) return {};
    const int64_t end = next + std::max<int64_t>(1, (last - next) / 2);
    if (share.taken.compare_exchange_weak(word, number << kPieceBits | static_cast<uint64_t>(end),
                                          std::memory_order_relaxed))
      return {next, end};
  }
}

}  // namespace

struct ThreadPool::State {
  std::mutex region;  // held while a region runs or the pool changes
  std::vector<std::thread> threads;
  std::atomic<int> workers{default_workers()};
  int cores = usable_cores();
  std::vector<Share> shares;
  RegionBody* body = nullptr;
  alignas(64) std::atomic<uint64_t> phase{0};
  alignas(64) std::atomic<int64_t> left{0};  // pieces of the phase that are not done
  alignas(64) std::atomic<int> sleeping{0};
  std::atomic<uint32_t> wakes{0};
  std::atomic<bool> stopping{false};

  // Does some pieces of the phase, its own first; false if there are none to take.
  bool help(int worker, uint64_t now) {
    const auto pieces = static_cast<int64_t>(now & kPieceMask);
    for (int k = 0; k < workers && pieces > 0; ++k) {
      const int owner = worker + k < workers ? worker + k : worker + k - workers;
      const Pieces some = take(shares[static_cast<size_t>(owner)], now >> kPieceBits, pieces * owner / workers,
                               pieces * (owner + 1) / workers);
      if (some.begin == some.end) continue;
      body->run(worker, some.begin, some.end);
      const int64_t done = some.end - some.begin;
      if (left.fetch_sub(done, std::memory_order_acq_rel) == done) publish(body->advance(worker));
      return true;
    }
    return false;
  }

  void publish(int64_t pieces) {
    const uint64_t number = (phase.load(std::memory_order_relaxed) >> kPieceBits) + 1;
    left.store(pieces, std::memory_order_relaxed);
    phase.store(number << kPieceBits | static_cast<uint64_t>(pieces), std::memory_order_seq_cst);
    if (sleeping.load(std::memory_order_seq_cst) > 0) wake();
  }

  void wake() {
    sleeping.store(0, std::memory_order_seq_cst);
    wakes.fetch_add(1, std::memory_order_seq_cst);
    wakes.notify_all();
  }

  // Until there is another phase: a while awake, then asleep, so that who holds the last piece can have this core.
  void wait(uint64_t seen) {
    for (int spins = workers <= cores ? kSpins : 0; spins > 0; --spins) {
      if (phase.load(std::memory_order_acquire) != seen) return;
      pause_cpu();
    }
    const uint32_t ticket = wakes.load(std::memory_order_seq_cst);
    sleeping.fetch_add(1, std::memory_order_seq_cst);
    if (phase.load(std::memory_order_seq_cst) == seen && !stopping.load(std::memory_order_seq_cst))
      wakes.wait(ticket, std::memory_order_seq_cst);
  }

  void worker_loop(int worker) {
    while (!stopping.load(std::memory_order_acquire)) {
      const uint64_t now = phase.load(std::memory_order_acquire);
      if (!help(worker, now)) wait(now);
    }
  }

  void start() {
    if (shares.size() == static_cast<size_t>(workers)) return;
    shares = std::vector<Share>(static_cast<size_t>(workers));
    for (int w = 1; w < workers; ++w) threads.emplace_back([this, w] { worker_loop(w); });
  }

  void stop() {
    stopping.store(true, std::memory_order_seq_cst);
    wake();
    for (std::thread& thread : threads) thread.join();
    threads.clear();
    shares.clear();
    stopping.store(false, std::memory_order_seq_cst);
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

bool ThreadPool::try_run(RegionBody& body, int workers) {
  State& s = *state_;
  const std::unique_lock lock(s.region, std::try_to_lock);
  if (!lock.owns_lock() || s.workers == 1 || s.workers != workers) return false;
  s.start();
  s.body = &body;
  s.publish(body.advance(0));
  for (;;) {
    const uint64_t now = s.phase.load(std::memory_order_acquire);
    if ((now & kPieceMask) == 0) return true;
    if (!s.help(0, now)) s.wait(now);
  }
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
