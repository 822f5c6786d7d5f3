// The backward pass of a dense layer's 3×3 convolution in one kernel, which reads each map once: what its new channels owe is taken off, and of the
// rest, dy, the gradients of the input and of the weights are made.
#pragma once
#include "growth.h"
#include "resolve.h"
#include "weight_tiles.h"

// Rows of `Columns` bf16, each chunk of 16 bytes in a plane of its own. Eight consecutive rows of a chunk are 128 consecutive bytes, whichever is the
// first, so that no chunk has to be permuted: the address of a row and of its neighbours differ by constants.
template <int Rows, int Columns> struct Planes {
    uint4 data[Columns / 8][Rows];
    DEVICE uint4* at(int row, int chunk) { return &data[chunk][row]; }
};

// A block computes 64 channels over a part of the tiles. What a pixel gave through tap 8 − t comes back to it through tap t, so both gradients read
// dy in the same places: d of a pixel is the sum over t of dy(pixel moved by t) · weight[8 − t]ᵀ, and the gradient of weight[8 − t] is the sum over
// pixels of relu(affine(y))ᵀ · dy(pixel moved by t). Only dy has a halo.
//
// dy is a ring of pixels: what is before a tile and behind it stays from one tile to the next, so that a step brings and resolves only as many pixels
// as a tile has. As many steps as fill the ring go before the first tile. `Pitch` is the largest width that the ring has room for.
//
// For d a warp has a third of the pixels × 32 channels, for the weights one row of taps × 32 channels × 32 outputs. Loading matrices from shared
// memory is what bounds this kernel: with these shapes it is five for twelve multiplications. d is summed over taps, in a tap over steps of 16, as
// GrowthDataGradient does.
//
// Pixels behind the batch's last one are in images of their own, where dy is 0: they give nothing, whatever y would be.
template <int Pixels, int Pitch> struct GrowthGradients {
    static constexpr int threads = 192, channels = 64, outputs = 32, thirds = 3, rowTiles = Pixels / thirds / 16;
    // Two more rows repeat the ring's first ones: a row and its two right neighbours are then next to each other. Of zeros there are eight rows and
    // two more: a lane reads those in the same banks as the rows that they replace.
    static constexpr int ring = (Pixels + 2 * Pitch + 2 + 9) / 8 * 8 - 2, zeroRow = ring + 2, rows = zeroRow + 10;
    static constexpr int brought = Pixels * outputs / 8 / threads, apart = threads * 8 / outputs;
    struct Shared {
        Planes<rows, outputs> dy;
        Planes<taps * channels, outputs> weight;
        Tile<Pixels, channels> y, activations;          // y becomes d
        uint4 g[brought][threads], x[brought][threads];  // each thread's own
        Tile<4, channels> affine;                        // at row i, chunk c: scale and shift of channels 8c + 2i and 8c + 2i + 1
        Tile<4, outputs> debts;                          // likewise
        float mean[channels];
        gate_sums sums[thirds][channels];                // of a tile
        uint16_t valid[Pixels];                          // validTaps
        double gradient[channels], product[channels];    // of all tiles; here, since the registers are in use
    };
    using Sums = float[rowTiles][4][4];
    using WeightSums = float[3][2][4][4];

    // dy of a pixel's three neighbours through a row of taps; bits 0 to 2 of `valid` say which of them there are.
    struct Neighbours {
        const uint4 *first, *zeros;
        unsigned valid;
        DEVICE const uint4* at(int tap) const { return (valid >> tap & 1 ? first : zeros) + tap; }
    };
    static DEVICE Neighbours neighbours(Shared& shared, int row, int chunk, unsigned valid) {
        row = wrapped(row);
        return {shared.dy.at(row, chunk), shared.dy.at(zeroRow + (row & 7), chunk), valid};
    }
    static DEVICE int wrapped(int row) { return row < ring ? row : row - ring; }

    static DEVICE float4 twoOf(const uint4* constants) { return loadShared(reinterpret_cast<const float4*>(constants)); }

    static DEVICE uint32_t resolvedPair(uint32_t g, uint32_t x, float4 debts) {
        return pack(resolved(1, lowHalf(g), debts.x, debts.y, lowHalf(x)), resolved(1, highHalf(g), debts.z, debts.w, highHalf(x)));
    }

    // What has been brought becomes a part of the ring, from this row on. `pixel` is the thread's first.
    static DEVICE void resolve(Shared& shared, int firstRow, int pixel, int pixels, int thread) {
        const int chunk = thread % 4;
        float4 debts[4];
        UNROLL for (int i = 0; i < 4; i++) debts[i] = twoOf(shared.debts.at(i, chunk));
        UNROLL for (int i = 0; i < brought; i++) {
            const int row = wrapped(firstRow + thread / 4 + i * apart);
            uint4 dy{0, 0, 0, 0};
            if (when(pixel + i * apart >= 0 && pixel + i * apart < pixels)) {
                const uint4 g = loadShared(&shared.g[i][thread]), x = loadShared(&shared.x[i][thread]);
                dy = {resolvedPair(g.x, x.x, debts[0]), resolvedPair(g.y, x.y, debts[1]),
                      resolvedPair(g.z, x.z, debts[2]), resolvedPair(g.w, x.w, debts[3])};
            }
            storeShared(shared.dy.at(row, chunk), dy);
            if (row < 2) storeShared(shared.dy.at(ring + row, chunk), dy);
        }
    }

    // `halo`: the ring's row of the pixel that is a row and a column before the tile's first.
    static DEVICE void multiplyData(Shared& shared, Sums& sum, int halo, int width, int third, int firstChannel, int lane) {
        const int pixel = third * rowTiles * 16 + alongRow(lane);
        unsigned valid[rowTiles];
        UNROLL for (int i = 0; i < rowTiles; i++) valid[i] = loadShared(&shared.valid[pixel + i * 16]);
        ROLLED for (int tapRow = 0; tapRow < 3; tapRow++) {
            Neighbours dy[rowTiles];
            UNROLL for (int i = 0; i < rowTiles; i++)
                dy[i] = neighbours(shared, halo + pixel + i * 16 + tapRow * width, alongChunk(lane), valid[i] >> (tapRow * 3));
            UNROLL for (int t = 0; t < 3; t++) UNROLL for (int k = 0; k < outputs; k += 16) {
                const int weightRow = (taps - 1 - tapRow * 3 - t) * channels + firstChannel + acrossRow(lane);
                uint32_t a[rowTiles][4];
                UNROLL for (int i = 0; i < rowTiles; i++) loadMatrix(a[i], dy[i].at(t) + k / 8 * rows);
                UNROLL for (int j = 0; j < 2; j++) {
                    uint32_t b[4];
                    loadMatrix(b, shared.weight.at(weightRow + j * 16, k / 8 + acrossChunk(lane)));
                    UNROLL for (int i = 0; i < rowTiles; i++) {
                        multiply(sum[i][2 * j], a[i], b[0], b[1]);
                        multiply(sum[i][2 * j + 1], a[i], b[2], b[3]);
                    }
                }
            }
        }
    }

    static DEVICE void multiplyWeights(Shared& shared, WeightSums& sum, int halo, int width, int tapRow, int firstChannel, int lane) {
        ROLLED for (int k = 0; k < Pixels; k += 16) {
            uint32_t a[2][4];
            UNROLL for (int i = 0; i < 2; i++)
                loadMatrixTransposed(a[i], shared.activations.at(k + acrossRow(lane), firstChannel / 8 + i * 2 + acrossChunk(lane)));
            const int pixel = k + alongRow(lane);
            const unsigned valid = loadShared(&shared.valid[pixel]);
            const Neighbours dy = neighbours(shared, halo + pixel + tapRow * width, alongChunk(lane), valid >> (tapRow * 3));
            UNROLL for (int t = 0; t < 3; t++) UNROLL for (int j = 0; j < 2; j++) {
                uint32_t b[4];
                loadMatrixTransposed(b, dy.at(t) + j * 2 * rows);
                UNROLL for (int i = 0; i < 2; i++) {
                    multiply(sum[t][i][2 * j], a[i], b[0], b[1]);
                    multiply(sum[t][i][2 * j + 1], a[i], b[2], b[3]);
                }
            }
        }
    }

    // A warp's accumulators are rounded, then gated, and take the place of the y that opened the gate. Then their sums.
    static DEVICE void gate(Shared& shared, const Sums& sum, int third, int firstChannel, int lane) {
        float totals[16];                // Σd and Σd·(y − mean) of this lane's channels, over its rows
        UNROLL for (int j = 0; j < 4; j++) {
            const int channel = firstChannel + j * 8 + lane % 4 * 2;
            const float4 affine = twoOf(shared.affine.at(lane % 4, channel / 8));
            const float2 mean = loadShared(reinterpret_cast<const float2*>(&shared.mean[channel]));
            uint32_t* first = shared.y.pair(third * rowTiles * 16 + lane / 4, channel);
            float4 total{0, 0, 0, 0};
            UNROLL for (int i = 0; i < rowTiles; i++) UNROLL for (int half = 0; half < 2; half++) {
                uint32_t* place = first + (i * 16 + half * 8) * channels / 2;   // every eighth row has the same permutation
                const uint32_t y = loadShared(place), d = pack(sum[i][j][half * 2], sum[i][j][half * 2 + 1]);
                const float low = fmaf(lowHalf(y), affine.x, affine.y) > 0 ? lowHalf(d) : 0;
                const float high = fmaf(highHalf(y), affine.z, affine.w) > 0 ? highHalf(d) : 0;
                storeShared(place, pack(low, high));
                total = {total.x + low, fmaf(low, lowHalf(y) - mean.x, total.y), total.z + high, fmaf(high, highHalf(y) - mean.y, total.w)};
            }
            totals[4 * j] = total.x, totals[4 * j + 1] = total.y, totals[4 * j + 2] = total.z, totals[4 * j + 3] = total.w;
        }
        sumRows(totals, lane);
        const int kept = firstKept<16>(lane), channel = firstChannel + kept / 4 * 8 + lane % 4 * 2 + kept / 2 % 2;
        storeShared(reinterpret_cast<float2*>(&shared.sums[third][channel]), float2{totals[0], totals[1]});
    }

    static DEVICE void run(const growth_gradients_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x % 256;   // not negative, as far as the compiler can see: it divides by shifting
        const int lane = thread % 32, third = thread / 64, warpChannel = thread / 32 % 2 * 32;
        const int firstChannel = blockIdx.y * channels, channelsLeft = p.channels - firstChannel;
        const int chunk = thread % 4;    // this thread's rows of g, of x and of the weights are thread / 4, + threads / 4, ...
        const PartOfTiles part((p.pixels + Pixels - 1) / Pixels);
        const int firstStep = part.first - (2 * p.width + 2 + Pixels - 1) / Pixels;

        // The last pixels that tile `step` needs: as many as it has, up to a row and a column behind it.
        const uint16_t* g = static_cast<const uint16_t*>(p.g) + chunk * 8;
        const uint16_t* x = static_cast<const uint16_t*>(p.x) + chunk * 8;
        auto bring = [&](int step) {
            if (when(step < part.end)) UNROLL for (int i = 0; i < brought; i++) {
                const int pixel = step * Pixels + p.width + 1 + thread / 4 + i * apart;
                const bool inside = when(pixel >= 0 && pixel < p.pixels);
                copyAsync16(&shared.g[i][thread], g + int64_t(pixel) * p.g_stride, inside);
                copyAsync16(&shared.x[i][thread], x + int64_t(pixel) * p.x_stride, inside);
            }
            commitCopies();
        };
        // A thread stays with its chunks of the tile: what it copies it normalises, and where it has read d it copies the next tile's y.
        auto copyOf = [&](int tile) {
            return TileCopy<Pixels, channels, threads>(p.y, p.channels, int64_t(tile) * Pixels, firstChannel, p.channels, unforeseen(thread) % 256);
        };
        copyOf(part.first).start(shared.y, p.pixels - part.first * Pixels);
        const uint16_t* weight = static_cast<const uint16_t*>(p.weight) + chunk * 8;
        for (int row = thread / 4; when(row < taps * channels); row += apart)
            copyAsync16(shared.weight.at(row, chunk), weight + int64_t(row / channels * p.channels + firstChannel + row % channels) * outputs,
                        when(row % channels < channelsLeft));
        if (when(thread < channels / 2))
            copyAsync16(shared.affine.at(thread % 4, thread / 4), p.affine + firstChannel + 2 * thread, when(2 * thread < channelsLeft));
        if (when(thread < outputs / 2)) copyAsync16(shared.debts.at(thread % 4, thread / 4), p.debts + 2 * thread, true);
        bring(firstStep);
        if (when(thread < 40)) storeShared(shared.dy.at(zeroRow + thread / 4, chunk), uint4{0, 0, 0, 0});
        if (when(thread < channels)) {
            const bool inside = when(thread < channelsLeft);
            storeShared(&shared.mean[thread], inside ? float(loadGlobal(&p.moments[firstChannel + thread].mean)) : 0);
            storeShared(&shared.gradient[thread], 0.0);
            storeShared(&shared.product[thread], 0.0);
        }

        WeightSums weightSum = {};
        int halo = 0;
        for (int step = firstStep; step < part.end; step++, halo = wrapped(halo + Pixels)) {
            waitCopies<0>();
            barrier();                   // everybody's constants are there, and nobody reads the tile before any more
            resolve(shared, halo + 2 * p.width + 2, step * Pixels + p.width + 1 + thread / 4, p.pixels, thread);
            bring(step + 1);
            if (step < part.first) continue;

            const int left = p.pixels - step * Pixels;
            const auto y = copyOf(step + 1);
            float4 affine[4];
            UNROLL for (int i = 0; i < 4; i++) affine[i] = twoOf(shared.affine.at(i, y.chunk));
            UNROLL for (int i = 0; i < y.count; i++) {
                const uint4 v = loadShared(shared.y.at(y.row + i * y.step, y.chunk));
                storeShared(shared.activations.at(y.row + i * y.step, y.chunk),
                            uint4{normaliseRectify(v.x, affine[0]), normaliseRectify(v.y, affine[1]),
                                  normaliseRectify(v.z, affine[2]), normaliseRectify(v.w, affine[3])});
            }
            if (when(thread < Pixels)) storeShared(&shared.valid[thread], uint16_t(validTaps(step * Pixels + thread, p.height, p.width)));
            barrier();                   // dy, y and what is made of them are there

            {
                Sums sum = {};
                multiplyData(shared, sum, halo, p.width, third, warpChannel, lane);
                gate(shared, sum, third, warpChannel, unforeseen(lane) % 32);
            }
            barrier();                   // d and its sums are there
            uint16_t* d = static_cast<uint16_t*>(p.d) + int64_t(step) * Pixels * p.channels + firstChannel + y.chunk * 8;
            UNROLL for (int i = 0; i < y.count; i++) {
                const int row = y.row + i * y.step;
                if (y.inside && when(row < left))
                    storeGlobal(reinterpret_cast<uint4*>(d + int64_t(row) * p.channels), loadShared(shared.y.at(row, y.chunk)));
            }
            if (when(step + 1 < part.end)) y.start(shared.y, left - Pixels);
            commitCopies();
            if (when(thread < channels)) {
                float2 total{0, 0};
                UNROLL for (int t = 0; t < thirds; t++) {
                    const float2 sums = loadShared(reinterpret_cast<const float2*>(&shared.sums[t][thread]));
                    total = {total.x + sums.x, total.y + sums.y};
                }
                storeShared(&shared.gradient[thread], loadShared(&shared.gradient[thread]) + total.x);
                storeShared(&shared.product[thread], loadShared(&shared.product[thread]) + total.y);
            }
            multiplyWeights(shared, weightSum, halo, p.width, third, warpChannel, lane);
        }

        if (when(warpChannel < channelsLeft)) UNROLL for (int t = 0; t < 3; t++) UNROLL for (int i = 0; i < 2; i++) {
            const int tap = taps - 1 - third * 3 - t;
            const int64_t row = (int64_t(blockIdx.x) * taps + tap) * p.channels + firstChannel + warpChannel + i * 16;
            UNROLL for (int j = 0; j < 4; j++) storePartial(weightSum[t][i][j], p.partial + row * outputs + j * 8, outputs, lane);
        }
        if (when(thread < channels) && when(thread < channelsLeft))
            storeGlobal(reinterpret_cast<float2*>(p.sums + int64_t(blockIdx.x) * p.channels + firstChannel + thread),
                        float2{float(loadShared(&shared.gradient[thread])), float(loadShared(&shared.product[thread]))});
    }
};
