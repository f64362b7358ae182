// Transposing kLanes vectors of kLanes lanes in registers.
#pragma once
#include "simd.h"

namespace berrante {
namespace BERRANTE_ISA {

template <int... I>
struct LaneNumbers {};
#if BERRANTE_LANES == 16
typedef LaneNumbers<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15> AllLanes;
#elif BERRANTE_LANES == 8
typedef LaneNumbers<0, 1, 2, 3, 4, 5, 6, 7> AllLanes;
#else
typedef LaneNumbers<0, 1, 2, 3> AllLanes;
#endif

// Lane i of the result is lane `From(i)` of a and b laid side by side.
#if defined(__clang__)
#define BERRANTE_PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define BERRANTE_PICK(a, b, ...) __builtin_shuffle(a, b, vi{__VA_ARGS__})
#endif

// One level of a transpose: exchanges the lanes of a whose number has bit S with those of b that have not.
template <int S, int... I>
BERRANTE_INLINE void exchange(vf& a, vf& b, LaneNumbers<I...>) {
  const vf low = BERRANTE_PICK(a, b, ((I & S) ? kLanes + I - S : I)...);
  b = BERRANTE_PICK(a, b, ((I & S) ? kLanes + I : I + S)...);
  a = low;
}

template <int S>
BERRANTE_INLINE void exchange_all(vf (&v)[kLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i)
    if (!(i & S)) exchange<S>(v[i], v[i + S], AllLanes());
}

BERRANTE_INLINE void transpose(vf (&v)[kLanes]) {
#if BERRANTE_LANES == 16
  exchange_all<8>(v);
#endif
#if BERRANTE_LANES >= 8
  exchange_all<4>(v);
#endif
  exchange_all<2>(v);
  exchange_all<1>(v);
}

}  // namespace BERRANTE_ISA
}  // namespace berrante
