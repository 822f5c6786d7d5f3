// A sum over the threads of a block, in double: pairwise, the upper half onto the lower, so that the same values give the same bits.
#pragma once
#include "device.h"

template <int Threads> struct BlockSum {
    static_assert((Threads & (Threads - 1)) == 0, "halved until one is left");
    double parts[Threads];

    // Thread 0 gets the sum. All threads of the block come here.
    DEVICE double total(double value) {
        const int thread = threadIdx.x;
        storeShared(&parts[thread], value);
        for (int half = Threads / 2; half > 0; half /= 2) {
            barrier();
            if (thread >= half) continue;
            value += loadShared(&parts[thread + half]);
            storeShared(&parts[thread], value);
        }
        return value;
    }
};
