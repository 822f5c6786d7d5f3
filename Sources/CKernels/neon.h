// NEON: 4 lanes; 6 pixels × 4 vectors are 24 of its 32 registers. What bf16 is widened to takes some more, so 5 pixels there.
#pragma once
#define CK_VL 4
#if CK_IS_BF16
#define CK_MR 5
#else
#define CK_MR 6
#endif
#define CK_NV 4
#define CK_REGISTERS 32
#define CK_DEPTH_UNROLL 4
#include "vector_table.h"
