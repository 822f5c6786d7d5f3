// AVX2: 8 lanes; 6 pixels × 2 vectors are 12 of its 16 registers. Unrolled by more than 2, the loads of the next inputs push sums out.
#pragma once
#define CK_VL 8
#define CK_MR 6
#define CK_NV 2
#define CK_REGISTERS 16
#define CK_DEPTH_UNROLL 2
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "vector_table.h"
#pragma clang attribute pop
