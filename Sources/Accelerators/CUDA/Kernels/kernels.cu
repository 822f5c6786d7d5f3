// Every kernel by its C name: what cuModuleGetFunction finds in the fatbin, and what the emulator runs.
#include "convolutions_fp32.h"
#include "convolutions_gradients_fp32.h"
#include "growth.h"
#include "growth_90a.h"
#include "growth_bulk.h"
#include "growth_gradient.h"
#include "growth_gradients.h"
#include "head.h"
#include "head_gradients.h"
#include "include/kernel_list.h"
#include "normalization.h"
#include "optimizer.h"
#include "packing.h"
#include "pointwise.h"
#include "pointwise_bulk.h"
#include "pointwise_gradient.h"
#include "pointwise_gradients.h"
#include "pointwise_gradients_90a.h"
#include "pointwise_gradients_bulk.h"
#include "pool_gradients.h"
#include "pools.h"
#include "primitives.h"
#include "resolve.h"
#include "stem.h"
#include "stem_gradient.h"
#include "sums_of_parts.h"

#define DEFINE_TAKING(name, parameter, kernelThreads, blocks, bytes, tile, ...)                  \
    static_assert(sizeof(typename __VA_ARGS__::Shared) == bytes, "kernel_list.h says otherwise: " #name);      \
    static_assert(__VA_ARGS__::threads == kernelThreads, "kernel_list.h says otherwise: " #name);             \
    KERNEL(kernelThreads, blocks) name(parameter p) { __VA_ARGS__::run(p); }
#define DEFINE(name, parameters, ...) DEFINE_TAKING(name, const parameters, __VA_ARGS__)
#define DEFINE_WITH_MAPS(name, parameters, ...) DEFINE_TAKING(name, WITH_MAPS const parameters, __VA_ARGS__)

CHEXNET_CUDA_KERNELS_WITHOUT_MAPS(DEFINE)
CHEXNET_CUDA_KERNELS_WITH_MAPS(DEFINE_WITH_MAPS)
