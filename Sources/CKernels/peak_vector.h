// The processor's peak: as many sums side by side as the convolution's tile has, and nothing to load. They begin with what the compiler
// does not know: one that it knew to be a fixed point (1 · 0.999 + 0.001) would not be computed, but counted.
#include "vector.h"

static double multiply_add(float *sums, ptrdiff_t rounds) {
  enum { SUMS = CK_MR * CK_NV };
  vec acc[SUMS], factor = splat(0.999f), term = splat(0.001f);
  CK_UNROLL for (int i = 0; i < SUMS; i++) acc[i] = load(sums) * (float)i;
  for (ptrdiff_t r = 0; r < rounds; r++) CK_UNROLL for (int i = 0; i < SUMS; i++) acc[i] = acc[i] * factor + term;
  vec total = {0};
  CK_UNROLL for (int i = 0; i < SUMS; i++) total += acc[i];
  store_vec(sums, total);
  return 2.0 * SUMS * CK_VL * (double)rounds;
}
