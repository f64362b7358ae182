#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace berrante::emulator {

#if defined(__x86_64__)

// Keeps what a function must keep for its caller, on the old stack, and goes on with what the new stack kept.
extern "C" void berrante_change_fiber(void** old_top, void* new_top);
asm(R"(
  .text
  .p2align 4
  .hidden berrante_change_fiber
  .globl berrante_change_fiber
  .type berrante_change_fiber, @function
berrante_change_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size berrante_change_fiber, .-berrante_change_fiber
)");

void Fiber::start(std::byte* stack, size_t size, Entry entry) {
  auto** top = reinterpret_cast<void**>(stack + size);  // 16-byte aligned, as the entry's frame must be
  *--top = nullptr;                                     // the entry's return address: it has none
  *--top = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  top_ = top;
}

void Fiber::change(Fiber& from, Fiber& to) { berrante_change_fiber(&from.top_, to.top_); }

#else

void Fiber::start(std::byte* stack, size_t size, Entry entry) {
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack;
  context_.uc_stack.ss_size = size;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
}

void Fiber::change(Fiber& from, Fiber& to) { swapcontext(&from.context_, &to.context_); }

#endif

// A stack that a failed thread left behind may be marked as out of bounds.
std::byte* Stacks::get(size_t index) {
  std::byte* stack = mapped(index);
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack, kSize);
#endif
  return stack;
}

std::byte* Stacks::mapped(size_t index) {
  constexpr size_t kGuard = 4096, kStep = kSize + kGuard, kCount = 1024;
  if (memory_ == nullptr) {
    void* memory =
        mmap(nullptr, kCount * kStep, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    memory_ = static_cast<std::byte*>(memory);
    for (size_t i = 0; i < kCount; ++i) mprotect(memory_ + i * kStep, kGuard, PROT_NONE);
  }
  return memory_ + index * kStep + kGuard;
}

}  // namespace berrante::emulator
