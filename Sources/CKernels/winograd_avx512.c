#if defined(__x86_64__)
#include "avx512.h"
#include "winograd_vector.h"
#pragma clang attribute pop

void ck_fill_winograd_avx512(ck_kernels *table) {
  table->winograd = (ck_winograd){transform_normalized, transform_resolved, spread_resolved,   gather,
                                  gather_summed,        gather_gated,       transform_weights, gather_weights};
}
#else
typedef int ck_no_winograd_avx512;
#endif
