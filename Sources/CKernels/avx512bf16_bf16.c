#if defined(__x86_64__)
#define CK_IS_BF16 1
#define CK_HAS_BF16 1
#define CK_VL 16
#define CK_MR 14
#define CK_NV 2
#define CK_REGISTERS 32
#define CK_DEPTH_UNROLL 4
#include <immintrin.h>
#pragma clang attribute push( \
  __attribute__((target("avx512bf16,avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prfchw"))), apply_to = function)
#include "vector_table.h"
#pragma clang attribute pop

void ck_fill_avx512bf16_bf16(ck_kernels *table) { fill(table); }
#else
typedef int ck_no_avx512bf16_bf16;
#endif
