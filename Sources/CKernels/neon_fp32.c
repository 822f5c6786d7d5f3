#if defined(__aarch64__)
#define CK_IS_BF16 0
#include "neon.h"

void ck_fill_neon_fp32(ck_kernels *table) { fill(table); }
#else
typedef int ck_no_neon_fp32;
#endif
