// What the kernels of every device check of their calls, from shapes and attributes alone: null, or what is wrong. A
// device adds its own limits. Defined in a file of its own, compiled once (see cpu/simd.h on inline functions).
#pragma once
#include "attrs.h"
#include "kernel.h"

namespace berrante {

const char* check_reduce(const Call& call);
const char* check_arg_reduce(const Call& call);
const char* check_moments(const Call& call);
const char* check_cumsum(const Call& call);
const char* check_sort(const Call& call);
const char* check_softmax(const Call& call);  // and log_softmax
const char* check_softmax_cross_entropy(const Call& call);
const char* check_matmul(const Call& call);
const char* check_resize2d(int64_t kind, const View& small_or_large, const View& other);  // and its adjoint
const char* check_transpose(const Call& call);
const char* check_slice(const Call& call);
const char* check_concat(const Call& call);
const char* check_pad(const Call& call);
const char* check_gather(const Call& call);
const char* check_scatter_add(const Call& call);

// The dimensions of a copy between two layouts: element steps of source and target. Those that both walk in one stride
// are merged as they are added, outermost first.
struct Dimensions {
  int rank;
  int64_t shape[kMaxRank + 2], from[kMaxRank + 2], to[kMaxRank + 2];
};
void add_dimension(Dimensions& all, int64_t extent, int64_t from, int64_t to);

}  // namespace berrante
