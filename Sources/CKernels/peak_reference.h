// A peak for processors that have no level.
#include "kernels.h"

enum { SUMS = 64 };

static double multiply_add(float *sums, ptrdiff_t rounds) {
  for (ptrdiff_t r = 0; r < rounds; r++)
    for (int i = 0; i < SUMS; i++) sums[i] = sums[i] * 0.999f + 0.001f;
  return 2.0 * SUMS * (double)rounds;
}
