// The backward pass of a dense layer's 1×1 convolution in one launch, which reads each of its maps once: the batch norm behind the convolution is
// resolved, and from the tile of dy that is then in shared memory come both the gradient of the input, behind its gate, and that of the weights.
//
// Operands lie in tiles of 64 columns that begin at multiples of 1024 bytes. Rows of 128 bytes with Tile's order of chunks are what the matrix
// instructions of sm_90a read from shared memory themselves; the two products stand alone, so that they can be written in either.
#pragma once
#include "resolve.h"
#include "weight_tiles.h"

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

// The products of one tile, on mma.sync: g = dy · weightᵀ, of which a warp has 32 pixels, and weights += aᵀ · dy, of which it has 64 channels × 32
// outputs. Sums over outputs are in steps of 16, in order, as in PointwiseDataGradient.
template <int Pixels> struct PointwiseProducts {
    static constexpr int threads = 256, channels = 128, outputs = 128, width = channels / (threads / 32 / (Pixels / 32));
    const int lane, pixel, column;     // where this warp's part of g begins
    const int channel, output;         // of the weights
    float g[2][width / 8][4], weights[4][4][4];

    DEVICE explicit PointwiseProducts(int thread) :
        lane(thread % 32), pixel(thread / 32 / (channels / width) * 32), column(thread / 32 % (channels / width) * width),
        channel(thread / 128 * 64), output(thread / 32 % 4 * 32), weights{} {}

    // Before the barrier behind which products read what this thread has written; and before the one behind which products are no more under way.
    // With ldmatrix the barrier is enough.
    static DEVICE void publish() {}
    static DEVICE void finish() {}

    // Of dy that tile whose number is given.
    DEVICE void multiplyByWeights(TilePairs<Pixels, 2>& dy, int number, TilePairs<channels>& weight) {
        UNROLL for (int i = 0; i < 2; i++) UNROLL for (int j = 0; j < width / 8; j++) UNROLL for (int e = 0; e < 4; e++) g[i][j][e] = 0;
        const int along = dy.place(number, pixel + alongRow(lane), alongChunk(lane));
        const int across = weight.place(0, column + acrossRow(lane), acrossChunk(lane));
        UNROLL for (int k = 0; k < outputs; k += 16) {
            const int bits = k / 8 % 8, half = k / 64;
            uint32_t a[2][4];
            UNROLL for (int i = 0; i < 2; i++) loadMatrix(a[i], dy.at((along ^ bits) + half * dy.halfPlaces + i * 16 * dy.rowPlaces));
            UNROLL for (int j = 0; j < width / 16; j++) {
                uint32_t b[4];
                loadMatrix(b, weight.at((across ^ bits) + half * weight.halfPlaces + j * 16 * weight.rowPlaces));
                UNROLL for (int i = 0; i < 2; i++) {
                    multiply(g[i][2 * j], a[i], b[0], b[1]);
                    multiply(g[i][2 * j + 1], a[i], b[2], b[3]);
                }
            }
        }
    }
    DEVICE void put(TilePairs<Pixels>& tile) const {
        const int place = tile.place(0, pixel + lane / 4, column / 8);
        UNROLL for (int j = 0; j < width / 8; j++) UNROLL for (int i = 0; i < 2; i++) UNROLL for (int half = 0; half < 2; half++)
            storeShared(reinterpret_cast<uint32_t*>(tile.at((place ^ j) + (i * 16 + half * 8) * tile.rowPlaces)) + lane % 4,
                        pack(g[i][j][half * 2], g[i][j][half * 2 + 1]));
    }

    DEVICE void addWeights(TilePairs<Pixels>& activations, TilePairs<Pixels, 2>& dy, int number) {
        const int across = activations.place(0, acrossRow(lane), channel / 8 + acrossChunk(lane));
        const int along = dy.place(number, alongRow(lane), output / 8 + alongChunk(lane));
        UNROLL for (int k = 0; k < Pixels; k += 16) {
            uint32_t b[2][4];
            UNROLL for (int j = 0; j < 2; j++) loadMatrixTransposed(b[j], dy.at((along ^ j * 2) + k * dy.rowPlaces));
            UNROLL for (int i = 0; i < 4; i++) {
                uint32_t a[4];
                loadMatrixTransposed(a, activations.at((across ^ i * 2) + k * activations.rowPlaces));
                UNROLL for (int j = 0; j < 2; j++) {
                    multiply(weights[i][2 * j], a, b[j][0], b[j][1]);
                    multiply(weights[i][2 * j + 1], a, b[j][2], b[j][3]);
                }
            }
        }
    }
    // To partial [channels][outputs], of which so many exist.
    DEVICE void store(float* partial, int channelsLeft, int outputsLeft) const {
        UNROLL for (int i = 0; i < 4; i++)
            if (when(channel + i * 16 < channelsLeft)) UNROLL for (int j = 0; j < 4; j++)
                if (when(output + j * 8 < outputsLeft))
                    storePartial(weights[i][j], partial + int64_t(channel + i * 16) * outputsLeft + output + j * 8, outputsLeft, lane);
    }
};

// A block computes 128 channels and all outputs, at most 128, of one part of the pixels. A thread stays with one chunk of eight channels and one of
// eight outputs, in every 16th row. It has its share of the four maps on the way into registers, x and G from one gate to the next, d and y while the
// tile before is multiplied for the weights: so none of them lies in shared memory as it was read.
template <int Pixels, class Products = PointwiseProducts<Pixels>> struct PointwiseGradients {
    static constexpr int threads = 256, channels = 128, outputs = 128, chunks = 16, groups = threads / chunks, held = Pixels / groups;
    struct Shared {
        TilePairs<channels> weight;
        TilePairs<Pixels, 2> dy;         // of even and of odd tiles: the next one is resolved while others still multiply
        TilePairs<Pixels> gated;         // dy · weightᵀ; behind the gate relu(affine(x)), chunk by chunk in its place
        // Pair by pair of a chunk's channels or outputs, so that neighbouring threads have neighbouring addresses. Sums are Σd of both, then
        // Σd·(x − mean).
        float4 affine[4][chunks], debts[4][chunks], sums[groups][4][chunks];
        float2 mean[4][chunks], yScale[4][chunks];
    };

    // A thread's chunk of every 16th row of a map, a word for each pair.
    struct Share {
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
        DEVICE void put(int i, uint4 v) { pair[i][0] = v.x, pair[i][1] = v.y, pair[i][2] = v.z, pair[i][3] = v.w; }
        DEVICE uint4 whole(int i) const { return {pair[i][0], pair[i][1], pair[i][2], pair[i][3]}; }
    };

    static DEVICE void run(const pointwise_gradients_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, row = thread / chunks, chunk = thread % chunks;
        const int firstChannel = blockIdx.y * channels, channel = firstChannel + chunk * 8, output = chunk * 8;
        const bool hasChannels = when(channel < p.channels), hasOutputs = when(output < p.outputs);
        const PartOfTiles part((p.pixels + Pixels - 1) / Pixels);

        UNROLL for (int half = 0; half < 2; half++)
            TileCopy<channels, 64, threads>(p.weight, p.outputs, firstChannel, half * 64, p.outputs, thread)
                .start(shared.weight.halves[half], p.channels - firstChannel);
        commitCopies();

        const int64_t firstPixel = int64_t(part.first) * Pixels + row;
        const uint16_t* nextD = static_cast<const uint16_t*>(p.d) + firstPixel * p.outputs + output;
        const uint16_t* nextY = static_cast<const uint16_t*>(p.y) + firstPixel * p.outputs + output;
        const uint16_t* nextX = static_cast<const uint16_t*>(p.x) + firstPixel * p.x_stride + channel;
        uint16_t* target = static_cast<uint16_t*>(p.gradient) + firstPixel * p.g_stride + channel;
        const uint16_t* nextGradient = target;
        int left = p.pixels - int(firstPixel);   // a part without tiles loads for nothing
        Share d, y, x, gradient;
        d.load(nextD, p.outputs, left, hasOutputs);
        y.load(nextY, p.outputs, left, hasOutputs);
        x.load(nextX, p.x_stride, left, hasChannels);
        gradient.load(nextGradient, p.g_stride, left, hasChannels);
        if (row < 4) putConstants(shared, p, row, chunk, channel, output, hasChannels, hasOutputs);

        Products products(thread);
        double total = 0;                // of one channel's Σd or Σd·(x − mean)
        waitCopies<0>();
        barrier();                       // the constants of dy are there before the loop's first barrier
        for (int tile = part.first; tile < part.end; tile++) {
            resolve(shared, d, y, tile & 1, row, chunk, left);
            products.publish();
            products.finish();
            barrier();                   // dy is there, and nobody reads the activations of the tile before any more
            products.multiplyByWeights(shared.dy, tile & 1, shared.weight);
            products.put(shared.gated);
            barrier();

            gate(shared, x, gradient, row, chunk);
            products.publish();          // before the loads: its fence may wait for what is on the way
            UNROLL for (int i = 0; i < held; i++) {
                if (hasChannels && when(i * groups < left)) storeGlobal(reinterpret_cast<uint4*>(target), gradient.whole(i));
                target += int64_t(groups) * p.g_stride;
            }
            left = when(tile + 1 < part.end) ? left - Pixels : 0;
            x.load(nextX, p.x_stride, left, hasChannels);
            gradient.load(nextGradient, p.g_stride, left, hasChannels);
            d.load(nextD, p.outputs, left, hasOutputs);
            y.load(nextY, p.outputs, left, hasOutputs);
            barrier();

            float sum = 0;
            UNROLL for (int g = 0; g < groups; g++) sum += loadShared(reinterpret_cast<const float*>(shared.sums[g]) + thread);
            total += double(sum);
            products.addWeights(shared.gated, shared.dy, tile & 1);
        }

        const int summed = thread % 64 / 4 * 8 + thread / 64 * 2 + thread % 2;
        if (when(firstChannel + summed < p.channels)) {
            gate_sums* sums = p.sums + int64_t(blockIdx.x) * p.channels + firstChannel + summed;
            storeGlobal(thread % 4 < 2 ? &sums->gradient : &sums->product, float(total));
        }
        products.store(p.partial + (int64_t(blockIdx.x) * p.channels + firstChannel) * p.outputs, p.channels - firstChannel, p.outputs);
    }

    // Those of pair j of a chunk; zeros where it does not exist.
    static DEVICE void putConstants(Shared& shared, const pointwise_gradients_parameters& p, int j, int chunk, int channel, int output,
                                    bool hasChannels, bool hasOutputs) {
        float4 affine{0, 0, 0, 0}, scales{0, 0, 0, 0}, debts{0, 0, 0, 0};
        float2 mean{0, 0};
        if (hasChannels) {
            affine = loadGlobal(reinterpret_cast<const float4*>(p.affine + channel) + j);
            const batch_moments* moments = p.moments + channel + j * 2;
            mean = {float(loadGlobal(&moments[0].mean)), float(loadGlobal(&moments[1].mean))};
        }
        if (hasOutputs) {
            scales = loadGlobal(reinterpret_cast<const float4*>(p.y_affine + output) + j);
            debts = loadGlobal(reinterpret_cast<const float4*>(p.debts + output) + j);
        }
        storeShared(&shared.affine[j][chunk], affine);
        storeShared(&shared.mean[j][chunk], mean);
        storeShared(&shared.yScale[j][chunk], float2{scales.x, scales.z});
        storeShared(&shared.debts[j][chunk], debts);
    }

    // From d to dy.
    static DEVICE void resolve(Shared& shared, Share& d, const Share& y, int number, int row, int chunk, int left) {
        UNROLL for (int j = 0; j < 4; j++) {
            const float2 scale = loadShared(&shared.yScale[j][chunk]);
            const float4 debts = loadShared(&shared.debts[j][chunk]);
            UNROLL for (int i = 0; i < held; i++)
                d.pair[i][j] = pack(resolved(scale.x, lowHalf(d.pair[i][j]), debts.x, debts.y, lowHalf(y.pair[i][j])),
                                    resolved(scale.y, highHalf(d.pair[i][j]), debts.z, debts.w, highHalf(y.pair[i][j])));
        }
        const int place = shared.dy.place(number, row, chunk);
        UNROLL for (int i = 0; i < held; i++) {   // of a pixel that does not exist the constant is not 0
            const uint4 dy = when(i * groups < left) ? d.whole(i) : uint4{0, 0, 0, 0};
            storeShared(shared.dy.at(place + i * groups * shared.dy.rowPlaces), dy);
        }
    }

    // From g to the activations, and from G to what it becomes; and this thread's sums. Of pixels that do not exist dy is 0, of channels the weights,
    // and so is g of either.
    static DEVICE void gate(Shared& shared, const Share& x, Share& gradient, int row, int chunk) {
        const int place = shared.gated.place(0, row, chunk);
        Share g;
        UNROLL for (int i = 0; i < held; i++) g.put(i, loadShared(shared.gated.at(place + i * groups * shared.gated.rowPlaces)));
        UNROLL for (int j = 0; j < 4; j++) {
            const float4 affine = loadShared(&shared.affine[j][chunk]);
            const float2 mean = loadShared(&shared.mean[j][chunk]);
            float4 sum{0, 0, 0, 0};
            UNROLL for (int i = 0; i < held; i++) {
                const float2 v{lowHalf(x.pair[i][j]), highHalf(x.pair[i][j])}, old{lowHalf(gradient.pair[i][j]), highHalf(gradient.pair[i][j])};
                const float2 normalised{fmaf(v.x, affine.x, affine.y), fmaf(v.y, affine.z, affine.w)};
                const float low = normalised.x > 0 ? lowHalf(g.pair[i][j]) : 0, high = normalised.y > 0 ? highHalf(g.pair[i][j]) : 0;
                sum = {sum.x + low, sum.y + high, fmaf(low, v.x - mean.x, sum.z), fmaf(high, v.y - mean.y, sum.w)};
                g.pair[i][j] = packRectified(normalised.x, normalised.y);
                gradient.pair[i][j] = pack(fmaf(affine.x, low, old.x), fmaf(affine.z, high, old.y));
            }
            storeShared(&shared.sums[row][j][chunk], sum);
        }
        UNROLL for (int i = 0; i < held; i++) storeShared(shared.gated.at(place + i * groups * shared.gated.rowPlaces), g.whole(i));
    }
};
