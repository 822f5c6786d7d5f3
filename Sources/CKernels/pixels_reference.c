#include "map_rows.h"
#include "resize_reference.h"
#include "unfilter_reference.h"

void ck_fill_reference_pixels(ck_pixels *table) { *table = (ck_pixels){unfilter, resize_rows, resize_columns, add_mixed, gray8, gray16}; }
