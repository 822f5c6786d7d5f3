#include "png_shim.h"
void png_shim_none(void) {}
