#if defined(__aarch64__)
#define CK_GROUP_VECTORS 4
#define CK_SUM_LANES 4
#include "map_rows.h"
#include "resize_vector.h"
#include "unfilter_vector.h"

void ck_fill_neon_pixels(ck_pixels *table) { *table = (ck_pixels){unfilter, resize_rows, resize_columns, add_mixed, gray8, gray16}; }
#else
typedef int ck_no_neon_pixels;
#endif
