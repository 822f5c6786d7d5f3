#pragma once
#include <stddef.h>
#include <stdint.h>

// What a bottleneck in int8 would be: an experiment that the bench measures and no network runs. Letters as in kernels.h.

/// Whether this processor multiplies bytes (AVX512_VNNI).
int int8_can_run(void);

/// out = max(0, scale · x + shift) in u8, of bf16: scale and shift make 255 the largest.
void int8_normalize(uint8_t *out, const uint16_t *x, const float *scale, const float *shift, ptrdiff_t pixels);

/// out (bf16) = max(0, factor[k] · Σ input · weights + bias[k]): 32 channels of `pixels` pixels, from `slabs` slabs of u8, `pitch` bytes
/// apart; weights [slabs][8][32][4].
void int8_pointwise(
  uint16_t *out, const uint8_t *input, ptrdiff_t slabs, ptrdiff_t pitch, const int8_t *weights, const float *factor,
  const float *bias, ptrdiff_t pixels);
