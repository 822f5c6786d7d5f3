#define CK_IS_BF16 1
#include "reference_table.h"

void ck_fill_reference_bf16(ck_kernels *table) { fill(table); }
