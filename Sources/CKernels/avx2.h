// AVX2: 8 lanes; 6 pixels × 2 vectors are 12 of its 16 registers.
#pragma once
#define CK_VL 8
#define CK_MR 6
#define CK_NV 2
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "vector_table.h"
#pragma clang attribute pop
