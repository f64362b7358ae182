// Depthwise convolutions: one input channel a group. conv2d and its adjoints hand such calls over to
// ops/conv2d_depthwise_cpu.cpp after their own checks.
#pragma once
#include "conv.h"

namespace berrante {
namespace BERRANTE_ISA {

BERRANTE_INLINE bool is_depthwise(const Geometry& g) { return g.groups > 1 && g.cg == 1; }

void plan_depthwise(const Geometry& g, Plan& plan);
void run_depthwise(const Geometry& g, const Call& call, const Range& range, int64_t activation);

void plan_depthwise_input_grad(const Geometry& g, Plan& plan);
void run_depthwise_input_grad(const Geometry& g, const Call& call, const Range& range, int64_t activation);

void plan_depthwise_weight_grad(const Geometry& g, Plan& plan);
void run_depthwise_weight_grad(const Geometry& g, const Call& call, const Range& range);

}  // namespace BERRANTE_ISA
}  // namespace berrante
