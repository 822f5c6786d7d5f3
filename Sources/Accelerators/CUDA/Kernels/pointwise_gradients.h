// The backward pass of a dense layer's 1×1 convolution in one launch, which reads each of its maps once: the batch norm behind the convolution is
// resolved, and from the tile of dy that is then in shared memory come both the gradient of the input, behind its gate, and that of the weights.
//
// Operands lie in tiles of 64 columns that begin at multiples of 1024 bytes. Rows of 128 bytes with Tile's order of chunks are what the matrix
// instructions of sm_90a read from shared memory themselves; the two products stand alone, so that they can be written in either.
#pragma once
#include "pointwise_shares.h"
#include "weight_tiles.h"

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

    // Of the pairs of tiles that one whose number is given, here and below.
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
    template <int Count> DEVICE void put(TilePairs<Pixels, Count>& tile, int number) const {
        const int place = tile.place(number, pixel + lane / 4, column / 8);
        UNROLL for (int j = 0; j < width / 8; j++) UNROLL for (int i = 0; i < 2; i++) UNROLL for (int half = 0; half < 2; half++)
            storeShared(reinterpret_cast<uint32_t*>(tile.at((place ^ j) + (i * 16 + half * 8) * tile.rowPlaces)) + lane % 4,
                        pack(g[i][j][half * 2], g[i][j][half * 2 + 1]));
    }

    template <int Count>
    DEVICE void addWeights(TilePairs<Pixels, Count>& activations, int activationsNumber, TilePairs<Pixels, 2>& dy, int number) {
        const int across = activations.place(activationsNumber, acrossRow(lane), channel / 8 + acrossChunk(lane));
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
    using Share = PointwiseShare<Pixels>;
    static constexpr int threads = 256, channels = 128, outputs = 128, chunks = Share::chunks, groups = Share::groups, held = Share::held;
    struct Shared {
        TilePairs<channels> weight;
        TilePairs<Pixels, 2> dy;         // of even and of odd tiles: the next one is resolved while others still multiply
        TilePairs<Pixels> gated;         // dy · weightᵀ; behind the gate relu(affine(x)), chunk by chunk in its place
        PointwiseConstants constants;
    };

    static DEVICE void run(const pointwise_gradients_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x;
        const PointwiseChunk own(p, thread);
        const PartOfTiles part((p.pixels + Pixels - 1) / Pixels);

        UNROLL for (int half = 0; half < 2; half++)
            TileCopy<channels, 64, threads>(p.weight, p.outputs, own.firstChannel, half * 64, p.outputs, thread)
                .start(shared.weight.halves[half], p.channels - own.firstChannel);
        commitCopies();

        const int64_t firstPixel = int64_t(part.first) * Pixels + own.row;
        const uint16_t* nextD = static_cast<const uint16_t*>(p.d) + firstPixel * p.outputs + own.output;
        const uint16_t* nextY = static_cast<const uint16_t*>(p.y) + firstPixel * p.outputs + own.output;
        const uint16_t* nextX = static_cast<const uint16_t*>(p.x) + firstPixel * p.x_stride + own.channel;
        uint16_t* target = static_cast<uint16_t*>(p.gradient) + firstPixel * p.g_stride + own.channel;
        const uint16_t* nextGradient = target;
        int left = p.pixels - int(firstPixel);   // a part without tiles loads for nothing
        Share d, y, x, gradient;
        d.load(nextD, p.outputs, left, own.hasOutputs);
        y.load(nextY, p.outputs, left, own.hasOutputs);
        x.load(nextX, p.x_stride, left, own.hasChannels);
        gradient.load(nextGradient, p.g_stride, left, own.hasChannels);
        shared.constants.put(p, own);

        Products products(thread);
        double total = 0;                // of one channel's Σd or Σd·(x − mean)
        waitCopies<0>();
        barrier();                       // the constants of dy are there before the loop's first barrier
        for (int tile = part.first; tile < part.end; tile++) {
            shared.constants.resolve(d, y, own.chunk, left);
            d.store(shared.dy, tile & 1, own);
            products.publish();
            products.finish();
            barrier();                   // dy is there, and nobody reads the activations of the tile before any more
            products.multiplyByWeights(shared.dy, tile & 1, shared.weight);
            products.put(shared.gated, 0);
            barrier();

            Share g;
            g.take(shared.gated, 0, own);
            shared.constants.gate(g, x, gradient, own);
            g.store(shared.gated, 0, own);
            products.publish();          // before the loads: its fence may wait for what is on the way
            UNROLL for (int i = 0; i < held; i++) {
                if (own.hasChannels && when(i * groups < left)) storeGlobal(reinterpret_cast<uint4*>(target), gradient.whole(i));
                target += int64_t(groups) * p.g_stride;
            }
            left = when(tile + 1 < part.end) ? left - Pixels : 0;
            x.load(nextX, p.x_stride, left, own.hasChannels);
            gradient.load(nextGradient, p.g_stride, left, own.hasChannels);
            d.load(nextD, p.outputs, left, own.hasOutputs);
            y.load(nextY, p.outputs, left, own.hasOutputs);
            barrier();

            total += double(shared.constants.sum(thread));
            products.addWeights(shared.gated, 0, shared.dy, tile & 1);
        }
        finish(p, own, products, total, thread);
    }

    // The part's sums: of the gate's, one of the two of a channel, and of the weights.
    static DEVICE void finish(const pointwise_gradients_parameters& p, const PointwiseChunk& own, Products& products, double total, int thread) {
        const int summed = PointwiseConstants::summed(thread);
        if (when(own.firstChannel + summed < p.channels)) {
            gate_sums* sums = p.sums + int64_t(blockIdx.x) * p.channels + own.firstChannel + summed;
            storeGlobal(thread % 4 < 2 ? &sums->gradient : &sums->product, float(total));
        }
        products.store(p.partial + (int64_t(blockIdx.x) * p.channels + own.firstChannel) * p.outputs, p.channels - own.firstChannel, p.outputs);
    }
};
