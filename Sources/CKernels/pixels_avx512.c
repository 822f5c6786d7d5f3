#if defined(__x86_64__)
#define CK_GROUP_VECTORS 4
#define CK_SUM_LANES 16
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2"))), apply_to = function)
#include "map_rows.h"
#include "resize_vector.h"
#include "unfilter_vector.h"
#pragma clang attribute pop

void ck_fill_avx512_pixels(ck_pixels *table) { *table = (ck_pixels){unfilter, resize_rows, resize_columns, add_mixed, gray8, gray16}; }
#else
typedef int ck_no_avx512_pixels;
#endif
