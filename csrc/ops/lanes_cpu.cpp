// to_lanes and from_lanes: samples into the vector lanes and back (cpu/lanes.h).
//
// Both transpose tiles of kLanes samples by kLanes elements in registers. A task is one block of kLanes samples.
#include "../cpu/lanes.h"

namespace berrante {
namespace BERRANTE_ISA {
namespace {

void plan_layout(const View& plain, const View& lanes, Plan& plan) {
  if (plain.rank != 2 || lanes.rank != 3 || lanes.shape[2] != kLanes || lanes.shape[1] != plain.shape[1] ||
      lanes.shape[0] != ceil_div(plain.shape[0], kLanes)) {
    plan.error = "expected [N, M] and [ceil(N / lanes), M, lanes] with this instruction set's number of lanes";
    return;
  }
  plan.tasks[0] = lanes.shape[0];
  plan.cost = static_cast<double>(plain.shape[0] * plain.shape[1]) * 0.3;
}

void plan_to_lanes(const Call& call, Plan& plan) { plan_layout(call.in[0], call.out[0], plan); }
void plan_from_lanes(const Call& call, Plan& plan) { plan_layout(call.out[0], call.in[0], plan); }

// One block: element i of sample j lies at plain[j * m + i] and lanes[i * kLanes + j], and goes one way or the other.
template <bool Enter>
void move_block(const float* from, float* to, int64_t m, int64_t samples) {
  const int64_t in_step = Enter ? m : kLanes, out_step = Enter ? kLanes : m;
  int64_t i = 0;
  if (samples == kLanes)
    for (; i + kLanes <= m; i += kLanes) {
      vf v[kLanes];
      const float* in = from + (Enter ? i : i * kLanes);
      float* out = to + (Enter ? i * kLanes : i);
#pragma GCC unroll 16
      for (int j = 0; j < kLanes; ++j) v[j] = load(in + j * in_step);
      transpose(v);
#pragma GCC unroll 16
      for (int j = 0; j < kLanes; ++j) store(out + j * out_step, v[j]);
    }
  for (; i < m; ++i)
    for (int64_t j = 0; j < (Enter ? kLanes : samples); ++j)
      if (Enter)
        to[i * kLanes + j] = j < samples ? from[j * m + i] : 0.0f;
      else
        to[j * m + i] = from[i * kLanes + j];
}

template <bool Enter>
void run_layout(const Call& call, const Range& range) {
  const View& plain = Enter ? call.in[0] : call.out[0];
  const int64_t n = plain.shape[0], m = plain.shape[1];
  const float* x = static_cast<const float*>(call.in[0].data);
  float* y = static_cast<float*>(call.out[0].data);
  for (int64_t block = range.begin; block < range.end; ++block) {
    const int64_t first = block * kLanes;
    move_block<Enter>(x + first * m, y + first * m, m, smaller(kLanes, n - first));
  }
}

}  // namespace

BERRANTE_KERNEL(to_lanes, plan_to_lanes, run_layout<true>);
BERRANTE_KERNEL(from_lanes, plan_from_lanes, run_layout<false>);

}  // namespace BERRANTE_ISA
}  // namespace berrante
