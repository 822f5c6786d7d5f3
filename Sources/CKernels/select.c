#include "families.h"

ck_kernels ck_kernels_of(ck_level level) {
  ck_kernels table;
  ck_fill_convolution_ref(&table);
  ck_fill_outer_product_ref(&table);
  ck_fill_packing_ref(&table);
  ck_fill_winograd_ref(&table);
  ck_fill_pooling_ref(&table);
  ck_fill_optimizer_ref(&table);
  ck_fill_peak_ref(&table);
  ck_level best = ck_best_level();
  if (level > best) level = best;
#if defined(__x86_64__)
  if (level >= CK_AVX512) {
    ck_fill_convolution_avx512(&table);
    ck_fill_outer_product_avx512(&table);
    ck_fill_packing_avx512(&table);
    ck_fill_winograd_avx512(&table);
    ck_fill_pooling_avx512(&table);
    ck_fill_optimizer_avx512(&table);
    ck_fill_peak_avx512(&table);
  }
#endif
  return table;
}
