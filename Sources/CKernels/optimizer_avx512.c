#if defined(__x86_64__)
#include "avx512.h"
#include "optimizer_vector.h"
#pragma clang attribute pop

void ck_fill_optimizer_avx512(ck_kernels *table) {
  table->optimizer = (ck_optimizer){sum_of_squares, sgd, adam};
}
#else
typedef int ck_no_optimizer_avx512;
#endif
