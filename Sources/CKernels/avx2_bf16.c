#if defined(__x86_64__)
#define CK_IS_BF16 1
#include "avx2.h"

void ck_fill_avx2_bf16(ck_kernels *table) { fill(table); }
#else
typedef int ck_no_avx2_bf16;
#endif
