#pragma once
#include "kernels.h"

// Each file of kernels fills its part of the table.

void ck_fill_convolution_ref(ck_kernels *table);
void ck_fill_outer_product_ref(ck_kernels *table);
void ck_fill_packing_ref(ck_kernels *table);
void ck_fill_winograd_ref(ck_kernels *table);
void ck_fill_pooling_ref(ck_kernels *table);
void ck_fill_optimizer_ref(ck_kernels *table);
void ck_fill_peak_ref(ck_kernels *table);

#if defined(__x86_64__)
void ck_fill_convolution_avx512(ck_kernels *table);
void ck_fill_outer_product_avx512(ck_kernels *table);
void ck_fill_packing_avx512(ck_kernels *table);
void ck_fill_winograd_avx512(ck_kernels *table);
void ck_fill_pooling_avx512(ck_kernels *table);
void ck_fill_optimizer_avx512(ck_kernels *table);
void ck_fill_peak_avx512(ck_kernels *table);
#endif
