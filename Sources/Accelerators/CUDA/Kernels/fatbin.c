#include "include/fatbin.h"

// #embed is of C23; clang has it in C11 too, and warns.
#pragma clang diagnostic ignored "-Wc23-extensions"

// The driver reads headers of 64-bit words in it.
_Alignas(16) const unsigned char chexnet_cuda_fatbin[] = {
#embed "chexnet.fatbin"
};
const size_t chexnet_cuda_fatbin_size = sizeof chexnet_cuda_fatbin;
