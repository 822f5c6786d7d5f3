#include "families.h"

static void accumulate_outer_product(const ck_outer_product *p) {
  for (ptrdiff_t d = 0; d < p->depth; d++)
    for (ptrdiff_t k = 0; k < CK_LANES; k++)
      for (ptrdiff_t r = 0; r < p->rows; r++)
        for (ptrdiff_t q = 0; q < p->width; q++)
          p->weights[d * CK_LANES + k] += p->input[r * p->input_pitch + q * p->stride + d]
                                          * p->gradient[r * p->gradient_pitch + q * CK_LANES + k];
}

void ck_fill_outer_product_ref(ck_kernels *table) { table->accumulate_outer_product = accumulate_outer_product; }
