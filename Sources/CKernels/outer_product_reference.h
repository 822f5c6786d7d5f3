// The weight gradient as it is defined.
#include "element.h"

/// Σ of a word's products.
static float word_product(const act *input, const act *gradient) {
  float sum = 0;
  for (int i = 0; i < CK_WORD; i++) sum += widen_act(input[i]) * widen_act(gradient[i]);
  return sum;
}

static void accumulate_outer_product(const ck_outer_product *p) {
  for (ptrdiff_t d = 0; d < p->depth; d++)
    for (ptrdiff_t k = 0; k < CK_LANES; k++)
      for (ptrdiff_t r = 0; r < p->rows; r++)
        for (ptrdiff_t q = 0; q < p->width; q++)
          p->weights[d * CK_LANES + k] += word_product(
            (const act *)p->input + (r * p->input_pitch + q * p->stride + d) * CK_WORD,
            (const act *)p->gradient + (r * p->gradient_pitch + q * CK_LANES + k) * CK_WORD);
}
