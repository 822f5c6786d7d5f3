#include "tables.h"

ck_kernels ck_kernels_of(ck_level level, ck_precision precision) {
  ck_kernels table;
  int isBF16 = precision == CK_BF16;
  (isBF16 ? ck_fill_reference_bf16 : ck_fill_reference_fp32)(&table);
  while (!ck_can_run(level)) level--;
  switch (level) {
    case CK_REFERENCE: break;
#if defined(__x86_64__)
    case CK_AVX2: (isBF16 ? ck_fill_avx2_bf16 : ck_fill_avx2_fp32)(&table); break;
    case CK_AVX512: (isBF16 ? ck_fill_avx512_bf16 : ck_fill_avx512_fp32)(&table); break;
    case CK_AVX512_BF16: (isBF16 ? ck_fill_avx512bf16_bf16 : ck_fill_avx512_fp32)(&table); break;
    case CK_NEON: break;
#elif defined(__aarch64__)
    case CK_NEON: (isBF16 ? ck_fill_neon_bf16 : ck_fill_neon_fp32)(&table); break;
    case CK_AVX2: case CK_AVX512: case CK_AVX512_BF16: break;
#else
    default: break;
#endif
  }
  return table;
}
