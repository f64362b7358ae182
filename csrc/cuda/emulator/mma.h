// Tensor cores: cuda/mma.cuh's functions over the lanes of an emulated warp. Products are exact, sums are taken in
// double and rounded to float32 once an instruction; the hardware's own order of sums is not documented.
#pragma once
#include <cmath>
#include <cstdint>

#include "machine.h"

namespace berrante::emulator {

uint32_t round_tf32(float x);
uint16_t bf16_of(float x);
uint16_t f16_of(float x);
float float_of_bf16(uint16_t x);
float float_of_f16(uint16_t x);

void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
void load_matrices(uint32_t (&r)[4], const void* row, bool transposed);

}  // namespace berrante::emulator
