#if defined(__x86_64__)
#include "avx512.h"
#include "peak_vector.h"
#pragma clang attribute pop

void ck_fill_peak_avx512(ck_kernels *table) { table->multiply_add = multiply_add; }
#else
typedef int ck_no_peak_avx512;
#endif
