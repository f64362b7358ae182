// Hopper's warpgroup products and mbarriers (cuda/wgmma.cuh). Each thread computes its own part of D from the bytes
// that the descriptors name, the swizzle undone. As on a card nothing happens before the wait: what is overwritten too
// early shows. Checked: descriptors that the kernels' layout does not have, tiles beyond shared memory. Not checked:
// bytes that were stored without a fence_async_proxy afterwards.
#pragma once
#include "machine.h"

namespace berrante::emulator {

uint32_t shared_address(const void* p);  // from the start of dynamic shared memory
void mbarrier_init(uint64_t* barrier, int arrivals);
void mbarrier_arrive(uint64_t* barrier);
void mbarrier_wait(uint64_t* barrier, int phase);
inline void fence_async_proxy() {}
void wgmma(float (&d)[64], uint64_t a, uint64_t b, int factor);  // 0 tf32, 1 bf16, 2 f16
void wgmma_commit();
void wgmma_wait(int newest);

}  // namespace berrante::emulator
