// The products of Growth on wgmma, which reads the weights from shared memory once for 64 pixels.
#pragma once
#include "growth.h"
#include "warpgroup_operands.h"

// Activations come from registers, so that ldmatrix finds the rows of a tap as in GrowthProducts. A warp's 16 rows of a product are whichever pixels
// it likes: those that it has there. So sums are the same, in the same order.
//
// A step of 16 channels is a group. While two are under way, the next step's activations are loaded into the registers of the one before. No group
// outlives its slice, so that the first step of a slice may take any registers.
template <int RowTiles> struct GrowthWarpgroupProducts {
    static constexpr int held = 3;   // one more is registers that there are not, with two blocks on a multiprocessor
    static_assert(RowTiles == 2, "a fence and a wait name two accumulators");
    float sum[RowTiles][4][4] = {};
    uint32_t activations[held][RowTiles][4];

    static DEVICE void publish() { fenceAsyncProxy(); }
    DEVICE void finish() { warpgroupWait<0>(sum[0], sum[1]); }

    template <class Stage> DEVICE void add(Stage& stage, int tap, const int (&row)[RowTiles], int lane) {
        if (tap == 0) warpgroupFence(sum[0], sum[1]);
        UNROLL for (int k = 0; k < Stage::depth; k += 16) {
            const int depth = tap * Stage::depth + k;
            auto& a = activations[depth / 16 % held];
            UNROLL for (int i = 0; i < RowTiles; i++) loadMatrix(a[i], stage.x.at(row[i], k / 8 + alongChunk(lane)));
            warpgroupFence(a);
            UNROLL for (int i = 0; i < RowTiles; i++) warpgroupMultiply(sum[i], a[i], depthDownColumns(&stage.weight, depth, 0));
            warpgroupCommit();
            warpgroupWait<held - 1>();
        }
    }
};
