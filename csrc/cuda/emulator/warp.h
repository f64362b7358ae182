// Warp operations: shuffles, votes, __syncwarp.
#pragma once
#include <type_traits>

#include "machine.h"

namespace berrante::emulator {

template <class T>
struct Shuffle {
  T value;
  int source;  // a lane of the warp
  T result;
};

template <class T>
T shuffle(unsigned mask, T value, int source, const char* file, int line) {
  static_assert(std::is_trivially_copyable_v<T>);
  Shuffle<T> mine{value, source, value};
  warp_operation(
      mask,
      [](void* const* arguments, unsigned lanes) {
        for (int i = 0; i < 32; ++i) {
          if ((lanes >> i & 1) == 0) continue;
          auto* to = static_cast<Shuffle<T>*>(arguments[i]);
          if ((lanes >> to->source & 1) == 0) fail("a shuffle reads a lane that is not in its mask");
          to->result = static_cast<const Shuffle<T>*>(arguments[to->source])->value;
        }
      },
      &mine, file, line);
  return mine.result;
}

struct Vote {
  bool value;
  unsigned result;
};
inline unsigned vote(unsigned mask, bool value, const char* file, int line) {
  Vote mine{value, 0};
  warp_operation(
      mask,
      [](void* const* arguments, unsigned lanes) {
        unsigned ballot = 0;
        for (int i = 0; i < 32; ++i)
          if ((lanes >> i & 1) != 0 && static_cast<const Vote*>(arguments[i])->value) ballot |= 1u << i;
        for (int i = 0; i < 32; ++i)
          if ((lanes >> i & 1) != 0) static_cast<Vote*>(arguments[i])->result = ballot;
      },
      &mine, file, line);
  return mine.result;
}

}  // namespace berrante::emulator

#define BERRANTE_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, BERRANTE_PLACE) {
  const int lane = berrante::emulator::lane(), first = lane & ~(width - 1);
  return berrante::emulator::shuffle(mask, value, first + (source & (width - 1)), file, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, BERRANTE_PLACE) {
  const int lane = berrante::emulator::lane(), source = lane ^ lanes, last = (lane & ~(width - 1)) + width - 1;
  return berrante::emulator::shuffle(mask, value, source > last ? lane : source, file, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32, BERRANTE_PLACE) {
  const int lane = berrante::emulator::lane(), source = lane + static_cast<int>(lanes);
  return berrante::emulator::shuffle(mask, value, source > (lane | (width - 1)) ? lane : source, file, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = 32, BERRANTE_PLACE) {
  const int lane = berrante::emulator::lane(), source = lane - static_cast<int>(lanes);
  return berrante::emulator::shuffle(mask, value, source < (lane & ~(width - 1)) ? lane : source, file, line);
}
inline unsigned __ballot_sync(unsigned mask, int value, BERRANTE_PLACE) {
  return berrante::emulator::vote(mask, value != 0, file, line);
}
inline int __any_sync(unsigned mask, int value, BERRANTE_PLACE) {
  return berrante::emulator::vote(mask, value != 0, file, line) != 0;
}
inline int __all_sync(unsigned mask, int value, BERRANTE_PLACE) {
  return berrante::emulator::vote(mask, value != 0, file, line) == mask;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, BERRANTE_PLACE) {
  berrante::emulator::vote(mask, false, file, line);
}
inline int __syncthreads_or(int value, BERRANTE_PLACE) {
  static int any = 0;
  berrante::emulator::barrier(0, 0, file, line);
  any = 0;
  berrante::emulator::barrier(0, 0, file, line);
  any |= value;
  berrante::emulator::barrier(0, 0, file, line);
  return any;
}
#undef BERRANTE_PLACE
