// conv2d's adjoint in the input where images have few channels: conv2d_input_grad hands such calls over to
// ops/conv2d_few_channels_cpu.cpp after its own checks.
#pragma once
#include "conv.h"

namespace berrante {
namespace BERRANTE_ISA {

// Whether vectors over the taps and channels are so much fuller than vectors over the channels that they repay the
// additions of what they give; and enough images to share.
BERRANTE_INLINE bool has_few_channels(const Geometry& g) {
  const int64_t taps = g.kh * g.kw;
  return g.groups == 1 && g.n >= 8 && g.k >= 16 && 2 * padded_columns(taps * g.c) <= taps * padded_columns(g.c);
}

void plan_few_channels(const Geometry& g, Plan& plan);
void run_few_channels(const Geometry& g, const Call& call, const Range& range, int64_t activation);

}  // namespace BERRANTE_ISA
}  // namespace berrante
