// The end of both data gradients in bf16: a tile of accumulators becomes d, the gradient behind a ReLU's gate, and its sums.
#pragma once
#include "tile.h"

// d is rounded first, then gated, so that the sums are of the values that are stored or added. A lane holds four channels, a warp whole rows: so
// each access of a warp to x, to d or to G is one run of memory. A lane adds up its rows in order, and the warps are added in order.
template <int Pixels, int Threads> struct GatedTile {
    static constexpr int channels = 128, warps = Threads / 32, rows = Pixels / warps, batch = 8;
    static_assert(rows % batch == 0 && Threads >= channels, "every lane holds equally much");
    Tile<Pixels, channels> tile;
    alignas(16) gate_sums sums[warps][channels];

    // A warp's accumulators, whose first row and column are these of the tile.
    template <int RowTiles, int ColumnTiles> DEVICE void put(const float (&sum)[RowTiles][ColumnTiles][4], int firstRow, int firstColumn, int lane) {
        UNROLL for (int j = 0; j < ColumnTiles; j++) UNROLL for (int i = 0; i < RowTiles; i++) UNROLL for (int half = 0; half < 2; half++)
            storeShared(tile.pair(firstRow + i * 16 + half * 8 + lane / 4, firstColumn + j * 8 + lane % 4 * 2),
                        pack(sum[i][j][half * 2], sum[i][j][half * 2 + 1]));
    }

    // To memory as it is: `columns` of the tile, and of its rows the first `left`.
    DEVICE void copy(uint16_t* first, int64_t stride, int left, int columns, int thread) {
        barrier();
        constexpr int chunks = channels / 8;
        UNROLL for (int i = 0; i < Pixels * chunks / Threads; i++) {
            const int row = (thread + i * Threads) / chunks, chunk = (thread + i * Threads) % chunks;
            if (when(row < left) && when(chunk * 8 < columns))
                storeGlobal(reinterpret_cast<uint4*>(first + row * stride) + chunk, loadShared(tile.at(row, chunk)));
        }
    }

    // The pointers are to the first of `columns` channels: x [left][stride], and of the tile the sums.
    template <class Target> DEVICE void finish(const Target& target, const uint16_t* x, int64_t stride, const affine_pair* affine,
                                               const batch_moments* moments, gate_sums* totals, int left, int columns, int thread) {
        const int lane = thread % 32, warp = thread / 32, channel = lane * 4;
        const bool inside = when(channel < columns);
        float4 low{0, 0, 0, 0}, high{0, 0, 0, 0}, mean{0, 0, 0, 0};   // scale and shift of two channels; of the other two
        if (inside) {
            low = loadGlobal(reinterpret_cast<const float4*>(affine + channel));
            high = loadGlobal(reinterpret_cast<const float4*>(affine + channel) + 1);
            mean = {float(loadGlobal(&moments[channel].mean)), float(loadGlobal(&moments[channel + 1].mean)),
                    float(loadGlobal(&moments[channel + 2].mean)), float(loadGlobal(&moments[channel + 3].mean))};
        }
        barrier();
        float4 sum{0, 0, 0, 0}, product{0, 0, 0, 0};
        for (int first = warp * rows; first < warp * rows + rows; first += batch) {   // a batch is loaded before its first row is used
            bool has[batch];
            uint2 values[batch];
            typename Target::Before before[batch];
            UNROLL for (int i = 0; i < batch; i++) {
                has[i] = inside && when(first + i < left);
                values[i] = {0, 0};
                if (has[i]) values[i] = loadGlobal(reinterpret_cast<const uint2*>(x + (first + i) * stride + channel));
                before[i] = target.before(first + i, channel, has[i]);
            }
            UNROLL for (int i = 0; i < batch; i++) {
                const uint2 d = loadShared(reinterpret_cast<const uint2*>(tile.pair(first + i, channel)));
                const float4 v{lowHalf(values[i].x), highHalf(values[i].x), lowHalf(values[i].y), highHalf(values[i].y)};
                float4 g{0, 0, 0, 0};
                if (has[i] && fmaf(v.x, low.x, low.y) > 0) g.x = lowHalf(d.x);
                if (has[i] && fmaf(v.y, low.z, low.w) > 0) g.y = highHalf(d.x);
                if (has[i] && fmaf(v.z, high.x, high.y) > 0) g.z = lowHalf(d.y);
                if (has[i] && fmaf(v.w, high.z, high.w) > 0) g.w = highHalf(d.y);
                sum = {sum.x + g.x, sum.y + g.y, sum.z + g.z, sum.w + g.w};
                product = {fmaf(g.x, v.x - mean.x, product.x), fmaf(g.y, v.y - mean.y, product.y),
                           fmaf(g.z, v.z - mean.z, product.z), fmaf(g.w, v.w - mean.w, product.w)};
                if (has[i]) target.store(first + i, channel, g, float4{low.x, low.z, high.x, high.z}, before[i]);
            }
        }
        float4* mine = reinterpret_cast<float4*>(&sums[warp][channel]);
        storeShared(mine, float4{sum.x, product.x, sum.y, product.y});
        storeShared(mine + 1, float4{sum.z, product.z, sum.w, product.w});
        barrier();
        if (when(thread < columns && thread < channels)) {
            float2 total{0, 0};
            UNROLL for (int w = 0; w < warps; w++) {
                const float2 part = loadShared(reinterpret_cast<const float2*>(&sums[w][thread]));
                total = {total.x + part.x, total.y + part.y};
            }
            storeGlobal(reinterpret_cast<float2*>(totals + thread), total);
        }
    }
};

// d goes into the block's gradient G.
struct BlockGradient {
    using Before = uint2;
    uint16_t* first;
    int64_t stride;
    bool accumulates;   // what is there before the first consumer is not read: it may be anything
    DEVICE uint2 before(int row, int channel, bool inside) const {
        return inside && when(accumulates) ? loadGlobal(reinterpret_cast<const uint2*>(first + row * stride + channel)) : uint2{0, 0};
    }
    DEVICE void store(int row, int channel, float4 d, float4 scale, uint2 old) const {
        storeGlobal(reinterpret_cast<uint2*>(first + row * stride + channel),
                    uint2{pack(fmaf(scale.x, d.x, lowHalf(old.x)), fmaf(scale.y, d.y, highHalf(old.x))),
                          pack(fmaf(scale.z, d.z, lowHalf(old.y)), fmaf(scale.w, d.w, highHalf(old.y)))});
    }
};

// d is kept as it is.
struct StoredGradient {
    struct Before {};
    uint16_t* first;
    int64_t stride;
    DEVICE Before before(int, int, bool) const { return {}; }
    DEVICE void store(int row, int channel, float4 d, float4, Before) const {
        storeGlobal(reinterpret_cast<uint2*>(first + row * stride + channel), uint2{pack(d.x, d.y), pack(d.z, d.w)});
    }
};
