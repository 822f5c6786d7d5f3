// One small kernel per primitive of device.h, so that a real card can be compared with what the emulator believes.
#pragma once
#include "device.h"

struct NothingShared {
    uint32_t unused[4];
};

// ldmatrix, plain and transposed.
struct PrimitiveMatrix {
    static constexpr int threads = 32;
    struct Shared {
        uint4 rows[64];
    };

    static DEVICE void run(const primitive_matrix_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int lane = threadIdx.x;
        for (int i = lane; i < 64; i += 32) storeShared(&shared.rows[i], loadGlobal(static_cast<const uint4*>(p.rows) + i));
        barrier();
        uint32_t r[4];
        const uint4* row = &shared.rows[loadGlobal(p.points_to + lane)];
        if (p.transposed) loadMatrixTransposed(r, row);
        else loadMatrix(r, row);
        for (int i = 0; i < 4; i++) storeGlobal(p.out + lane * 4 + i, r[i]);
    }
};

// mma: a block takes a case. Products of bf16 are exact in fp32; how their sums are rounded is the card's.
struct PrimitiveMultiply {
    static constexpr int threads = 32;
    using Shared = NothingShared;

    static DEVICE void run(const primitive_multiply_parameters& p) {
        const int at = blockIdx.x * 32 + threadIdx.x;
        uint32_t a[4];
        float c[4];
        for (int i = 0; i < 4; i++) a[i] = loadGlobal(p.a + at * 4 + i), c[i] = loadGlobal(p.c + at * 4 + i);
        multiply(c, a, loadGlobal(p.b + at * 2), loadGlobal(p.b + at * 2 + 1));
        for (int i = 0; i < 4; i++) storeGlobal(p.d + at * 4 + i, c[i]);
    }
};

// cp.async: four groups of copies, and an empty one between the second and the third. After each wait a thread reads what another one copied, so
// both the wait and the barrier must hold.
struct PrimitiveCopy {
    static constexpr int threads = 128, groups = 4;
    struct Shared {
        uint4 data[groups][threads];
    };

    template <int Group> static DEVICE void read(const primitive_copy_parameters& p, Shared& shared) {
        constexpr int pending = Group == 0 ? 4 : Group == 1 ? 3 : Group == 2 ? 1 : 0;
        const int thread = threadIdx.x, other = (thread + 33) % threads;
        waitCopies<pending>();
        barrier();
        storeGlobal(static_cast<uint4*>(p.out) + (blockIdx.x * groups + Group) * threads + thread, loadShared(&shared.data[Group][other]));
    }

    static DEVICE void run(const primitive_copy_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x;
        for (int group = 0; group < groups; group++) {
            const int at = (blockIdx.x * groups + group) * threads + thread;
            copyAsync16(&shared.data[group][thread], static_cast<const uint4*>(p.source) + loadGlobal(p.from + at), loadGlobal(p.valid + at) != 0);
            commitCopies();
            if (group == 1) commitCopies();
        }
        read<0>(p, shared);
        read<1>(p, shared);
        read<2>(p, shared);
        read<3>(p, shared);
    }
};

// To bf16, plain and rectified, and back.
struct PrimitivePack {
    static constexpr int threads = 32;
    using Shared = NothingShared;

    static DEVICE void run(const primitive_pack_parameters& p) {
        for (int i = blockIdx.x * threads + threadIdx.x; when(i < p.pairs); i += gridDim.x * threads) {
            const float low = loadGlobal(p.in + 2 * i), high = loadGlobal(p.in + 2 * i + 1);
            const uint32_t pair = pack(low, high);
            storeGlobal(p.out + 2 * i, pair);
            storeGlobal(p.out + 2 * i + 1, packRectified(low, high));
            storeGlobal(p.halves + 2 * i, lowHalf(pair));
            storeGlobal(p.halves + 2 * i + 1, highHalf(pair));
        }
    }
};

struct PrimitiveShuffle {
    static constexpr int threads = 32;
    using Shared = NothingShared;

    static DEVICE void run(const primitive_shuffle_parameters& p) {
        const float value = loadGlobal(p.in + threadIdx.x);
        for (int mask = 0; mask < 32; mask++) storeGlobal(p.out + mask * 32 + threadIdx.x, shuffleXor(value, mask));
    }
};
