#include "int8.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16")))
#define UNROLL _Pragma("clang loop unroll(full)")

enum { LANES = 32, TILE = 14 };

int int8_can_run(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16")
         && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}

TARGET void int8_normalize(
  uint8_t *out, const uint16_t *x, const float *scale, const float *shift, ptrdiff_t pixels) {
  __m512 s[2] = {_mm512_loadu_ps(scale), _mm512_loadu_ps(scale + 16)};
  __m512 t[2] = {_mm512_loadu_ps(shift), _mm512_loadu_ps(shift + 16)};
  for (ptrdiff_t i = 0; i < pixels; i++)
    UNROLL for (int j = 0; j < 2; j++) {
      ptrdiff_t at = i * LANES + 16 * j;
      __m512i words = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(x + at)));
      __m512 value = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(words, 16)), s[j], t[j]);
      __m512i rounded = _mm512_max_epi32(_mm512_cvtps_epi32(value), _mm512_setzero_si512());
      _mm_storeu_si128((__m128i *)(out + at), _mm512_cvtusepi32_epi8(rounded));
    }
}

/// `count` pixels, at most TILE.
TARGET static inline __attribute__((always_inline)) void tile(
  int count, uint16_t *out, const uint8_t *input, ptrdiff_t slabs, ptrdiff_t pitch, const int8_t *weights,
  const float *factor, const float *bias) {
  __m512i sums[TILE][2];
  UNROLL for (int r = 0; r < count; r++) UNROLL for (int j = 0; j < 2; j++) sums[r][j] = _mm512_setzero_si512();
  for (ptrdiff_t s = 0; s < slabs; s++)
#pragma clang loop unroll_count(4)
    for (int d = 0; d < LANES; d += 4, weights += 4 * LANES) {
      __m512i w[2] = {_mm512_loadu_si512(weights), _mm512_loadu_si512(weights + 64)};
      UNROLL for (int r = 0; r < count; r++) {
        int four;
        memcpy(&four, input + s * pitch + r * LANES + d, sizeof four);
        UNROLL for (int j = 0; j < 2; j++)
          sums[r][j] = _mm512_dpbusd_epi32(sums[r][j], _mm512_set1_epi32(four), w[j]);
      }
    }
  UNROLL for (int j = 0; j < 2; j++) {
    __m512 f = _mm512_loadu_ps(factor + 16 * j), b = _mm512_loadu_ps(bias + 16 * j);
    UNROLL for (int r = 0; r < count; r++) {
      __m512 y = _mm512_max_ps(_mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r][j]), f, b), _mm512_setzero_ps());
      _mm256_storeu_si256((__m256i *)(out + r * LANES + 16 * j), (__m256i)_mm512_cvtneps_pbh(y));
    }
  }
}

TARGET void int8_pointwise(
  uint16_t *out, const uint8_t *input, ptrdiff_t slabs, ptrdiff_t pitch, const int8_t *weights, const float *factor,
  const float *bias, ptrdiff_t pixels) {
  ptrdiff_t i = 0;
  for (; i + TILE <= pixels; i += TILE)
    tile(TILE, out + i * LANES, input + i * LANES, slabs, pitch, weights, factor, bias);
  for (; i < pixels; i++) tile(1, out + i * LANES, input + i * LANES, slabs, pitch, weights, factor, bias);
}

#else
int int8_can_run(void) { return 0; }
void int8_normalize(uint8_t *out, const uint16_t *x, const float *scale, const float *shift, ptrdiff_t pixels) {
  (void)out, (void)x, (void)scale, (void)shift, (void)pixels;
}
void int8_pointwise(
  uint16_t *out, const uint8_t *input, ptrdiff_t slabs, ptrdiff_t pitch, const int8_t *weights, const float *factor,
  const float *bias, ptrdiff_t pixels) {
  (void)out, (void)input, (void)slabs, (void)pitch, (void)weights, (void)factor, (void)bias, (void)pixels;
}
#endif
