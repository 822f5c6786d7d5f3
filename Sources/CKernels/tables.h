#pragma once
#include "kernels.h"

// Each level's file fills the table with what it has; the reference has everything.

void ck_fill_reference_fp32(ck_kernels *table);
void ck_fill_reference_bf16(ck_kernels *table);

#if defined(__x86_64__)
void ck_fill_avx2_fp32(ck_kernels *table);
void ck_fill_avx2_bf16(ck_kernels *table);
void ck_fill_avx512_fp32(ck_kernels *table);
void ck_fill_avx512_bf16(ck_kernels *table);
void ck_fill_avx512bf16_bf16(ck_kernels *table);
#elif defined(__aarch64__)
void ck_fill_neon_fp32(ck_kernels *table);
void ck_fill_neon_bf16(ck_kernels *table);
#endif
