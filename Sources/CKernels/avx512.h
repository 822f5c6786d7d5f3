// AVX-512: 16 lanes; 14 pixels × 2 vectors are 28 of its 32 registers. With CK_HAS_BF16 also AVX512_BF16.
#pragma once
#define CK_VL 16
#define CK_MR 14
#define CK_NV 2
#define CK_REGISTERS 32
#define CK_DEPTH_UNROLL 4
#if CK_HAS_BF16
#include <immintrin.h>
#pragma clang attribute push( \
  __attribute__((target("avx512bf16,avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prfchw"))), apply_to = function)
#else
#pragma clang attribute push( \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prfchw"))), apply_to = function)
#endif
#include "vector_table.h"
#pragma clang attribute pop
