#include "kernels.h"

ck_level ck_best_level(void) {
#if defined(__x86_64__)
  // The builtin also asks the operating system whether it saves the registers.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
      && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma"))
    return CK_AVX512;
#endif
  return CK_REFERENCE;
}
