// The activations that kernels apply on their way out (enum Activation), as on the CPU: relu keeps NaN.
#pragma once
#include "../core/dtype.h"
#include "device.cuh"

namespace berrante {

__device__ __forceinline__ float activated(float x, int activation) {
  switch (static_cast<Activation>(activation)) {
    case Activation::relu: return x > 0.0f || x != x ? x : 0.0f;
    case Activation::sigmoid: return 1.0f / (1.0f + expf(-x));
    case Activation::tanh: return tanhf(x);
    default: return x;
  }
}

}  // namespace berrante
