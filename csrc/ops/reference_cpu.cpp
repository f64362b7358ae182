// TEMPORARY plain kernels, weak: each vanishes when the real one of its name is linked.
#include "../cpu/simd.h"
#define WEAK_KERNEL(name)                                  \
  extern const Kernel name##_kernel __attribute__((weak)); \
  constinit const Kernel name##_kernel = {#name, plan_##name, run_##name}
namespace berrante {
namespace BERRANTE_ISA {
namespace {
enum {
#define MICRO(n, a, t, f) M_##n,
#include "../core/micro.def"
#undef MICRO
};
void plan_map(const Call& c, Plan& p) {
  int64_t n = 1;
  auto& a = attrs_of<map_attrs>(c);
  for (int i = 0; i < a.shape.size; i++) n *= a.shape.data[i];
  p.tasks[0] = n > 4096 ? (n + 4095) / 4096 : 1;
  p.cost = n * 1.0;
}
void run_map(const Call& c, const Range& r) {
  auto& a = attrs_of<map_attrs>(c);
  int64_t n = 1;
  for (int i = 0; i < a.shape.size; i++) n *= a.shape.data[i];
  int64_t lo = r.begin * 4096, hi = r.end * 4096;
  if (hi > n) hi = n;
  int nin = c.n_in, nc = (int)a.constants.size;
  for (int64_t i = lo; i < hi; i++) {
    union V {
      float f;
      int32_t i;
    };
    V reg[512];
    for (int k = 0; k < nin; k++) {
      int64_t rest = i, off = 0;
      for (int d = (int)a.shape.size - 1; d >= 0; d--) {
        int64_t q = rest % a.shape.data[d];
        rest /= a.shape.data[d];
        off += q * a.strides.data[k * a.shape.size + d];
      }
      if (c.in[k].dtype == DType::float32)
        reg[k].f = ((float*)c.in[k].data)[off];
      else if (c.in[k].dtype == DType::int32)
        reg[k].i = ((int32_t*)c.in[k].data)[off];
      else
        reg[k].i = ((uint8_t*)c.in[k].data)[off];
    }
    const int64_t* p = a.code.data;
    auto F = [&](int64_t q) { return q >= nin && q < nin + nc ? (float)a.constants.data[q - nin] : reg[q].f; };
    auto I = [&](int64_t q) { return q >= nin && q < nin + nc ? (int32_t)a.constants.data[q - nin] : reg[q].i; };
    for (int64_t m = 0; m < a.code.size; m += 5) {
      V& d = reg[p[m + 1]];
      int64_t x = p[m + 2], y = p[m + 3], z = p[m + 4];
      switch (p[m]) {
        case M_add_f: d.f = F(x) + F(y); break;
        case M_sub_f: d.f = F(x) - F(y); break;
        case M_mul_f: d.f = F(x) * F(y); break;
        case M_div_f: d.f = F(x) / F(y); break;
        case M_neg_f: d.f = -F(x); break;
        case M_eq_f: d.i = F(x) == F(y); break;
        case M_max_f: d.f = F(x) > F(y) ? F(x) : F(y); break;
        case M_to_f: d.f = (float)I(x); break;
        case M_to_i: d.i = (int)F(x); break;
        case M_select: d.f = I(x) ? F(y) : F(z); break;
        case M_add_i: d.i = I(x) + I(y); break;
        case M_sub_i: d.i = I(x) - I(y); break;
        case M_mul_i: d.i = I(x) * I(y); break;
        case M_max_i: d.i = I(x) > I(y) ? I(x) : I(y); break;
        case M_min_i: d.i = I(x) < I(y) ? I(x) : I(y); break;
        case M_and_i: d.i = I(x) & I(y); break;
        case M_or_i: d.i = I(x) | I(y); break;
        case M_xor_i: d.i = I(x) ^ I(y); break;
        case M_eq_i: d.i = I(x) == I(y); break;
        case M_ne_i: d.i = I(x) != I(y); break;
        case M_lt_i: d.i = I(x) < I(y); break;
        case M_le_i: d.i = I(x) <= I(y); break;
        case M_min_f: d.f = F(x) < F(y) ? F(x) : F(y); break;
        case M_ne_f: d.i = F(x) != F(y); break;
        case M_lt_f: d.i = F(x) < F(y); break;
        case M_le_f: d.i = F(x) <= F(y); break;
        case M_isnan_f: d.i = F(x) != F(x); break;
        case M_isfinite_f: d.i = F(x) - F(x) == 0; break;
        case M_pow_f: d.f = __builtin_powf(F(x), F(y)); break;
        case M_abs_f: d.f = __builtin_fabsf(F(x)); break;
        case M_sign_f: d.f = (float)((F(x) > 0) - (F(x) < 0)); break;
        case M_square_f: d.f = F(x) * F(x); break;
        case M_sqrt_f: d.f = __builtin_sqrtf(F(x)); break;
        case M_rsqrt_f: d.f = 1 / __builtin_sqrtf(F(x)); break;
        case M_reciprocal_f: d.f = 1 / F(x); break;
        case M_exp_f: d.f = __builtin_expf(F(x)); break;
        case M_expm1_f: d.f = __builtin_expm1f(F(x)); break;
        case M_log_f: d.f = __builtin_logf(F(x)); break;
        case M_log1p_f: d.f = __builtin_log1pf(F(x)); break;
        case M_tanh_f: d.f = __builtin_tanhf(F(x)); break;
        case M_sigmoid_f: d.f = 1 / (1 + __builtin_expf(-F(x))); break;
        case M_softplus_f:
          d.f = F(x) > 0 ? F(x) + __builtin_log1pf(__builtin_expf(-F(x))) : __builtin_log1pf(__builtin_expf(F(x)));
          break;
        case M_erf_f: d.f = __builtin_erff(F(x)); break;
        case M_floor_f: d.f = __builtin_floorf(F(x)); break;
        case M_ceil_f: d.f = __builtin_ceilf(F(x)); break;
        case M_round_f: d.f = __builtin_rintf(F(x)); break;
        case M_trunc_f: d.f = __builtin_truncf(F(x)); break;
        case M_sin_f: d.f = __builtin_sinf(F(x)); break;
        case M_cos_f: d.f = __builtin_cosf(F(x)); break;
        case M_floordiv_f: d.f = __builtin_floorf(F(x) / F(y)); break;
        case M_mod_f: d.f = F(x) - __builtin_floorf(F(x) / F(y)) * F(y); break;
        case M_neg_i: d.i = -I(x); break;
        case M_abs_i: d.i = I(x) < 0 ? -I(x) : I(x); break;
        case M_coordinate: d.i = (int32_t)((i / I(x)) % I(y)); break;
        case M_uniform:
        case M_bits:
        case M_normal: {
          uint32_t k0 = (uint32_t)I(x), k1 = (uint32_t)I(y);
          uint32_t w[4] = {(uint32_t)(i / 4), (uint32_t)((uint64_t)(i / 4) >> 32), 0, 0};
          for (int q = 0; q < 10; q++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * w[0], p1 = (uint64_t)0xCD9E8D57u * w[2];
            uint32_t n0 = (uint32_t)(p1 >> 32) ^ w[1] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ w[3] ^ k1;
            w[1] = (uint32_t)p1;
            w[3] = (uint32_t)p0;
            w[0] = n0;
            w[2] = n2;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
          }
          int l = (int)(i % 4);
          if (p[m] == M_bits)
            d.i = (int32_t)w[l];
          else if (p[m] == M_uniform)
            d.f = (float)(w[l] >> 8) * 0x1p-24f;
          else {
            float u1 = (float)((w[l & 2] >> 8) + 1) * 0x1p-24f, u2 = (float)(w[(l & 2) + 1] >> 8) * 0x1p-24f;
            float rr = __builtin_sqrtf(-2 * __builtin_logf(u1));
            d.f = rr * ((l & 1) ? __builtin_sinf(6.2831853f * u2) : __builtin_cosf(6.2831853f * u2));
          }
          break;
        }
        default: d.f = __builtin_nanf("");
      }
    }
    for (int k = 0; k < c.n_out; k++) {
      int64_t q = a.outputs.data[k];
      if (c.out[k].dtype == DType::float32)
        ((float*)c.out[k].data)[i] = F(q);
      else if (c.out[k].dtype == DType::int32)
        ((int32_t*)c.out[k].data)[i] = I(q);
      else
        ((uint8_t*)c.out[k].data)[i] = (uint8_t)I(q);
    }
  }
}

void plan_reduce(const Call& c, Plan& p) {
  p.tasks[0] = 1;
  p.cost = (double)c.in[0].shape[0] * c.in[0].shape[1] * c.in[0].shape[2];
}
template <class T>
void red(const Call& c, int64_t kind) {
  int64_t A = c.in[0].shape[0], R = c.in[0].shape[1], B = c.in[0].shape[2];
  const T* x = (const T*)c.in[0].data;
  T* y = (T*)c.out[0].data;
  for (int64_t i = 0; i < A; i++)
    for (int64_t b = 0; b < B; b++) {
      double s = kind == 4 ? 1 : 0;
      for (int64_t k = 0; k < R; k++) {
        double v = x[(i * R + k) * B + b];
        if (kind == 2)
          s = (k == 0 || v > s || v != v) ? v : s;
        else if (kind == 3)
          s = (k == 0 || v < s || v != v) ? v : s;
        else if (kind == 4)
          s *= v;
        else
          s += v;
      }
      if (kind == 1) s /= (double)R;
      y[i * B + b] = (T)s;
    }
}
void run_reduce(const Call& c, const Range&) {
  int64_t k = attrs_of<reduce_attrs>(c).kind;
  if (c.in[0].dtype == DType::float32)
    red<float>(c, k);
  else
    red<int32_t>(c, k);
}
void plan_arg_reduce(const Call&, Plan&) {}
void run_arg_reduce(const Call& c, const Range&) {
  int64_t kind = attrs_of<arg_reduce_attrs>(c).kind, A = c.in[0].shape[0], R = c.in[0].shape[1], B = c.in[0].shape[2];
  bool f = c.in[0].dtype == DType::float32;
  for (int64_t i = 0; i < A; i++)
    for (int64_t b = 0; b < B; b++) {
      double s = 0;
      int32_t w = 0;
      for (int64_t k = 0; k < R; k++) {
        int64_t o = (i * R + k) * B + b;
        double v = f ? ((float*)c.in[0].data)[o] : ((int32_t*)c.in[0].data)[o];
        if (k == 0 || (kind == 2 ? v > s : v < s)) {
          s = v;
          w = (int32_t)k;
        }
      }
      ((int32_t*)c.out[0].data)[i * B + b] = w;
    }
}
void plan_moments(const Call&, Plan&) {}
void run_moments(const Call& c, const Range&) {
  int64_t A = c.in[0].shape[0], R = c.in[0].shape[1], B = c.in[0].shape[2];
  const float* x = (float*)c.in[0].data;
  for (int64_t i = 0; i < A; i++)
    for (int64_t b = 0; b < B; b++) {
      double m = 0, v = 0;
      for (int64_t k = 0; k < R; k++) m += x[(i * R + k) * B + b];
      m /= (double)R;
      for (int64_t k = 0; k < R; k++) {
        double d = x[(i * R + k) * B + b] - m;
        v += d * d;
      }
      ((float*)c.out[0].data)[i * B + b] = (float)m;
      ((float*)c.out[1].data)[i * B + b] = (float)(v / (double)R);
    }
}
void plan_softmax(const Call&, Plan&) {}
void sm(const float* x, float* y, int64_t N, bool lg) {
  double m = -1e300, s = 0;
  for (int64_t j = 0; j < N; j++) m = x[j] > m ? x[j] : m;
  for (int64_t j = 0; j < N; j++) s += __builtin_exp(x[j] - m);
  for (int64_t j = 0; j < N; j++) y[j] = (float)(lg ? x[j] - m - __builtin_log(s) : __builtin_exp(x[j] - m) / s);
}
void run_softmax(const Call& c, const Range&) {
  int64_t M = c.in[0].shape[0], N = c.in[0].shape[1];
  for (int64_t i = 0; i < M; i++) sm((float*)c.in[0].data + i * N, (float*)c.out[0].data + i * N, N, false);
}
void plan_log_softmax(const Call&, Plan&) {}
void run_log_softmax(const Call& c, const Range&) {
  int64_t M = c.in[0].shape[0], N = c.in[0].shape[1];
  for (int64_t i = 0; i < M; i++) sm((float*)c.in[0].data + i * N, (float*)c.out[0].data + i * N, N, true);
}
void plan_softmax_cross_entropy(const Call&, Plan&) {}
void run_softmax_cross_entropy(const Call& c, const Range&) {
  double clip = attrs_of<softmax_cross_entropy_attrs>(c).clip;
  int64_t M = c.in[0].shape[0], N = c.in[0].shape[1];
  for (int64_t i = 0; i < M; i++) {
    float* p = (float*)c.out[1].data + i * N;
    const float* x = (float*)c.in[0].data + i * N;
    sm(x, p, N, false);
    double m = -1e300, s = 0;
    for (int64_t j = 0; j < N; j++) m = x[j] > m ? x[j] : m;
    for (int64_t j = 0; j < N; j++) s += __builtin_exp(x[j] - m);
    auto nl = [&](int64_t j) {
      double l = x[j] - m - __builtin_log(s);
      if (clip > 0) {
        double lo = __builtin_log(clip), hi = __builtin_log(1 - clip);
        l = l < lo ? lo : l > hi ? hi : l;
      }
      return -l;
    };
    double loss = 0;
    if (c.in[1].dtype == DType::int32) {
      int32_t t = ((int32_t*)c.in[1].data)[i];
      loss = t < 0 || t >= N ? __builtin_nan("") : nl(t);
    } else
      for (int64_t j = 0; j < N; j++) loss += ((float*)c.in[1].data)[i * N + j] * nl(j);
    ((float*)c.out[0].data)[i] = (float)loss;
  }
}
float act(float v, int64_t a) {
  return a == 1 ? (v > 0 ? v : 0) : a == 2 ? 1 / (1 + __builtin_expf(-v)) : a == 3 ? __builtin_tanhf(v) : v;
}
void plan_matmul(const Call&, Plan&) {}
void run_matmul(const Call& c, const Range&) {
  auto& t = attrs_of<matmul_attrs>(c);
  int64_t Bt = c.out[0].shape[0], M = c.out[0].shape[1], N = c.out[0].shape[2],
          K = t.transpose_a ? c.in[0].shape[1] : c.in[0].shape[2];
  for (int64_t q = 0; q < Bt; q++) {
    const float *a = (float*)c.in[0].data + (c.in[0].shape[0] == 1 ? 0 : q * M * K),
                *b = (float*)c.in[1].data + (c.in[1].shape[0] == 1 ? 0 : q * N * K);
    for (int64_t i = 0; i < M; i++)
      for (int64_t j = 0; j < N; j++) {
        float s = c.n_in > 2 ? ((float*)c.in[2].data)[j] : 0;
        for (int64_t k = 0; k < K; k++)
          s += (t.transpose_a ? a[k * M + i] : a[i * K + k]) * (t.transpose_b ? b[j * K + k] : b[k * N + j]);
        ((float*)c.out[0].data)[(q * M + i) * N + j] = act(s, t.activation);
      }
  }
}
// mode 0 forward, 1 input grad, 2 weight grad
template <class A>
void cv(const A& t, const View& X, const View& W, const View& Y, int mode) {
  float *x = (float*)X.data, *w = (float*)W.data, *y = (float*)Y.data;
  int64_t N = X.shape[0], H = X.shape[1], Wd = X.shape[2], C = X.shape[3], KH = W.shape[0], KW = W.shape[1],
          Cg = W.shape[2], K = W.shape[3], OH = Y.shape[1], OW = Y.shape[2], Kg = K / t.groups;
  for (int64_t n = 0; n < N; n++)
    for (int64_t oh = 0; oh < OH; oh++)
      for (int64_t ow = 0; ow < OW; ow++)
        for (int64_t kh = 0; kh < KH; kh++)
          for (int64_t kw = 0; kw < KW; kw++) {
            int64_t h = oh * t.stride_h - t.pad_top + kh * t.dilation_h,
                    v = ow * t.stride_w - t.pad_left + kw * t.dilation_w;
            if (h < 0 || h >= H || v < 0 || v >= Wd) continue;
            for (int64_t cc = 0; cc < Cg; cc++)
              for (int64_t k = 0; k < K; k++) {
                float &xx = x[((n * H + h) * Wd + v) * C + (k / Kg) * Cg + cc],
                      &ww = w[((kh * KW + kw) * Cg + cc) * K + k], &yy = y[((n * OH + oh) * OW + ow) * K + k];
                if (mode == 0)
                  yy += xx * ww;
                else if (mode == 1)
                  xx += yy * ww;
                else
                  ww += xx * yy;
              }
          }
}
int64_t sz(const View& v) {
  int64_t n = 1;
  for (int i = 0; i < v.rank; i++) n *= v.shape[i];
  return n;
}
void fin(const Call& c, int64_t a) {
  int64_t n = sz(c.out[0]), K = c.out[0].shape[3];
  float* y = (float*)c.out[0].data;
  for (int64_t i = 0; i < n; i++) y[i] = act(y[i] + (c.n_in > 2 ? ((float*)c.in[2].data)[i % K] : 0), a);
}
void plan_conv2d(const Call&, Plan&) {}
void run_conv2d(const Call& c, const Range&) {
  auto& t = attrs_of<conv2d_attrs>(c);
  __builtin_memset(c.out[0].data, 0, (size_t)sz(c.out[0]) * 4);
  cv(t, c.in[0], c.in[1], c.out[0], 0);
  fin(c, t.activation);
}
void plan_conv2d_input_grad(const Call&, Plan&) {}
void run_conv2d_input_grad(const Call& c, const Range&) {
  auto& t = attrs_of<conv2d_input_grad_attrs>(c);
  __builtin_memset(c.out[0].data, 0, (size_t)sz(c.out[0]) * 4);
  cv(t, c.out[0], c.in[1], c.in[0], 1);
  fin(c, t.activation);
}
void plan_conv2d_weight_grad(const Call&, Plan&) {}
void run_conv2d_weight_grad(const Call& c, const Range&) {
  auto& t = attrs_of<conv2d_weight_grad_attrs>(c);
  __builtin_memset(c.out[0].data, 0, (size_t)sz(c.out[0]) * 4);
  cv(t, c.in[0], c.out[0], c.in[1], 2);
}
// pooling without median
template <class A>
void pl(const A& t, const View& X, const View& Y, const float* v, const float* dy, float* y, float* dx) {
  const float* x = (float*)X.data;
  int64_t N = X.shape[0], H = X.shape[1], W = X.shape[2], C = X.shape[3], OH = Y.shape[1], OW = Y.shape[2];
  for (int64_t n = 0; n < N; n++)
    for (int64_t oh = 0; oh < OH; oh++)
      for (int64_t ow = 0; ow < OW; ow++)
        for (int64_t c = 0; c < C; c++) {
          int64_t at[256];
          int m = 0;
          for (int64_t i = 0; i < t.window_h; i++)
            for (int64_t j = 0; j < t.window_w; j++) {
              int64_t h = oh * t.stride_h - t.pad_top + i, w = ow * t.stride_w - t.pad_left + j;
              if (h >= 0 && h < H && w >= 0 && w < W && m < 256) at[m++] = ((n * H + h) * W + w) * C + c;
            }
          int64_t o = ((n * OH + oh) * OW + ow) * C + c;
          if (t.kind == 1) {
            float s = 0;
            for (int q = 0; q < m; q++) {
              if (y)
                s += v[at[q]];
              else
                dx[at[q]] += dy[o] / (float)m;
            }
            if (y) y[o] = s / (float)m;
            continue;
          }
          for (int q = 1; q < m; q++) {
            int64_t a = at[q];
            int r = q;
            while (r > 0 && x[at[r - 1]] > x[a]) {
              at[r] = at[r - 1];
              r--;
            }
            at[r] = a;
          }
          int64_t a, b;
          if (t.kind == 0) {
            b = at[m - 1];
            for (int q = m - 1; q > 0 && x[at[q - 1]] == x[at[m - 1]]; q--) b = at[q - 1];
            a = b;
          } else {
            a = at[(m - 1) / 2];
            b = at[m / 2];
          }
          if (y)
            y[o] = 0.5f * (v[a] + v[b]);
          else {
            dx[a] += 0.5f * dy[o];
            dx[b] += 0.5f * dy[o];
          }
        }
}
void plan_pool2d(const Call&, Plan&) {}
void run_pool2d(const Call& c, const Range&) {
  pl(attrs_of<pool2d_attrs>(c), c.in[0], c.out[0], (float*)c.in[0].data, nullptr, (float*)c.out[0].data, nullptr);
}
void plan_pool2d_pick(const Call&, Plan&) {}
void run_pool2d_pick(const Call& c, const Range&) {
  pl(attrs_of<pool2d_pick_attrs>(c), c.in[0], c.out[0], (float*)c.in[1].data, nullptr, (float*)c.out[0].data, nullptr);
}
void plan_pool2d_grad(const Call&, Plan&) {}
void run_pool2d_grad(const Call& c, const Range&) {
  __builtin_memset(c.out[0].data, 0, (size_t)sz(c.out[0]) * 4);
  pl(attrs_of<pool2d_grad_attrs>(c), c.in[0], c.in[1], nullptr, (float*)c.in[1].data, nullptr, (float*)c.out[0].data);
}
// movement of 1- or 4-byte elements through coordinates
struct Walk {
  int64_t i[8];
};
template <class F>
void each(const View& v, F f) {
  int64_t n = sz(v);
  Walk w{};
  for (int64_t k = 0; k < n; k++) {
    f(k, w);
    for (int d = v.rank - 1; d >= 0; d--) {
      if (++w.i[d] < v.shape[d]) break;
      w.i[d] = 0;
    }
  }
}
int64_t flat(const View& v, const int64_t* i) {
  int64_t o = 0;
  for (int d = 0; d < v.rank; d++) o = o * v.shape[d] + i[d];
  return o;
}
void mv(const View& X, int64_t o, const View& Y, int64_t p) {
  if (X.dtype == DType::float32 || X.dtype == DType::int32)
    ((int32_t*)Y.data)[p] = ((int32_t*)X.data)[o];
  else
    ((uint8_t*)Y.data)[p] = ((uint8_t*)X.data)[o];
}
void plan_transpose(const Call&, Plan&) {}
void run_transpose(const Call& c, const Range&) {
  auto& t = attrs_of<transpose_attrs>(c);
  each(c.out[0], [&](int64_t k, const Walk& w) {
    int64_t i[8];
    for (int d = 0; d < c.out[0].rank; d++) i[t.perm.data[d]] = w.i[d];
    mv(c.in[0], flat(c.in[0], i), c.out[0], k);
  });
}
void plan_slice(const Call&, Plan&) {}
void run_slice(const Call& c, const Range&) {
  auto& t = attrs_of<slice_attrs>(c);
  each(c.out[0], [&](int64_t k, const Walk& w) {
    int64_t i[8];
    for (int d = 0; d < c.out[0].rank; d++) i[d] = t.start.data[d] + w.i[d] * t.step.data[d];
    mv(c.in[0], flat(c.in[0], i), c.out[0], k);
  });
}
void plan_pad(const Call&, Plan&) {}
void run_pad(const Call& c, const Range&) {
  auto& t = attrs_of<pad_attrs>(c);
  int64_t n = sz(c.out[0]);
  DType d = c.out[0].dtype;
  for (int64_t k = 0; k < n; k++) {
    if (d == DType::float32)
      ((float*)c.out[0].data)[k] = (float)t.value;
    else if (d == DType::int32)
      ((int32_t*)c.out[0].data)[k] = (int32_t)t.value;
    else
      ((uint8_t*)c.out[0].data)[k] = (uint8_t)t.value;
  }
  each(c.in[0], [&](int64_t k, const Walk& w) {
    int64_t i[8];
    for (int q = 0; q < c.in[0].rank; q++) {
      i[q] = t.low.data[q] + w.i[q] * (t.interior.data[q] + 1);
      if (i[q] < 0 || i[q] >= c.out[0].shape[q]) return;
    }
    mv(c.in[0], k, c.out[0], flat(c.out[0], i));
  });
}
void plan_gather(const Call&, Plan&) {}
void run_gather(const Call& c, const Range&) {
  int64_t A = c.in[0].shape[0], n = c.in[0].shape[1], B = c.in[0].shape[2], M = c.in[1].shape[0];
  for (int64_t a = 0; a < A; a++)
    for (int64_t m = 0; m < M; m++)
      for (int64_t b = 0; b < B; b++) {
        int32_t q = ((int32_t*)c.in[1].data)[m];
        if (q >= 0 && q < n)
          mv(c.in[0], (a * n + q) * B + b, c.out[0], (a * M + m) * B + b);
        else if (c.in[0].dtype == DType::float32)
          ((float*)c.out[0].data)[(a * M + m) * B + b] = __builtin_nanf("");
      }
}
void plan_scatter_add(const Call&, Plan&) {}
void run_scatter_add(const Call& c, const Range&) {
  int64_t A = c.out[0].shape[0], n = c.out[0].shape[1], B = c.out[0].shape[2], M = c.in[0].shape[0];
  __builtin_memset(c.out[0].data, 0, (size_t)(A * n * B) * 4);
  for (int64_t a = 0; a < A; a++)
    for (int64_t m = 0; m < M; m++) {
      int32_t q = ((int32_t*)c.in[0].data)[m];
      if (q >= 0 && q < n)
        for (int64_t b = 0; b < B; b++)
          ((float*)c.out[0].data)[(a * n + q) * B + b] += ((float*)c.in[1].data)[(a * M + m) * B + b];
    }
}
template <class G>
void rs(const View& X, const View& Y, int64_t kind, G g) {
  int64_t N = X.shape[0], H = X.shape[1], W = X.shape[2], C = X.shape[3], OH = Y.shape[1], OW = Y.shape[2];
  for (int64_t n = 0; n < N; n++)
    for (int64_t i = 0; i < OH; i++)
      for (int64_t j = 0; j < OW; j++)
        for (int64_t c = 0; c < C; c++) {
          int64_t o = ((n * OH + i) * OW + j) * C + c;
          auto at = [&](int64_t h, int64_t w) {
            h = h < 0 ? 0 : h >= H ? H - 1 : h;
            w = w < 0 ? 0 : w >= W ? W - 1 : w;
            return ((n * H + h) * W + w) * C + c;
          };
          double fy = ((double)i + 0.5) * (double)H / (double)OH, fx = ((double)j + 0.5) * (double)W / (double)OW;
          if (kind == 0) {
            g(at((int64_t)fy, (int64_t)fx), o, 1.0f);
            continue;
          }
          fy -= 0.5;
          fx -= 0.5;
          int64_t y0 = (int64_t)__builtin_floor(fy), x0 = (int64_t)__builtin_floor(fx);
          float ay = (float)(fy - (double)y0), ax = (float)(fx - (double)x0);
          g(at(y0, x0), o, (1 - ay) * (1 - ax));
          g(at(y0, x0 + 1), o, (1 - ay) * ax);
          g(at(y0 + 1, x0), o, ay * (1 - ax));
          g(at(y0 + 1, x0 + 1), o, ay * ax);
        }
}
void plan_resize2d(const Call&, Plan&) {}
void run_resize2d(const Call& c, const Range&) {
  __builtin_memset(c.out[0].data, 0, (size_t)sz(c.out[0]) * 4);
  rs(c.in[0], c.out[0], attrs_of<resize2d_attrs>(c).kind,
     [&](int64_t i, int64_t o, float w) { ((float*)c.out[0].data)[o] += w * ((float*)c.in[0].data)[i]; });
}
void plan_resize2d_grad(const Call&, Plan&) {}
void run_resize2d_grad(const Call& c, const Range&) {
  __builtin_memset(c.out[0].data, 0, (size_t)sz(c.out[0]) * 4);
  rs(c.out[0], c.in[0], attrs_of<resize2d_grad_attrs>(c).kind,
     [&](int64_t i, int64_t o, float w) { ((float*)c.out[0].data)[i] += w * ((float*)c.in[0].data)[o]; });
}
void plan_cumsum(const Call&, Plan&) {}
void run_cumsum(const Call& c, const Range&) {
  auto& t = attrs_of<cumsum_attrs>(c);
  int64_t A = c.in[0].shape[0], R = c.in[0].shape[1], B = c.in[0].shape[2];
  float *x = (float*)c.in[0].data, *y = (float*)c.out[0].data;
  for (int64_t a = 0; a < A; a++)
    for (int64_t b = 0; b < B; b++) {
      double s = 0;
      for (int64_t q = 0; q < R; q++) {
        int64_t k = t.reverse ? R - 1 - q : q;
        if (t.exclusive) {
          y[(a * R + k) * B + b] = (float)s;
          s += x[(a * R + k) * B + b];
        } else {
          s += x[(a * R + k) * B + b];
          y[(a * R + k) * B + b] = (float)s;
        }
      }
    }
}
void plan_sort(const Call&, Plan&) {}
void run_sort(const Call& c, const Range&) {
  bool d = attrs_of<sort_attrs>(c).descending;
  int64_t M = c.in[0].shape[0], N = c.in[0].shape[1];
  for (int64_t m = 0; m < M; m++) {
    float *x = (float*)c.in[0].data + m * N, *y = (float*)c.out[0].data + m * N;
    int32_t* p = (int32_t*)c.out[1].data + m * N;
    for (int64_t j = 0; j < N; j++) {
      int64_t r = j;
      while (r > 0 && (d ? y[r - 1] < x[j] : y[r - 1] > x[j])) {
        y[r] = y[r - 1];
        p[r] = p[r - 1];
        r--;
      }
      y[r] = x[j];
      p[r] = (int32_t)j;
    }
  }
}
void plan_concat(const Call&, Plan&) {}
void run_concat(const Call& c, const Range&) {
  int64_t A = c.out[0].shape[0], O = c.out[0].shape[1], B = c.out[0].shape[2];
  int64_t e = c.out[0].dtype == DType::float32 || c.out[0].dtype == DType::int32 ? 4 : 1;
  int64_t off = 0;
  for (int k = 0; k < c.n_in; k++) {
    int64_t n = c.in[k].shape[1];
    for (int64_t i = 0; i < A; i++)
      __builtin_memcpy((char*)c.out[0].data + (i * O + off) * B * e, (char*)c.in[k].data + i * n * B * e,
                       (size_t)(n * B * e));
    off += n;
  }
}
}  // namespace
WEAK_KERNEL(map);
WEAK_KERNEL(reduce);
WEAK_KERNEL(arg_reduce);
WEAK_KERNEL(moments);
WEAK_KERNEL(cumsum);
WEAK_KERNEL(sort);
WEAK_KERNEL(softmax);
WEAK_KERNEL(log_softmax);
WEAK_KERNEL(softmax_cross_entropy);
WEAK_KERNEL(matmul);
WEAK_KERNEL(conv2d);
WEAK_KERNEL(conv2d_input_grad);
WEAK_KERNEL(conv2d_weight_grad);
WEAK_KERNEL(pool2d);
WEAK_KERNEL(pool2d_grad);
WEAK_KERNEL(pool2d_pick);
WEAK_KERNEL(resize2d);
WEAK_KERNEL(resize2d_grad);
WEAK_KERNEL(transpose);
WEAK_KERNEL(concat);
WEAK_KERNEL(slice);
WEAK_KERNEL(pad);
WEAK_KERNEL(gather);
WEAK_KERNEL(scatter_add);
}  // namespace BERRANTE_ISA
}  // namespace berrante
