// NEON: 4 lanes; 6 pixels × 4 vectors are 24 of its 32 registers.
#pragma once
#define CK_VL 4
#define CK_MR 6
#define CK_NV 4
#include "vector_table.h"
