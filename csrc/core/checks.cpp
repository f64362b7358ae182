// The checks of checks.h.
#include "checks.h"

namespace berrante {
namespace {

template <class Attrs>
const Attrs& of(const Call& call) {
  return *static_cast<const Attrs*>(call.attrs);
}

bool is_number(const View& x) { return x.dtype == DType::float32 || x.dtype == DType::int32; }
bool is_float(const View& x) { return x.dtype == DType::float32; }

int64_t count(const View& x) {
  int64_t n = 1;
  for (int i = 0; i < x.rank; ++i) n *= x.shape[i];
  return n;
}

bool same_shape(const View& x, const View& y) {
  bool same = x.rank == y.rank;
  for (int i = 0; same && i < x.rank; ++i) same = x.shape[i] == y.shape[i];
  return same;
}

// [A, R, B] -> [A, B]
bool drops_middle(const View& x, const View& y) {
  return x.rank == 3 && y.rank == 2 && x.shape[0] == y.shape[0] && x.shape[2] == y.shape[1];
}

const char* check_rows(const View& x, const View& y) {
  if (x.rank != 2 || !same_shape(x, y)) return "expected [M, N] -> [M, N]";
  return is_float(x) && is_float(y) ? nullptr : "expected float32";
}

}  // namespace

const char* check_reduce(const Call& call) {
  if (call.n_in != 1 || call.n_out != 1) return "expected one input and one output";
  const View &x = call.in[0], &y = call.out[0];
  if (!drops_middle(x, y) || x.dtype != y.dtype) return "expected [A, R, B] -> [A, B] of one dtype";
  const int64_t kind = of<reduce_attrs>(call).kind;
  if (kind < 0 || kind > 4 || !is_number(x)) return "unknown kind of reduction, or neither float32 nor int32";
  const auto which = static_cast<Reduction>(kind);
  if (x.shape[1] == 0 && (which == Reduction::maximum || which == Reduction::minimum) && count(y) > 0)
    return "cannot take an extreme of nothing";
  if (x.shape[1] == 0 && which == Reduction::mean && x.dtype == DType::int32)
    return "cannot take a whole mean of nothing";
  return nullptr;
}

const char* check_arg_reduce(const Call& call) {
  if (call.n_in != 1 || call.n_out != 1) return "expected one input and one output";
  const View &x = call.in[0], &y = call.out[0];
  const auto kind = static_cast<Reduction>(of<arg_reduce_attrs>(call).kind);
  if (!drops_middle(x, y) || !is_number(x) || y.dtype != DType::int32)
    return "expected float32 or int32 [A, R, B] -> int32 [A, B]";
  if (kind != Reduction::maximum && kind != Reduction::minimum) return "expected maximum or minimum";
  return x.shape[1] == 0 && count(y) > 0 ? "cannot take an extreme of nothing" : nullptr;
}

const char* check_moments(const Call& call) {
  if (call.n_in != 1 || call.n_out != 2 || call.in[0].rank != 3 || !is_float(call.in[0]))
    return "expected float32 [A, R, B] -> mean and variance";
  for (int i = 0; i < 2; ++i)
    if (!drops_middle(call.in[0], call.out[i]) || !is_float(call.out[i]))
      return "expected mean and variance float32 [A, B]";
  return call.in[0].shape[1] == 0 && count(call.out[0]) > 0 ? "cannot take the moments of nothing" : nullptr;
}

const char* check_cumsum(const Call& call) {
  const View &x = call.in[0], &y = call.out[0];
  const bool fits = x.rank == 3 && same_shape(x, y) && x.dtype == y.dtype && is_number(x);
  return fits ? nullptr : "expected [A, R, B] -> [A, R, B], float32 or int32";
}

const char* check_sort(const Call& call) {
  const View& x = call.in[0];
  if (call.n_out != 2 || x.rank != 2 || !is_number(x))
    return "expected float32 or int32 [M, N] -> values and positions";
  const bool fits = same_shape(x, call.out[0]) && same_shape(x, call.out[1]) && call.out[0].dtype == x.dtype &&
                    call.out[1].dtype == DType::int32;
  return fits ? nullptr : "expected values of the input's dtype and int32 positions, both [M, N]";
}

const char* check_softmax(const Call& call) { return check_rows(call.in[0], call.out[0]); }

const char* check_softmax_cross_entropy(const Call& call) {
  if (call.n_in != 2 || call.n_out != 2) return "expected logits and targets -> loss and probabilities";
  const View &x = call.in[0], &target = call.in[1], &loss = call.out[0];
  if (const char* error = check_rows(x, call.out[1])) return error;
  const bool labels = target.dtype == DType::int32 && target.rank == 1 && target.shape[0] == x.shape[0];
  if (!labels && check_rows(x, target) != nullptr) return "expected float32 targets [M, N] or int32 labels [M]";
  return loss.rank != 1 || loss.shape[0] != x.shape[0] || !is_float(loss) ? "expected a loss [M]" : nullptr;
}

const char* check_matmul(const Call& call) {
  if (call.n_in < 2 || call.in[0].rank != 3 || call.in[1].rank != 3 || call.out[0].rank != 3)
    return "expected two operands and a result of rank 3";
  const auto& attrs = of<matmul_attrs>(call);
  const View &a = call.in[0], &b = call.in[1], &c = call.out[0];
  const int ta = attrs.transpose_a != 0, tb = attrs.transpose_b != 0;
  const int64_t batch = c.shape[0], m = c.shape[1], n = c.shape[2], k = a.shape[2 - ta];
  if (a.shape[1 + ta] != m || b.shape[1 + tb] != k || b.shape[2 - tb] != n ||
      (a.shape[0] != 1 && a.shape[0] != batch) || (b.shape[0] != 1 && b.shape[0] != batch))
    return "the operands' extents do not fit";
  if (call.n_in > 2 && (call.in[2].rank != 1 || call.in[2].shape[0] != n)) return "expected a bias of N elements";
  return nullptr;
}

const char* check_resize2d(int64_t kind, const View& x, const View& y) {
  if (x.rank != 4 || y.rank != 4 || x.shape[0] != y.shape[0] || x.shape[3] != y.shape[3] || !is_float(x) ||
      !is_float(y))
    return "expected float32 [N, H, W, C] tensors of one batch and channels";
  if (kind < 0 || kind > 1) return "unknown kind of interpolation";
  return x.shape[1] * x.shape[2] == 0 && y.shape[1] * y.shape[2] > 0 ? "cannot resize an empty image" : nullptr;
}

const char* check_transpose(const Call& call) {
  const View &x = call.in[0], &y = call.out[0];
  const Ints& perm = of<transpose_attrs>(call).perm;
  bool fits = x.rank == y.rank && perm.size == x.rank && x.dtype == y.dtype;
  unsigned seen = 0;
  for (int i = 0; fits && i < x.rank; ++i) {
    const int64_t p = perm.data[i];
    fits = p >= 0 && p < x.rank && x.shape[p] == y.shape[i];
    if (fits) seen |= 1u << p;
  }
  return fits && seen == (1u << x.rank) - 1
             ? nullptr
             : "expected a permutation of the dimensions, and a result of that shape and dtype";
}

const char* check_slice(const Call& call) {
  const View &x = call.in[0], &y = call.out[0];
  const auto& t = of<slice_attrs>(call);
  if (x.rank != y.rank || x.dtype != y.dtype || t.start.size != x.rank || t.step.size != x.rank)
    return "expected starts and steps for every dimension, and a result of the same rank and dtype";
  for (int i = 0; i < x.rank; ++i) {
    const int64_t first = t.start.data[i], last = first + (y.shape[i] - 1) * t.step.data[i];
    if (y.shape[i] > 0 && (first < 0 || first >= x.shape[i] || last < 0 || last >= x.shape[i]))
      return "the slice leaves its input";
  }
  return nullptr;
}

const char* check_concat(const Call& call) {
  const View& y = call.out[0];
  int64_t total = 0;
  bool fits = y.rank == 3 && call.n_in > 0;
  for (int k = 0; fits && k < call.n_in; ++k) {
    const View& x = call.in[k];
    fits = x.rank == 3 && x.shape[0] == y.shape[0] && x.shape[2] == y.shape[2] && x.dtype == y.dtype;
    total += x.shape[1];
  }
  return fits && total == y.shape[1] ? nullptr : "expected inputs [A, n, B] -> [A, sum of n, B] of one dtype";
}

const char* check_pad(const Call& call) {
  const auto& t = of<pad_attrs>(call);
  const View &x = call.in[0], &y = call.out[0];
  if (x.rank != y.rank || x.dtype != y.dtype || t.low.size != x.rank || t.interior.size != x.rank)
    return "expected widths for every dimension, and a result of the same rank and dtype";
  for (int i = 0; i < x.rank; ++i)
    if (t.interior.data[i] < 0) return "expected interior widths of zero or more";
  return nullptr;
}

const char* check_gather(const Call& call) {
  if (call.n_in != 2) return "expected x and indices";
  const View &x = call.in[0], &at = call.in[1], &y = call.out[0];
  const bool fits = x.rank == 3 && at.rank == 1 && y.rank == 3 && at.dtype == DType::int32 && x.dtype == y.dtype &&
                    y.shape[0] == x.shape[0] && y.shape[1] == at.shape[0] && y.shape[2] == x.shape[2];
  return fits ? nullptr : "expected x [A, n, B] and int32 indices [M] -> [A, M, B] of x's dtype";
}

const char* check_scatter_add(const Call& call) {
  if (call.n_in != 2) return "expected indices and updates";
  const View &at = call.in[0], &x = call.in[1], &y = call.out[0];
  const bool fits = at.rank == 1 && x.rank == 3 && y.rank == 3 && at.dtype == DType::int32 && is_float(x) &&
                    is_float(y) && x.shape[0] == y.shape[0] && x.shape[1] == at.shape[0] && x.shape[2] == y.shape[2];
  return fits ? nullptr : "expected int32 indices [M] and float32 updates [A, M, B] -> float32 [A, n, B]";
}

void add_dimension(Dimensions& all, int64_t extent, int64_t from, int64_t to) {
  if (extent == 1) return;
  const int last = all.rank - 1;
  if (last >= 0 && all.from[last] == from * extent && all.to[last] == to * extent) {
    all.shape[last] *= extent;
    all.from[last] = from;
    all.to[last] = to;
    return;
  }
  all.shape[all.rank] = extent;
  all.from[all.rank] = from;
  all.to[all.rank++] = to;
}

}  // namespace berrante
