// The products of Growth on wgmma, which reads the weights from shared memory once for 64 pixels.
#pragma once
#include "growth.h"
#include "warpgroup_operands.h"

// Activations come from registers, so that ldmatrix finds the rows of a tap as in GrowthProducts. Of the 64 rows of a product a warp has any 16 pixels:
// it has the pixels that it has there, and sums are the same, in the same order.
//
// A tap's products are a group. While they are under way, the next tap's activations are loaded into the other registers. No group outlives its
// slice, so that the first tap of a slice may take the registers of the last one before it.
template <int RowTiles> struct GrowthWarpgroupProducts {
    static_assert(RowTiles == 2, "a fence and a wait name two accumulators");
    static constexpr int steps = 2;
    const int lane;
    float sum[RowTiles][4][4];
    uint32_t activations[2][steps * RowTiles][4];

    DEVICE explicit GrowthWarpgroupProducts(int thread) : lane(thread % 32), sum{} {}

    static DEVICE void publish() { fenceAsyncProxy(); }
    DEVICE void finish() { warpgroupWait<0>(sum[0], sum[1]); }

    template <class Stage> DEVICE void add(Stage& stage, int tap, const int (&row)[RowTiles]) {
        static_assert(Stage::depth == steps * 16, "a group is one tap of a slice");
        auto& a = activations[tap % 2];
        UNROLL for (int k = 0; k < steps; k++) UNROLL for (int i = 0; i < RowTiles; i++)
            loadMatrix(a[k * RowTiles + i], stage.x.at(row[i], k * 2 + alongChunk(lane)));
        if (tap == 0) warpgroupFence(sum[0], sum[1]);
        warpgroupFence(a);
        UNROLL for (int k = 0; k < steps; k++) UNROLL for (int i = 0; i < RowTiles; i++)
            warpgroupMultiply(sum[i], a[k * RowTiles + i], depthDownColumns(&stage.weight, (tap * steps + k) * 16, 0));
        warpgroupCommit();
        warpgroupWait<1>();
    }
};
