#define CK_IS_BF16 0
#include "reference_table.h"

void ck_fill_reference_fp32(ck_kernels *table) { fill(table); }
