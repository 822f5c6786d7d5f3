#if defined(__x86_64__)
#include "avx512.h"
#include "convolution_vector.h"
#pragma clang attribute pop

void ck_fill_convolution_avx512(ck_kernels *table) {
  table->convolution = (ck_convolution){store, store_rectified, store_summed, accumulate_gated};
}
#else
typedef int ck_no_convolution_avx512;
#endif
