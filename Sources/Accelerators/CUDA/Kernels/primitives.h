// One small kernel per primitive of device.h, so that a real card can be compared with what the emulator believes.
#pragma once
#include "warpgroup_operands.h"
#include "weight_tiles.h"

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

// A warp's part of the sums of a product [64][8 · Count].
template <int Count> DEVICE void storeSums(const float (&sum)[Count][4], float* first) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    UNROLL for (int j = 0; j < Count; j++) storePartial(sum[j], first + warp * 16 * Count * 8 + j * 8, Count * 8, lane);
}

// wgmma: the two products of a backward pass, dy · weightᵀ and xᵀ · dy, with 128 columns and with the last 64 of them.
struct PrimitiveWarpgroup {
    static constexpr int threads = 128, rows = 64, depth = 128;
    struct Shared {
        Tile<64, 64> dy[2], x;
        Tile<128, 64> weight[2];
    };

    template <int Columns> static DEVICE void multiply(const Shared& shared, float* out) {
        constexpr int first = 128 - Columns;
        float data[Columns / 8][4] = {}, weight[Columns / 8][4] = {};
        warpgroupFence(data, weight);
        UNROLL for (int k = 0; k < depth; k += 16) warpgroupMultiply(data, depthAlongRows(shared.dy, 0, k), depthAlongRows(shared.weight, first, k));
        warpgroupCommit();
        UNROLL for (int k = 0; k < rows; k += 16) warpgroupMultiply(weight, depthDownColumns(&shared.x, k, 0), depthDownColumns(shared.dy, k, first));
        warpgroupCommit();
        warpgroupWait<1>(data);
        storeSums(data, out);
        warpgroupWait<0>(weight);
        storeSums(weight, out + rows * Columns);
    }

    static DEVICE void run(const primitive_warpgroup_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x;
        UNROLL for (int i = 0; i < 2; i++) {
            TileCopy<64, 64, threads>(static_cast<const uint16_t*>(p.dy) + i * 64, depth, 0, thread).start(shared.dy[i], rows);
            TileCopy<128, 64, threads>(static_cast<const uint16_t*>(p.weight) + i * 64, depth, 0, thread).start(shared.weight[i], 128);
        }
        TileCopy<64, 64, threads>(p.x, 64, 0, thread).start(shared.x, rows);
        commitCopies();
        waitCopies<0>();
        fenceAsyncProxy();
        barrier();
        multiply<128>(shared, p.out);
        multiply<64>(shared, p.out + 2 * rows * 128);
    }
};

// The products of a forward pass, x · weight, where x comes from registers, two steps at a time: with 128 columns, and with 32 that are all that a row has.
struct PrimitiveWarpgroupRegisters {
    static constexpr int threads = 128, rows = 64, depth = 64;
    struct Shared {
        Tile<64, 64> x, weight[2];
        Tile<64, 32> narrow;
    };

    template <int Columns, int Width> static DEVICE void multiply(Shared& shared, const Tile<64, Width>* weight, float* out) {
        const int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + alongRow(lane);
        float sum[Columns / 8][4] = {};
        uint32_t a[2][2][4];
        warpgroupFence(sum);
        UNROLL for (int pair = 0; pair < 2; pair++) {
            UNROLL for (int k = 0; k < 2; k++) loadMatrix(a[pair][k], shared.x.at(row, (pair * 2 + k) * 2 + alongChunk(lane)));
            warpgroupFence(a[pair]);
            UNROLL for (int k = 0; k < 2; k++) warpgroupMultiply(sum, a[pair][k], depthDownColumns(weight, (pair * 2 + k) * 16, 0));
            warpgroupCommit();
        }
        warpgroupWait<0>(sum);
        storeSums(sum, out);
    }

    static DEVICE void run(const primitive_warpgroup_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, stride = 128;
        TileCopy<64, 64, threads>(p.x, depth, 0, thread).start(shared.x, rows);
        UNROLL for (int i = 0; i < 2; i++)
            TileCopy<64, 64, threads>(static_cast<const uint16_t*>(p.weight) + i * 64, stride, 0, thread).start(shared.weight[i], depth);
        TileCopy<64, 32, threads>(p.weight, stride, 0, thread).start(shared.narrow, depth);
        commitCopies();
        waitCopies<0>();
        fenceAsyncProxy();
        barrier();
        multiply<128>(shared, shared.weight, p.out);
        multiply<32>(shared, &shared.narrow, p.out + rows * 128);
    }
};

// cp.async.bulk.tensor: boxes of 64 rows of 64 and of 32 columns, one phase after the other, and one box stored.
struct PrimitiveBulk {
    static constexpr int threads = 128;
    struct Shared {
        Tile<64, 64> wide;
        Tile<64, 32> narrow;
        CopyBarrier arrived;
    };

    template <int Columns> static DEVICE void read(Tile<64, Columns>& tile, void* out) {
        constexpr int chunks = Columns / 8;
        for (int i = threadIdx.x; i < 64 * chunks; i += threads)
            storeGlobal(static_cast<uint4*>(out) + blockIdx.x * 64 * chunks + i, loadShared(tile.at(i / chunks, i % chunks)));
    }

    static DEVICE void run(const primitive_bulk_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, row = loadGlobal(p.at + blockIdx.x * 2), column = loadGlobal(p.at + blockIdx.x * 2 + 1);
        if (thread == 0) prepare(shared.arrived);
        barrier();
        if (thread == 0) {
            expectBytes(shared.arrived, sizeof shared.wide);
            copyBox(&shared.wide, p.wide, row, column, shared.arrived);
        }
        waitBytes(shared.arrived, 0);
        read(shared.wide, p.wide_out);
        barrier();                       // everybody has seen the first phase end before the second begins
        if (thread == 0) {
            expectBytes(shared.arrived, sizeof shared.narrow);
            copyBox(&shared.narrow, p.narrow, row, column, shared.arrived);
        }
        waitBytes(shared.arrived, 1);
        read(shared.narrow, p.narrow_out);

        for (int i = thread; i < 64 * shared.wide.chunks; i += threads) {
            const uint4 v = loadShared(&shared.wide.data[i]);
            storeShared(&shared.wide.data[i], uint4{v.x ^ 0x10001, v.y ^ 0x10001, v.z ^ 0x10001, v.w ^ 0x10001});
        }
        fenceAsyncProxy();
        barrier();
        if (thread == 0) {
            storeBox(p.stored, row, column, &shared.wide);
            commitBoxes();
            waitBoxes<0>();
        }
    }
};
