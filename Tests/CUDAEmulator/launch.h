// Runs a kernel: its blocks one after another.
#pragma once
#include "memory.h"

namespace emu {

struct Launch {
    const char* kernel;
    dim3 grid, block;
    size_t sharedBytes;
    void (*body)(const void* parameters);
    const void* parameters;
    Regions* regions;
};

// False after a violation: machine.violation says which, machine.error what CUDA would return. Adds to machine.counters.
bool run(const Launch& launch);

}  // namespace emu
