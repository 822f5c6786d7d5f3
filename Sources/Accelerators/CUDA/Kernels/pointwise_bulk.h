// The 1×1 convolution with the batch norm and ReLU before it, on bulk copies and wgmma.
#pragma once
#include "tile_sums.h"
#include "warpgroup_operands.h"
#include "weight_tiles.h"

// 128 columns as boxes have them, 64 and 64.
template <int Rows> struct TileHalves {
    Tile<Rows, 64> halves[2];

    DEVICE uint4* at(int row, int chunk) { return halves[chunk / 8].at(row, chunk % 8); }
    DEVICE uint32_t* pair(int row, int column) { return halves[column / 64].pair(row, column % 64); }
};

// A block computes tiles of `Pixels` pixels × 128 outputs one after the other. What a step of 64 channels needs of them and of the weights comes in
// boxes, into a ring of slots that knows no tiles: the first channels of the next one are on their way while this one is stored. A warpgroup has half
// of the pixels, in products of 64; activations are normalised once, in registers. Sums are those of Pointwise, in the same order.
template <int Pixels> struct PointwiseBulk {
    static constexpr int threads = 256, outputs = 128, depth = 64, rowTiles = Pixels / 128, slots = Pixels == 256 ? 3 : 5;
    struct Slot {
        Tile<Pixels, depth> x;
        TileHalves<depth> weight;
    };
    struct Shared {
        Slot ring[slots];
        OutputTile<Pixels, outputs, threads, TileHalves<Pixels>> out;
        alignas(16) affine_pair affine[POINTWISE_BULK_CHANNELS];
        CopyBarrier arrived[slots];
    };

    // A warp's outputs, 16 of the rows of each product. While a product is under way, the next one's activations are loaded.
    float sum[rowTiles][outputs / 8][4];
    uint32_t activations[2][rowTiles][4];

    DEVICE void begin() {
        UNROLL for (int i = 0; i < rowTiles; i++) UNROLL for (int j = 0; j < outputs / 8; j++) UNROLL for (int e = 0; e < 4; e++) sum[i][j][e] = 0;
        if constexpr (rowTiles == 2) warpgroupFence(sum[0], sum[1]);
        else warpgroupFence(sum[0]);
    }
    DEVICE void finish() {
        if constexpr (rowTiles == 2) warpgroupWait<0>(sum[0], sum[1]);
        else warpgroupWait<0>(sum[0]);
    }
    // += relu(affine(x)) · weight over the 16 channels from k on of a slot, whose affine is given; `row`: where this lane points ldmatrix to. What
    // came before is done when this returns.
    DEVICE void add(Slot& slot, const affine_pair* affine, int k, int row, int lane) {
        auto& a = activations[k / 16 % 2];
        UNROLL for (int i = 0; i < rowTiles; i++) loadMatrix(a[i], slot.x.at(row + i * 64, k / 8 + alongChunk(lane)));
        const float4* pairs = reinterpret_cast<const float4*>(affine + k + lane % 4 * 2);
        const float4 left = loadShared(pairs), right = loadShared(pairs + 4);   // of the fragment's first and last eight channels
        UNROLL for (int i = 0; i < rowTiles; i++) UNROLL for (int r = 0; r < 4; r++) a[i][r] = normaliseRectify(a[i][r], r < 2 ? left : right);
        warpgroupFence(a);
        UNROLL for (int i = 0; i < rowTiles; i++) warpgroupMultiply(sum[i], a[i], depthDownColumns(slot.weight.halves, k, 0));
        warpgroupCommit();
        warpgroupWait<1>();
    }

    static DEVICE void run(const pointwise_bulk_parameters& told) {
        const pointwise_parameters& p = told.given;
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, lane = thread % 32, warpRow = thread / 128 * (Pixels / 2) + thread / 32 % 4 * 16;
        const int firstOutput = blockIdx.y * outputs, steps = (p.channels + depth - 1) / depth;
        const PartOfTiles part((p.pixels + Pixels - 1) / Pixels);

        auto start = [&](int number) {
            if (when(number < (part.end - part.first) * steps)) {
                Slot& slot = shared.ring[number % slots];
                CopyBarrier& arrived = shared.arrived[number % slots];
                const int channel = number % steps * depth;
                expectBytes(arrived, sizeof(Slot));
                copyBox(&slot.x, told.x, (part.first + number / steps) * Pixels, channel, arrived);
                UNROLL for (int half = 0; half < 2; half++) copyBox(slot.weight.halves + half, told.weight, channel, firstOutput + half * 64, arrived);
            }
        };
        if (thread == 0) ROLLED for (int slot = 0; slot < slots; slot++) prepare(shared.arrived[slot]);
        for (int i = thread; when(i < p.channels / 2); i += threads)
            storeShared(reinterpret_cast<float4*>(shared.affine) + i, loadGlobal(reinterpret_cast<const float4*>(p.affine) + i));
        barrier();
        if (thread == 0) ROLLED for (int number = 0; number < slots; number++) start(number);

        PointwiseBulk products;
        int number = 0;
        for (int tile = part.first; tile < part.end; tile++) {
            products.begin();
            for (int channel = 0; channel < p.channels; channel += depth, number++) {
                Slot& slot = shared.ring[number % slots];
                waitBytes(shared.arrived[number % slots], number / slots);
                UNROLL for (int k = 0; k < depth; k += 16)
                    if (when(channel + k < p.channels)) {
                        products.add(slot, shared.affine + channel, k, warpRow + alongRow(lane), lane);
                        if (k == 0) {
                            barrier();   // nobody reads the slot before this one any more
                            if (thread == 0 && when(number > 0)) start(number + slots - 1);
                        }
                    }
            }
            products.finish();
            if (thread == 0) waitBoxes<0>();
            barrier();                   // nothing reads the output tile any more

            const int firstPixel = tile * Pixels, pixelsLeft = p.pixels - firstPixel, columns = p.outputs - firstOutput;
            const int own = int(unforeseen(uint32_t(thread)));   // places in the output tile are not kept in registers meanwhile
            shared.out.template put<64>(products.sum, own / 128 * (Pixels / 2) + own / 32 % 4 * 16, 0, p.bias ? p.bias + firstOutput : nullptr, columns,
                                        own % 32);
            fenceAsyncProxy();
            barrier();
            if (thread == 0) {
                UNROLL for (int half = 0; half < 2; half++) storeBox(told.y, firstPixel, firstOutput + half * 64, shared.out.tile.halves + half);
                commitBoxes();
            }
            if (p.sums) {
                const ConsecutivePixels rows{nullptr, 0, pixelsLeft};
                shared.out.sum(rows, pixelsLeft < Pixels ? pixelsLeft : Pixels, columns, p.sums + int64_t(tile) * p.outputs + firstOutput, own);
            }
        }
        if (thread == 0) waitBoxes<0>();
    }
};
