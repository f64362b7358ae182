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

void run_to_lanes(const Call& call, const Range& range) {
  const int64_t n = call.in[0].shape[0], m = call.in[0].shape[1];
  const float* x = static_cast<const float*>(call.in[0].data);
  float* y = static_cast<float*>(call.out[0].data);
  for (int64_t block = range.begin; block < range.end; ++block) {
    const int64_t first = block * kLanes, rows = smaller(kLanes, n - first);
    const float* from = x + first * m;
    float* to = y + first * m;
    int64_t i = 0;
    if (rows == kLanes)
      for (; i + kLanes <= m; i += kLanes) {
        vf v[kLanes];
#pragma GCC unroll 16
        for (int j = 0; j < kLanes; ++j) v[j] = load(from + j * m + i);
        transpose(v);
#pragma GCC unroll 16
        for (int j = 0; j < kLanes; ++j) store(to + (i + j) * kLanes, v[j]);
      }
    for (; i < m; ++i)
      for (int64_t j = 0; j < kLanes; ++j) to[i * kLanes + j] = j < rows ? from[j * m + i] : 0.0f;
  }
}

void run_from_lanes(const Call& call, const Range& range) {
  const int64_t n = call.out[0].shape[0], m = call.out[0].shape[1];
  const float* x = static_cast<const float*>(call.in[0].data);
  float* y = static_cast<float*>(call.out[0].data);
  for (int64_t block = range.begin; block < range.end; ++block) {
    const int64_t first = block * kLanes, rows = smaller(kLanes, n - first);
    const float* from = x + first * m;
    float* to = y + first * m;
    int64_t i = 0;
    if (rows == kLanes)
      for (; i + kLanes <= m; i += kLanes) {
        vf v[kLanes];
#pragma GCC unroll 16
        for (int j = 0; j < kLanes; ++j) v[j] = load(from + (i + j) * kLanes);
        transpose(v);
#pragma GCC unroll 16
        for (int j = 0; j < kLanes; ++j) store(to + j * m + i, v[j]);
      }
    for (; i < m; ++i)
      for (int64_t j = 0; j < rows; ++j) to[j * m + i] = from[i * kLanes + j];
  }
}

}  // namespace

BERRANTE_KERNEL(to_lanes, plan_to_lanes, run_to_lanes);
BERRANTE_KERNEL(from_lanes, plan_from_lanes, run_from_lanes);

}  // namespace BERRANTE_ISA
}  // namespace berrante
