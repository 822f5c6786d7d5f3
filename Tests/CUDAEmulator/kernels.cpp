// The product's kernels, compiled for this processor, and those that test the emulator.
#if defined(__clang__)
#pragma clang fp contract(off)
#endif
// fmaf as an instruction, not as a call of the library's: exactly rounded either way, and three times faster.
#if defined(__clang__) && defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("fma"))), apply_to = function)
#endif
#include "kernels.cu"

#include "selftest_kernels.h"
#if defined(__clang__) && defined(__x86_64__)
#pragma clang attribute pop
#endif

#include "driver.h"

namespace driver {

#define ROW(name, parameters, threads, blocks, bytes, tile, ...) \
    {#name, threads, blocks, bytes, sizeof(parameters), [](const void* p) { name(*static_cast<const parameters*>(p)); }},

const std::vector<Kernel>& kernelTable() {
    static const std::vector<Kernel>& table = *new std::vector<Kernel>{CHEXNET_CUDA_KERNELS(ROW) EMULATOR_SELFTEST_KERNELS(ROW)};
    return table;
}

}  // namespace driver
