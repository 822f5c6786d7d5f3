// The products of PointwiseGradients on wgmma, which reads an operand from shared memory once for four warps.
#pragma once
#include "pointwise_gradients.h"
#include "warpgroup_operands.h"

// g = dy · weightᵀ, of which a warpgroup has 64 channels, and weights += aᵀ · dy, of which it has the same channels and all outputs. Sums are those of
// PointwiseProducts, in the same order. The weights' products are under way while the next tile is resolved.
struct PointwiseWarpgroupProducts {
    static constexpr int threads = 256, pixels = 64, channels = 128, outputs = 128, width = 64;
    const int lane, row;   // of the 64 that a warpgroup's products have the first of this warp
    const int group;
    float g[width / 8][4], weights[outputs / 8][4];

    DEVICE explicit PointwiseWarpgroupProducts(int thread) :
        lane(thread % 32), row(thread / 32 % 4 * 16), group(sameInWarp(thread / 128)), weights{} {}

    static DEVICE void publish() { fenceAsyncProxy(); }
    static DEVICE void finish() { warpgroupWait<0>(); }

    DEVICE void multiplyByWeights(TilePairs<pixels, 2>& dy, int number, TilePairs<channels>& weight) {
        UNROLL for (int j = 0; j < width / 8; j++) UNROLL for (int e = 0; e < 4; e++) g[j][e] = 0;
        warpgroupFence(g);
        UNROLL for (int k = 0; k < outputs; k += 16)
            warpgroupMultiply(g, depthAlongRows(dy.halves + number * 2, 0, k), depthAlongRows(weight.halves, group * width, k));
        warpgroupCommit();
        warpgroupWait<0>(g);
    }
    template <int Count> DEVICE void put(TilePairs<pixels, Count>& tile, int number) const {
        const int place = tile.place(number, row + lane / 4, group * width / 8);
        UNROLL for (int j = 0; j < width / 8; j++) UNROLL for (int half = 0; half < 2; half++)
            storeShared(reinterpret_cast<uint32_t*>(tile.at((place ^ j) + half * 8 * tile.rowPlaces)) + lane % 4,
                        pack(g[j][half * 2], g[j][half * 2 + 1]));
    }

    template <int Count>
    DEVICE void addWeights(TilePairs<pixels, Count>& activations, int activationsNumber, TilePairs<pixels, 2>& dy, int number) {
        warpgroupFence(weights);
        UNROLL for (int k = 0; k < pixels; k += 16)
            warpgroupMultiply(weights, depthDownColumns(activations.halves + activationsNumber * 2 + group, k, 0),
                              depthDownColumns(dy.halves + number * 2, k, 0));
        warpgroupCommit();
    }
    DEVICE void store(float* partial, int channelsLeft, int outputsLeft) {
        warpgroupWait<0>(weights);
        const int channel = group * width + row;
        if (when(channel < channelsLeft)) UNROLL for (int j = 0; j < outputs / 8; j++)
            if (when(j * 8 < outputsLeft)) storePartial(weights[j], partial + int64_t(channel) * outputsLeft + j * 8, outputsLeft, lane);
    }
};
