#include "include/kernel_table.h"
#include "include/fatbin.h"
#include "include/kernel_list.h"

#define ROW(name, parameters, threads, blocks, bytes, tile, ...) {#name, sizeof(struct parameters), threads, bytes, tile},
static const struct cuda_kernel table[] = {CHEXNET_CUDA_KERNELS(ROW)};

const struct cuda_kernel* chexnet_cuda_kernel_table(void) { return table; }
int32_t chexnet_cuda_kernel_count(void) { return sizeof(table) / sizeof(table[0]); }
const void* chexnet_cuda_image(void) { return chexnet_cuda_fatbin; }
size_t chexnet_cuda_image_size(void) { return chexnet_cuda_fatbin_size; }
