#if defined(__x86_64__)
#define CK_GROUP_VECTORS 2
#define CK_SUM_LANES 8
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#include "map_rows.h"
#include "resize_vector.h"
#include "unfilter_vector.h"
#pragma clang attribute pop

void ck_fill_avx2_pixels(ck_pixels *table) { *table = (ck_pixels){unfilter, resize_rows, resize_columns, add_mixed, gray8, gray16}; }
#else
typedef int ck_no_avx2_pixels;
#endif
