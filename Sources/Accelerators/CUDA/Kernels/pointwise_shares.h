// What a thread of PointwiseGradients does with its elements of the four maps: it resolves and gates them.
#pragma once
#include "resolve.h"
#include "tile.h"

// `Count` tiles of 128 columns. A place is a chunk's number in memory: of tile `number` the one at (row, chunk). From there rows are in steps of
// eight, of `rowPlaces` places each, and chunks of the same half have places that differ in their last three bits: what a lane has computed once for
// its own place serves all others.
template <int Rows, int Count = 1> struct TilePairs {
    static constexpr int rowPlaces = 8, halfPlaces = Rows * rowPlaces;
    Tile<Rows, 64> halves[2 * Count];

    static DEVICE int place(int number, int row, int chunk) {
        return (number * 2 + chunk / 8) * halfPlaces + row * rowPlaces + (chunk % 8 ^ (row & 7));
    }
    DEVICE uint4* at(int place) { return halves[0].data + place; }
};

// Which chunk of eight channels and of eight outputs a thread has, and the first of its rows, of which it has every 16th.
struct PointwiseChunk {
    static constexpr int channels = 128, chunks = 16;
    const int row, chunk, firstChannel, channel, output;
    const bool hasChannels, hasOutputs;
    DEVICE PointwiseChunk(const pointwise_gradients_parameters& p, int thread) :
        row(thread / chunks), chunk(thread % chunks), firstChannel(blockIdx.y * channels), channel(firstChannel + chunk * 8), output(chunk * 8),
        hasChannels(when(channel < p.channels)), hasOutputs(when(output < p.outputs)) {}
};

// A thread's chunk of every 16th row of a map, a word for each pair.
template <int Pixels> struct PointwiseShare {
    static constexpr int threads = 256, chunks = PointwiseChunk::chunks, groups = threads / chunks, held = Pixels / groups;
    uint32_t pair[held][4];

    // Of a tile whose first of this thread's rows is `next`, and of which `left` exist from there on: others are zero.
    DEVICE void load(const uint16_t*& next, int stride, int left, bool inside) {
        UNROLL for (int i = 0; i < held; i++) {
            uint4 v{0, 0, 0, 0};
            if (inside && when(i * groups < left)) v = loadGlobal(reinterpret_cast<const uint4*>(next));
            put(i, v);
            next += int64_t(groups) * stride;
        }
    }
    // From its place in shared memory, and into it.
    template <int Count> DEVICE void take(TilePairs<Pixels, Count>& tile, int number, const PointwiseChunk& own) {
        const int place = tile.place(number, own.row, own.chunk);
        UNROLL for (int i = 0; i < held; i++) put(i, loadShared(tile.at(place + i * groups * tile.rowPlaces)));
    }
    template <int Count> DEVICE void store(TilePairs<Pixels, Count>& tile, int number, const PointwiseChunk& own) const {
        const int place = tile.place(number, own.row, own.chunk);
        UNROLL for (int i = 0; i < held; i++) storeShared(tile.at(place + i * groups * tile.rowPlaces), whole(i));
    }
    DEVICE void put(int i, uint4 v) { pair[i][0] = v.x, pair[i][1] = v.y, pair[i][2] = v.z, pair[i][3] = v.w; }
    DEVICE uint4 whole(int i) const { return {pair[i][0], pair[i][1], pair[i][2], pair[i][3]}; }
};

// In shared memory, pair by pair of a chunk's channels or outputs, so that neighbouring threads have neighbouring addresses: what resolves and gates
// them, and each group of threads' sums of a tile, Σd of both, then Σd·(x − mean).
struct PointwiseConstants {
    static constexpr int chunks = PointwiseChunk::chunks, groups = PointwiseShare<64>::groups;
    float4 affine[4][chunks], debts[4][chunks], sums[groups][4][chunks];
    float2 mean[4][chunks], yScale[4][chunks];

    // By the threads that have the first four rows, a pair each; zeros where it does not exist.
    DEVICE void put(const pointwise_gradients_parameters& p, const PointwiseChunk& own) {
        const int j = own.row, chunk = own.chunk;
        if (j >= 4) return;
        float4 affines{0, 0, 0, 0}, scales{0, 0, 0, 0}, owed{0, 0, 0, 0};
        float2 means{0, 0};
        if (own.hasChannels) {
            affines = loadGlobal(reinterpret_cast<const float4*>(p.affine + own.channel) + j);
            const batch_moments* moments = p.moments + own.channel + j * 2;
            means = {float(loadGlobal(&moments[0].mean)), float(loadGlobal(&moments[1].mean))};
        }
        if (own.hasOutputs) {
            scales = loadGlobal(reinterpret_cast<const float4*>(p.y_affine + own.output) + j);
            owed = loadGlobal(reinterpret_cast<const float4*>(p.debts + own.output) + j);
        }
        storeShared(&affine[j][chunk], affines);
        storeShared(&mean[j][chunk], means);
        storeShared(&yScale[j][chunk], float2{scales.x, scales.z});
        storeShared(&debts[j][chunk], owed);
    }

    // From d to dy: zeros from row `left` of the thread's on, where the constant is not 0.
    template <int Pixels> DEVICE void resolve(PointwiseShare<Pixels>& d, const PointwiseShare<Pixels>& y, int chunk, int left) const {
        UNROLL for (int j = 0; j < 4; j++) {
            const float2 scale = loadShared(&yScale[j][chunk]);
            const float4 owed = loadShared(&debts[j][chunk]);
            UNROLL for (int i = 0; i < d.held; i++)
                d.pair[i][j] = pack(resolved(scale.x, lowHalf(d.pair[i][j]), owed.x, owed.y, lowHalf(y.pair[i][j])),
                                    resolved(scale.y, highHalf(d.pair[i][j]), owed.z, owed.w, highHalf(y.pair[i][j])));
        }
        UNROLL for (int i = 0; i < d.held; i++) d.put(i, when(i * groups < left) ? d.whole(i) : uint4{0, 0, 0, 0});
    }

    // From g to the activations, and from G to what it becomes; and this thread's sums. Of pixels that do not exist dy is 0, of channels the weights,
    // and so is g of either.
    template <int Pixels>
    DEVICE void gate(PointwiseShare<Pixels>& g, const PointwiseShare<Pixels>& x, PointwiseShare<Pixels>& gradient, const PointwiseChunk& own) {
        UNROLL for (int j = 0; j < 4; j++) {
            const float4 affines = loadShared(&affine[j][own.chunk]);
            const float2 means = loadShared(&mean[j][own.chunk]);
            float4 sum{0, 0, 0, 0};
            UNROLL for (int i = 0; i < g.held; i++) {
                const float2 v{lowHalf(x.pair[i][j]), highHalf(x.pair[i][j])}, old{lowHalf(gradient.pair[i][j]), highHalf(gradient.pair[i][j])};
                const float2 normalised{fmaf(v.x, affines.x, affines.y), fmaf(v.y, affines.z, affines.w)};
                const float low = normalised.x > 0 ? lowHalf(g.pair[i][j]) : 0, high = normalised.y > 0 ? highHalf(g.pair[i][j]) : 0;
                sum = {sum.x + low, sum.y + high, fmaf(low, v.x - means.x, sum.z), fmaf(high, v.y - means.y, sum.w)};
                g.pair[i][j] = packRectified(normalised.x, normalised.y);
                gradient.pair[i][j] = pack(fmaf(affines.x, low, old.x), fmaf(affines.z, high, old.y));
            }
            storeShared(&sums[own.row][j][own.chunk], sum);
        }
    }

    // Of the tile, over all groups in order: of that channel's Σd or Σd·(x − mean) that this thread adds up.
    DEVICE float sum(int thread) const {
        float sum = 0;
        UNROLL for (int g = 0; g < groups; g++) sum += loadShared(reinterpret_cast<const float*>(sums[g]) + thread);
        return sum;
    }
    static DEVICE int summed(int thread) { return thread % 64 / 4 * 8 + thread / 64 * 2 + thread % 2; }
};
