// The backward pass of a dense layer's 3×3 convolution in one kernel, which reads each map once: what its new channels owe is taken off, and of the
// rest, dy, the gradients of the input and of the weights are made.
#pragma once
#include "growth.h"
#include "weight_tiles.h"

// Rows of `Columns` bf16, each chunk of 16 bytes in a plane of its own. Eight consecutive rows of a chunk are 128 consecutive bytes, wherever the first
// one is, so that no row's place has to be permuted: places that differ by constants are one address with constants added.
template <int Rows, int Columns> struct Planes {
    uint4 data[Columns / 8][Rows];
    DEVICE uint4* at(int row, int chunk) { return &data[chunk][row]; }
};

// A block computes 64 channels over a part of the tiles. What a pixel gave through tap 8 − t comes back to it through tap t, so both gradients of a
// pixel read dy in the same places: d = Σ over t of dy(pixel moved by t) · weight[8 − t]ᵀ, and to the gradient of weight[8 − t] it adds
// relu(affine(y)) · dy(pixel moved by t). Only dy has a halo.
//
// dy is a ring of pixels: those before a tile and those behind it are there from one tile to the next, so that a step brings and resolves only as
// many as a tile has. As many steps as fill the ring come before the first tile. `Pitch` is the largest width that the ring has room for.
//
// For d a warp has 1/3 of the pixels × 32 channels, for the weights one row of taps × 32 channels × 32 outputs: few matrices are loaded for each
// multiplication, which is what bounds this kernel. Each value of d is summed over taps, in a tap over steps of 16, as in GrowthDataGradient.
template <int Pixels, int Pitch> struct GrowthGradients {
    static constexpr int threads = 192, channels = 64, outputs = 32, thirds = 3, rowTiles = Pixels / thirds / 16;
    // Two rows more repeat the ring's first ones, so that a row's right neighbours are the two behind it. Of zeros there are eight and two: a lane reads
    // those in the same banks as the rows they replace.
    static constexpr int ring = (Pixels + 2 * Pitch + 2 + 9) / 8 * 8 - 2, zeroRow = ring + 2, planeRows = zeroRow + 10;
    static constexpr int brought = Pixels * outputs / 8 / threads, apart = threads * 8 / outputs;
    struct Shared {
        Planes<planeRows, outputs> dy;
        Planes<taps * channels, outputs> weight;
        Tile<Pixels, channels> y, activations;         // y becomes d
        uint4 g[brought][threads], x[brought][threads];   // each thread's own, of the next step
        Tile<4, channels> affine;                       // row i, chunk c: scale and shift of channels 8c + 2i and the one behind it
        Tile<4, outputs> debts;                         // likewise
        float mean[channels];
        gate_sums sums[thirds][channels];
        uint16_t valid[Pixels];                         // validTaps
        double gradient[channels], product[channels];   // of all tiles so far: here, since all registers are in use
    };

    static DEVICE int wrapped(int row) { return row < ring ? row : row - ring; }

    // Eight of dy, exactly as ResolveGradient makes them.
    static DEVICE uint32_t resolved(uint32_t g, uint32_t x, float4 debts) {
        return pack(lowHalf(g) - fmaf(debts.y, lowHalf(x), debts.x), highHalf(g) - fmaf(debts.w, highHalf(x), debts.z));
    }
    static DEVICE uint4 resolved(uint4 g, uint4 x, const float4 (&debts)[4]) {
        return {resolved(g.x, x.x, debts[0]), resolved(g.y, x.y, debts[1]), resolved(g.z, x.z, debts[2]), resolved(g.w, x.w, debts[3])};
    }

    // Pairs of a channel and its neighbour: of a thread's eight, or of one of its pairs.
    template <int Columns> static DEVICE float4 pair(Tile<4, Columns>& constants, int row, int chunk) {
        return loadShared(reinterpret_cast<const float4*>(constants.at(row, chunk)));
    }

    // A warp's accumulators are rounded, then gated, and take the place of the values of y that decided; and the third's sums of
    // them.
    static DEVICE void gate(Shared& shared, const float (&sum)[rowTiles][4][4], int third, int firstColumn, int lane) {
        float totals[16];                // gradient and product of each of this lane's channels, over its rows
        UNROLL for (int j = 0; j < 4; j++) {
            const int column = firstColumn + j * 8 + lane % 4 * 2;
            const float4 affine = pair(shared.affine, lane % 4, column / 8);
            const float2 mean = loadShared(reinterpret_cast<const float2*>(&shared.mean[column]));
            uint32_t* first = shared.y.pair(third * rowTiles * 16 + lane / 4, column);
            float4 total{0, 0, 0, 0};
            UNROLL for (int i = 0; i < rowTiles; i++) UNROLL for (int half = 0; half < 2; half++) {
                uint32_t* place = first + (i * 16 + half * 8) * channels / 2;   // eight rows further a chunk stands in the same column
                const uint32_t y = loadShared(place), d = pack(sum[i][j][half * 2], sum[i][j][half * 2 + 1]);
                const float low = fmaf(lowHalf(y), affine.x, affine.y) > 0 ? lowHalf(d) : 0;
                const float high = fmaf(highHalf(y), affine.z, affine.w) > 0 ? highHalf(d) : 0;
                storeShared(place, pack(low, high));
                total = {total.x + low, fmaf(low, lowHalf(y) - mean.x, total.y), total.z + high, fmaf(high, highHalf(y) - mean.y, total.w)};
            }
            totals[4 * j] = total.x, totals[4 * j + 1] = total.y, totals[4 * j + 2] = total.z, totals[4 * j + 3] = total.w;
        }
        sumRows(totals, lane);
        const int kept = firstKept<16>(lane);
        storeShared(reinterpret_cast<float2*>(&shared.sums[third][firstColumn + kept / 4 * 8 + lane % 4 * 2 + kept / 2 % 2]),
                    float2{totals[0], totals[1]});
    }

    static DEVICE void run(const growth_gradients_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x % 256;   // so that the compiler knows that it is not negative, and divides by shifting
        const int lane = thread % 32, third = thread / 64, warpChannel = thread / 32 % 2 * 32;
        const int firstChannel = blockIdx.y * channels, channelsLeft = p.channels - firstChannel;
        const int chunk = thread % 4, ownRow = thread / 4;   // of g, of x and of the weights
        const PartOfTiles part((p.pixels + Pixels - 1) / Pixels);

        // Step s completes the ring for tile s: pixels up to a row and a column behind the tile.
        const uint16_t* g = static_cast<const uint16_t*>(p.g) + chunk * 8;
        const uint16_t* x = static_cast<const uint16_t*>(p.x) + chunk * 8;
        auto bring = [&](int step) {
            if (when(step < part.end)) UNROLL for (int i = 0; i < brought; i++) {
                const int pixel = step * Pixels + p.width + 1 + ownRow + i * apart;
                const bool inside = when(pixel >= 0 && pixel < p.pixels);
                copyAsync16(&shared.g[i][thread], g + int64_t(pixel) * p.g_stride, inside);
                copyAsync16(&shared.x[i][thread], x + int64_t(pixel) * p.x_stride, inside);
            }
            commitCopies();
        };
        const int firstStep = part.first - (2 * p.width + 2 + Pixels - 1) / Pixels;
        auto copyOf = [&](int tile) {    // of y; a thread treats, stores and fills again the same chunks
            return TileCopy<Pixels, channels, threads>(p.y, p.channels, int64_t(tile) * Pixels, firstChannel, p.channels, unforeseen(thread) % 256);
        };
        copyOf(part.first).start(shared.y, p.pixels - part.first * Pixels);
        for (int row = ownRow; when(row < taps * channels); row += apart)
            copyAsync16(shared.weight.at(row, chunk),
                        static_cast<const uint16_t*>(p.weight) + int64_t(row / channels * p.channels + firstChannel + row % channels) * outputs + chunk * 8,
                        when(row % channels < channelsLeft));
        if (when(thread < channels / 2))
            copyAsync16(shared.affine.at(thread % 4, thread / 4), p.affine + firstChannel + 2 * thread, when(2 * thread < channelsLeft));
        if (when(thread < outputs / 2)) copyAsync16(shared.debts.at(thread % 4, thread / 4), p.debts + 2 * thread, true);
        bring(firstStep);
        if (when(thread < channels)) {
            const bool inside = when(thread < channelsLeft);
            storeShared(&shared.mean[thread], inside ? float(loadGlobal(&p.moments[firstChannel + thread].mean)) : 0);
            storeShared(&shared.gradient[thread], 0.0);
            storeShared(&shared.product[thread], 0.0);
        }
        if (when(thread < 40)) storeShared(shared.dy.at(zeroRow + thread / 4, chunk), uint4{0, 0, 0, 0});

        float weightSum[3][2][4][4] = {};
        int first = 0;                   // where in the ring the tile's halo begins: a row and a column before its first pixel
        for (int step = firstStep; step < part.end; step++, first = wrapped(first + Pixels)) {
            waitCopies<0>();
            barrier();                   // nobody reads the tile before any more, and everybody's copies have landed
            {
                float4 debts[4];
                UNROLL for (int i = 0; i < 4; i++) debts[i] = pair(shared.debts, i, chunk);
                UNROLL for (int i = 0; i < brought; i++) {
                    const int pixel = step * Pixels + p.width + 1 + ownRow + i * apart, row = wrapped(first + 2 * p.width + 2 + ownRow + i * apart);
                    uint4 dy{0, 0, 0, 0};
                    if (when(pixel >= 0 && pixel < p.pixels)) dy = resolved(loadShared(&shared.g[i][thread]), loadShared(&shared.x[i][thread]), debts);
                    storeShared(shared.dy.at(row, chunk), dy);
                    if (row < 2) storeShared(shared.dy.at(ring + row, chunk), dy);
                }
            }
            bring(step + 1);
            if (step < part.first) continue;

            const int left = p.pixels - step * Pixels;
            const auto y = copyOf(step + 1);
            {
                float4 affine[4];
                UNROLL for (int i = 0; i < 4; i++) affine[i] = pair(shared.affine, i, y.chunk);
                UNROLL for (int i = 0; i < y.count; i++) {
                    const int row = y.row + i * y.step;
                    const uint4 v = loadShared(shared.y.at(row, y.chunk));
                    storeShared(shared.activations.at(row, y.chunk), uint4{normaliseRectify(v.x, affine[0]), normaliseRectify(v.y, affine[1]),
                                                                           normaliseRectify(v.z, affine[2]), normaliseRectify(v.w, affine[3])});
                }
            }
            if (when(thread < Pixels)) storeShared(&shared.valid[thread], uint16_t(validTaps(step * Pixels + thread, p.height, p.width)));
            barrier();                   // dy, the activations and what is valid are there

            // Where the tile's pixel finds dy through the taps of a row.
            struct TapRow {
                uint4 *inside, *zeros;
                unsigned valid;
                DEVICE uint4* at(int tap) const { return (valid >> tap & 1 ? inside : zeros) + tap; }
            };
            auto tapRowOf = [&](int pixel, int chunk, int tapRow, unsigned valid) {
                const int row = wrapped(first + pixel + tapRow * p.width);
                return TapRow{shared.dy.at(row, chunk), shared.dy.at(zeroRow + (row & 7), chunk), valid >> (tapRow * 3)};
            };
            {
                float sum[rowTiles][4][4] = {};
                const int firstPixel = third * rowTiles * 16 + alongRow(lane);
                unsigned valid[rowTiles];
                UNROLL for (int i = 0; i < rowTiles; i++) valid[i] = loadShared(&shared.valid[firstPixel + i * 16]);
                ROLLED for (int tapRow = 0; tapRow < 3; tapRow++) {
                    TapRow dy[rowTiles];
                    UNROLL for (int i = 0; i < rowTiles; i++) dy[i] = tapRowOf(firstPixel + i * 16, alongChunk(lane), tapRow, valid[i]);
                    UNROLL for (int t = 0; t < 3; t++) UNROLL for (int k = 0; k < outputs; k += 16) {
                        uint32_t a[rowTiles][4];
                        UNROLL for (int i = 0; i < rowTiles; i++) loadMatrix(a[i], dy[i].at(t) + k / 8 * planeRows);
                        UNROLL for (int j = 0; j < 2; j++) {
                            uint32_t b[4];
                            loadMatrix(b, shared.weight.at((taps - 1 - tapRow * 3 - t) * channels + warpChannel + j * 16 + acrossRow(lane), k / 8 + acrossChunk(lane)));
                            UNROLL for (int i = 0; i < rowTiles; i++) {
                                multiply(sum[i][2 * j], a[i], b[0], b[1]);
                                multiply(sum[i][2 * j + 1], a[i], b[2], b[3]);
                            }
                        }
                    }
                }
                gate(shared, sum, third, warpChannel, unforeseen(lane) % 32);
            }
            barrier();                   // d and its sums are there
            UNROLL for (int i = 0; i < y.count; i++) {
                const int row = y.row + i * y.step;
                if (y.inside && when(row < left))
                    storeGlobal(reinterpret_cast<uint4*>(static_cast<uint16_t*>(p.d) + int64_t(step * Pixels + row) * p.channels + firstChannel) + y.chunk,
                                loadShared(shared.y.at(row, y.chunk)));
            }
            if (when(step + 1 < part.end)) y.start(shared.y, left - Pixels);   // each thread where it has just read d
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

            ROLLED for (int k = 0; k < Pixels; k += 16) {
                uint32_t a[2][4];
                UNROLL for (int i = 0; i < 2; i++)
                    loadMatrixTransposed(a[i], shared.activations.at(k + acrossRow(lane), warpChannel / 8 + i * 2 + acrossChunk(lane)));
                const TapRow dy = tapRowOf(k + alongRow(lane), alongChunk(lane), third, loadShared(&shared.valid[k + alongRow(lane)]));
                UNROLL for (int t = 0; t < 3; t++) {
                    UNROLL for (int j = 0; j < 2; j++) {
                        uint32_t b[4];
                        loadMatrixTransposed(b, dy.at(t) + j * 2 * planeRows);
                        UNROLL for (int i = 0; i < 2; i++) {
                            multiply(weightSum[t][i][2 * j], a[i], b[0], b[1]);
                            multiply(weightSum[t][i][2 * j + 1], a[i], b[2], b[3]);
                        }
                    }
                }
            }
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
