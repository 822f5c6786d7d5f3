#include "kernels.h"

int ck_can_run(ck_level level) {
  if (level == CK_REFERENCE) return 1;
#if defined(__x86_64__)
  // The builtin also asks the operating system whether it saves the registers.
  __builtin_cpu_init();
  int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
               && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  switch (level) {
    case CK_AVX2: return avx2;
    case CK_AVX512: return avx512;
    case CK_AVX512_BF16: return avx512 && __builtin_cpu_supports("avx512bf16");
    default: return 0;
  }
#elif defined(__aarch64__)
  return level == CK_NEON;
#else
  return 0;
#endif
}

ck_level ck_best_level(void) {
  ck_level best = CK_REFERENCE;
  for (int level = 0; level < CK_LEVELS; level++)
    if (ck_can_run((ck_level)level)) best = (ck_level)level;
  return best;
}

const char *ck_level_name(ck_level level) {
  switch (level) {
    case CK_REFERENCE: return "plain C";
    case CK_NEON: return "NEON";
    case CK_AVX2: return "AVX2";
    case CK_AVX512: return "AVX-512";
    case CK_AVX512_BF16: return "AVX-512 with BF16";
  }
  return "unknown";
}
