// The backward pass of the 3×3 convolution of a dense layer. Tiles and their halos are those of growth.h.
#pragma once
#include "gated_tile.h"
#include "growth.h"
#include "weight_tiles.h"

// A block computes `Pixels` pixels × 128 channels, a warp 32 × 64. What a pixel gave through tap 8 − t comes back to it through tap t: this is the
// convolution of dy by the weights in reverse order. A step is one tap of one slice of 32 outputs: its weights are brought some steps ahead, and
// with those of a slice's first tap the slice's halo. Each value is summed over slices, in a slice over taps, in a tap over steps of 16, whatever
// the instance.
template <int Pixels, int Pitch> struct GrowthDataGradient {
    static constexpr int threads = Pixels * 2, channels = 128, depth = 32, stages = 4;
    static constexpr int rows = Pixels + 2 * Pitch + 2, zeroRow = (rows + 7) / 8 * 8;   // eight of them, as in growth.h
    static_assert(Pitch <= Pixels + 2, "no width needs more");
    struct Stages {
        Tile<zeroRow + 8, depth> dy[2];
        Tile<channels, depth> weight[GrowthDataGradient::stages];
    };
    union Shared {
        Stages stages;
        GatedTile<Pixels, threads> out;
    };

    static DEVICE void run(const growth_data_gradient_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, lane = thread % 32, warpPixel = thread / 64 * 32, warpColumn = thread / 32 % 2 * 64;
        const int firstPixel = blockIdx.x * Pixels, firstChannel = blockIdx.y * channels;
        const int pixelsLeft = p.pixels - firstPixel, channelsLeft = p.channels - firstChannel;
        const int pitch = Pitch < Pixels + 2 || p.width < Pixels + 2 ? p.width : Pixels + 2, gap = Pitch < Pixels + 2 ? 0 : p.width - pitch;
        const int haloPixel = firstPixel - p.width - 1, haloRows = Pixels + 2 * pitch + 2;
        const int steps = p.outputs / depth * taps, chunk = thread % 4;   // this thread's rows of the halo are thread / 4, + threads / 4, ...

        const uint16_t* dy = static_cast<const uint16_t*>(p.dy) + chunk * 8;
        const TileCopy<channels, depth, threads> weight(p.weight, p.outputs, firstChannel, thread);
        auto start = [&](int step) {
            if (when(step < steps)) {
                const int slice = step / taps, tap = taps - 1 - step % taps;
                if (tap == taps - 1)
                    for (int row = thread / 4; when(row < haloRows); row += threads / 4) {
                        const int pixel = haloPixel + row + row / (Pixels + 2) * gap;   // without a gap the runs are one
                        copyAsync16(shared.stages.dy[slice % 2].at(row, chunk), dy + int64_t(pixel) * p.outputs + slice * depth,
                                    when(pixel >= 0 && pixel < p.pixels));
                    }
                auto source = weight;
                source.advanceRows(tap * p.channels);
                source.advanceColumns(slice * depth);
                source.start(shared.stages.weight[step % stages], channelsLeft);
            }
            commitCopies();              // also where there is nothing to copy: waits count groups
        };
        for (int step = 0; step < stages - 1; step++) start(step);
        if (when(thread < 64)) storeShared(shared.stages.dy[thread / 32].at(zeroRow + thread % 32 / 4, chunk), uint4{0, 0, 0, 0});
        unsigned valid[2];
        UNROLL for (int i = 0; i < 2; i++) valid[i] = validTaps(firstPixel + warpPixel + i * 16 + alongRow(lane), p.height, p.width);

        float sum[2][8][4] = {};
        for (int step = 0; step < steps; step++) {
            const int tap = step % taps;
            waitCopies<stages - 2>();
            barrier();                   // everybody's copies of this step have landed, and nobody reads the stage that is filled next
            start(step + stages - 1);
            auto& halo = shared.stages.dy[step / taps % 2];
            auto& weights = shared.stages.weight[step % stages];
            int row[2];
            UNROLL for (int i = 0; i < 2; i++) {
                row[i] = warpPixel + i * 16 + alongRow(lane) + tap / 3 * pitch + tap % 3;
                if (!(valid[i] >> tap & 1)) row[i] = zeroRow + (row[i] & 7);
            }
            UNROLL for (int k = 0; k < depth; k += 16) {
                uint32_t a[2][4];
                UNROLL for (int i = 0; i < 2; i++) loadMatrix(a[i], halo.at(row[i], k / 8 + alongChunk(lane)));
                UNROLL for (int j = 0; j < 4; j++) {
                    uint32_t b[4];
                    loadMatrix(b, weights.at(warpColumn + j * 16 + acrossRow(lane), k / 8 + acrossChunk(lane)));
                    UNROLL for (int i = 0; i < 2; i++) {
                        multiply(sum[i][2 * j], a[i], b[0], b[1]);
                        multiply(sum[i][2 * j + 1], a[i], b[2], b[3]);
                    }
                }
            }
        }
        barrier();                       // the stages become the output tile; no copy is under way

        shared.out.put(sum, warpPixel, warpColumn, lane);
        const int64_t first = int64_t(firstPixel) * p.channels + firstChannel;
        const StoredGradient target{static_cast<uint16_t*>(p.d) + first, p.channels};
        shared.out.finish(target, static_cast<const uint16_t*>(p.y) + first, p.channels, p.affine + firstChannel, p.moments + firstChannel,
                          p.sums + int64_t(blockIdx.x) * p.channels + firstChannel, pixelsLeft, channelsLeft, thread);
    }
};

// A block computes 9 taps × 32 channels × 32 outputs, a warp one row of taps × 16 channels × 32 outputs. The activations of a tile and its halo are
// normalised once, in shared memory; a pixel's neighbour outside the image is a row of zeros. Pixels beyond the last have no dy. `most` is the
// largest pitch, which any width fits.
struct GrowthWeightGradient {
    static constexpr int threads = 192, pixels = 128, channels = 32, outputs = 32, most = pixels + 2;
    static constexpr int rows = 3 * most, zeroRow = (rows + 7) / 8 * 8;
    struct Stage {
        Tile<zeroRow + 8, channels> y;
        Tile<pixels, outputs> dy;
        uint32_t valid[pixels];
    };
    struct Shared {
        Stage stages[2];
    };

    static DEVICE void run(const growth_weight_gradient_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32, tapRow = warp / 2, warpChannel = warp % 2 * 16;
        const int firstChannel = blockIdx.y * channels, firstOutput = blockIdx.z * outputs;
        const int pitch = p.width < most ? p.width : most, gap = p.width - pitch, haloRows = pixels + 2 * pitch + 2;
        const int chunk = thread % 4;    // this thread's rows are thread / 4, + threads / 4, ...
        const PartOfTiles part((p.pixels + pixels - 1) / pixels);

        const uint16_t* y = static_cast<const uint16_t*>(p.y) + firstChannel + chunk * 8;
        const uint16_t* dy = static_cast<const uint16_t*>(p.dy) + firstOutput + chunk * 8;
        auto start = [&](int tile) {
            if (when(tile < part.end)) {
                Stage& stage = shared.stages[tile % 2];
                const int firstPixel = tile * pixels, haloPixel = firstPixel - p.width - 1;
                for (int row = thread / 4; when(row < haloRows); row += threads / 4) {
                    const int pixel = haloPixel + row + row / most * gap;   // without a gap the runs are one
                    copyAsync16(stage.y.at(row, chunk), y + int64_t(pixel) * p.channels, when(pixel >= 0 && pixel < p.pixels));
                }
                for (int row = thread / 4; when(row < pixels); row += threads / 4)
                    copyAsync16(stage.dy.at(row, chunk), dy + int64_t(firstPixel + row) * p.outputs, when(firstPixel + row < p.pixels));
            }
            commitCopies();
        };
        start(part.first);
        if (when(thread < 64)) storeShared(shared.stages[thread / 32].y.at(zeroRow + thread % 32 / 4, chunk), uint4{0, 0, 0, 0});
        float4 affine[4];                // of this thread's eight channels
        UNROLL for (int i = 0; i < 4; i++) affine[i] = loadGlobal(reinterpret_cast<const float4*>(p.affine + firstChannel + chunk * 8) + i);

        float sum[3][outputs / 8][4] = {};
        for (int tile = part.first; tile < part.end; tile++) {
            Stage& stage = shared.stages[tile % 2];
            waitCopies<0>();
            for (int row = thread / 4; when(row < haloRows); row += threads / 4) {   // each thread treats what it copied itself
                const uint4 v = loadShared(stage.y.at(row, chunk));
                storeShared(stage.y.at(row, chunk), uint4{normaliseRectify(v.x, affine[0]), normaliseRectify(v.y, affine[1]),
                                                          normaliseRectify(v.z, affine[2]), normaliseRectify(v.w, affine[3])});
            }
            if (when(thread < pixels)) storeShared(&stage.valid[thread], uint32_t(validTaps(tile * pixels + thread, p.height, p.width)));
            barrier();                   // this tile is there, and nobody reads the one before it any more
            start(tile + 1);
            UNROLL for (int k = 0; k < pixels; k += 16) {
                uint32_t b[2][4];
                UNROLL for (int j = 0; j < 2; j++) loadMatrixTransposed(b[j], stage.dy.at(k + alongRow(lane), j * 2 + alongChunk(lane)));
                const uint32_t valid = loadShared(&stage.valid[k + acrossRow(lane)]) >> (tapRow * 3);
                UNROLL for (int t = 0; t < 3; t++) {
                    int row = k + acrossRow(lane) + tapRow * pitch + t;
                    if (!(valid >> t & 1)) row = zeroRow + (row & 7);
                    uint32_t a[4];
                    loadMatrixTransposed(a, stage.y.at(row, warpChannel / 8 + acrossChunk(lane)));
                    UNROLL for (int j = 0; j < 2; j++) {
                        multiply(sum[t][2 * j], a, b[j][0], b[j][1]);
                        multiply(sum[t][2 * j + 1], a, b[j][2], b[j][3]);
                    }
                }
            }
        }
        UNROLL for (int t = 0; t < 3; t++) {
            const int64_t row = (int64_t(blockIdx.x) * taps + tapRow * 3 + t) * p.channels + firstChannel + warpChannel;
            UNROLL for (int j = 0; j < outputs / 8; j++) storePartial(sum[t][j], p.partial + row * p.outputs + firstOutput + j * 8, p.outputs, lane);
        }
    }
};
