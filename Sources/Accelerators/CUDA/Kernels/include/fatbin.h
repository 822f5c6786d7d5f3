// The kernels of kernels.cu in machine code, for every architecture: what cuModuleLoadData takes. Tools/cuda/build.sh makes them.
#pragma once
#include <stddef.h>

extern const unsigned char chexnet_cuda_fatbin[];
extern const size_t chexnet_cuda_fatbin_size;  // bytes
