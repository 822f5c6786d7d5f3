// One element of the activations. A file of one precision defines CK_IS_BF16 as 0 or 1, then includes this.
#pragma once
#include <stdint.h>
#include <string.h>

#include "kernels.h"

#define CK_INLINE static inline __attribute__((always_inline))

#if CK_IS_BF16
typedef ck_bf16 act;
#else
typedef float act;
#endif

CK_INLINE float float_of_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

CK_INLINE float widen_bf16(ck_bf16 x) { return float_of_bits((uint32_t)x << 16); }

/// To the nearest, ties to even; what is not a number stays one.
CK_INLINE ck_bf16 narrow_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if (x != x) return (ck_bf16)(bits >> 16 | 0x40);
  return (ck_bf16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#if CK_IS_BF16
CK_INLINE float widen_act(act x) { return widen_bf16(x); }
CK_INLINE act narrow_act(float x) { return narrow_bf16(x); }
#else
CK_INLINE float widen_act(act x) { return x; }
CK_INLINE act narrow_act(float x) { return x; }
#endif

/// Values of a word.
enum { CK_WORD = CK_IS_BF16 ? 2 : 1 };

/// Where input i and output o of a block of weights stand.
CK_INLINE ptrdiff_t weight_at(ptrdiff_t i, ptrdiff_t o) {
  return i / CK_WORD * CK_WORD * CK_LANES + o * CK_WORD + i % CK_WORD;
}
