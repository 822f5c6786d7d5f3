#if defined(__x86_64__)
#include "avx512.h"
#include "pooling_vector.h"
#pragma clang attribute pop

void ck_fill_pooling_avx512(ck_kernels *table) {
  table->pooling = (ck_pooling){max_pool, max_unpool, average_unpool, head_sum, head_unpool, sums, scale_summed};
}
#else
typedef int ck_no_pooling_avx512;
#endif
