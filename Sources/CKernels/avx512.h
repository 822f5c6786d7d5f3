// AVX-512: 16 lanes; 14 pixels × 2 vectors are 28 of its 32 registers.
#pragma once
#define CK_VL 16
#define CK_MR 14
#define CK_NV 2
#define CK_REGISTERS 32
#define CK_DEPTH_UNROLL 4
#pragma clang attribute push( \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prfchw"))), apply_to = function)
#include "vector_table.h"
#pragma clang attribute pop
