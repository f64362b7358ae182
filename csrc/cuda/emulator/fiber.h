// Fibers: stacks of their own that one thread of the system changes between. On x86-64 a change is a dozen
// instructions; elsewhere ucontext does it.
#pragma once
#include <cstddef>
#include <memory>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace berrante::emulator {

class Fiber {
 public:
  // The entry must never return: it ends with a change to another fiber, for good.
  using Entry = void (*)();

  Fiber() = default;  // stands for the thread itself
  void start(std::byte* stack, size_t size, Entry entry);
  // Leaves `from`, which goes on when something changes back to it.
  static void change(Fiber& from, Fiber& to);

 private:
#if defined(__x86_64__)
  void* top_ = nullptr;
#else
  ucontext_t context_;
#endif
};

// Stacks with a guard page below each, mapped when first needed and kept.
class Stacks {
 public:
  static constexpr size_t kSize = 256 << 10;
  std::byte* get(size_t index);

 private:
  std::byte* mapped(size_t index);

  std::byte* memory_ = nullptr;
};

}  // namespace berrante::emulator
