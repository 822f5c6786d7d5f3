// The kernels of the fatbin as a table, and the fatbin: what Swift needs of this folder.
#pragma once
#include <stddef.h>

#include "gradient_parameters.h"

struct cuda_kernel {
    const char* name;
    int32_t parameter_bytes;
    int32_t threads;       // of a block
    int32_t shared_bytes;  // of dynamic memory
    int32_t tile;          // pixels
};

const struct cuda_kernel* chexnet_cuda_kernel_table(void);
int32_t chexnet_cuda_kernel_count(void);

// The fatbin, as cuModuleLoadData takes it.
const void* chexnet_cuda_image(void);
size_t chexnet_cuda_image_size(void);  // bytes
