#if defined(__x86_64__)
#define CK_IS_BF16 1
#define CK_HAS_BF16 1
#include "avx512.h"

void ck_fill_avx512bf16_bf16(ck_kernels *table) { fill(table); }
#else
typedef int ck_no_avx512bf16_bf16;
#endif
