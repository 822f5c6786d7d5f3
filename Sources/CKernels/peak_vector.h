// The processor's peak: as many sums side by side as the convolution's tile has, and nothing to load. They begin with what the compiler
// does not know: one that it knew to be a fixed point (1 · 0.999 + 0.001) would not be computed, but counted.
#include "vector.h"

static double multiply_add(float *sums, ptrdiff_t rounds) {
  enum { SUMS = CK_MR * CK_NV };
  vec acc[SUMS];
  CK_UNROLL for (int i = 0; i < SUMS; i++) acc[i] = load(sums) * (float)i;
#if CK_IS_BF16
  // Pairs of 0.5 and 2⁻¹⁰: products of what the tile's are.
  const words factors = (words){0} + 0x3a803f00u;
  const act terms[2] = {0x3a80, 0x3f00};
  for (ptrdiff_t r = 0; r < rounds; r++)
    CK_UNROLL for (int step = 0; step < CK_STEPS; step++)
      CK_UNROLL for (int i = 0; i < SUMS; i++) acc[i] = add_product(acc[i], terms, step, operand(factors, step));
#else
  vec factor = splat(0.999f), term = splat(0.001f);
  for (ptrdiff_t r = 0; r < rounds; r++) CK_UNROLL for (int i = 0; i < SUMS; i++) acc[i] = acc[i] * factor + term;
#endif
  vec total = {0};
  CK_UNROLL for (int i = 0; i < SUMS; i++) total += acc[i];
  store_vec(sums, total);
  return 2.0 * SUMS * CK_VL * CK_WORD * (double)rounds;
}
