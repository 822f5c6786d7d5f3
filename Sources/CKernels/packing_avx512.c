#if defined(__x86_64__)
#include "avx512.h"
#include "packing_vector.h"
#pragma clang attribute pop

void ck_fill_packing_avx512(ck_kernels *table) {
  table->packing.normalize = normalize;
  table->packing.normalize_pooled = normalize_pooled;
  table->packing.resolve = resolve;
}
#else
typedef int ck_no_packing_avx512;
#endif
