#if defined(__x86_64__)
#include "avx512.h"
#include "outer_product_vector.h"
#pragma clang attribute pop

void ck_fill_outer_product_avx512(ck_kernels *table) {
  table->accumulate_outer_product = accumulate_outer_product;
}
#else
typedef int ck_no_outer_product_avx512;
#endif
