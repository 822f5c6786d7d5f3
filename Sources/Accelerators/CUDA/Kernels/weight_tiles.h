// What the weight gradients in bf16 share: a block keeps its part of the weights in registers while it walks over its part of the pixels.
#pragma once
#include "tile.h"

// The tiles of one part: they follow from the number of parts alone, and so do the sums.
struct PartOfTiles {
    int first, end;
    DEVICE explicit PartOfTiles(int tiles) :
        first(int(int64_t(tiles) * blockIdx.x / gridDim.x)), end(int(int64_t(tiles) * (blockIdx.x + 1) / gridDim.x)) {}
};

// A fragment of accumulators to memory, where its first row and column are at `first`.
DEVICE void storePartial(const float (&sum)[4], float* first, int64_t stride, int lane) {
    UNROLL for (int half = 0; half < 2; half++)
        storeGlobal(reinterpret_cast<float2*>(first + (half * 8 + lane / 4) * stride + lane % 4 * 2), float2{sum[half * 2], sum[half * 2 + 1]});
}
