// The 1×1 convolution, with the batch norm and ReLU before it or the bias and ReLU after it.
#pragma once
#include "tile_sums.h"

// A block computes `Pixels` pixels × 128 outputs, a warp 32 pixels × 128, 64 or 32 of them, so each activation is normalised once, twice or four
// times; the small tiles are for small maps, which would leave multiprocessors idle. Each output is summed over its channels in steps of 16,
// in order, whatever the tile: an image's result depends neither on the tile nor on its batch.
template <int Pixels, bool Normalises> struct Pointwise {
    static constexpr int threads = 128, outputs = 128, depth = 32, stages = 4;
    static constexpr int warpColumns = 128 / Pixels, width = outputs / warpColumns;
    struct Stage {
        Tile<Pixels, depth> x;
        Tile<depth, outputs> weight;
        alignas(16) affine_pair affine[depth];
    };
    union Shared {
        Stage stages[Pointwise::stages];
        OutputTile<Pixels, outputs, threads> out;
    };

    static DEVICE void run(const pointwise_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
        const int warpRow = warp / warpColumns * 32, warpColumn = warp % warpColumns * width;
        const int firstPixel = blockIdx.x * Pixels, firstOutput = blockIdx.y * outputs, pixelsLeft = p.pixels - firstPixel;
        const int steps = p.channels / depth;

        TileCopy<Pixels, depth, threads> x(p.x, p.x_stride, firstPixel, 0, p.channels, thread);
        TileCopy<depth, outputs, threads> weight(p.weight, p.outputs, 0, firstOutput, p.outputs, thread);
        auto start = [&](int step) {
            if (when(step < steps)) {
                Stage& stage = shared.stages[step % stages];
                x.start(stage.x, pixelsLeft);
                weight.start(stage.weight, depth);
                x.advanceColumns(depth);
                weight.advanceRows(depth);
                if (Normalises && when(thread < depth / 2)) copyAsync16(&stage.affine[2 * thread], p.affine + step * depth + 2 * thread, true);
            }
            commitCopies();              // also where there is nothing to copy: waits count groups
        };
        for (int step = 0; step < stages - 1; step++) start(step);

        float sum[2][width / 8][4] = {};
        for (int step = 0; step < steps; step++) {
            waitCopies<stages - 2>();
            barrier();                   // everybody's copies of this step have landed, and nobody reads the stage that is filled next
            start(step + stages - 1);
            Stage& stage = shared.stages[step % stages];
            UNROLL for (int k = 0; k < depth; k += 16) {
                uint32_t a[2][4];
                UNROLL for (int i = 0; i < 2; i++) loadMatrix(a[i], stage.x.at(warpRow + i * 16 + alongRow(lane), k / 8 + alongChunk(lane)));
                if constexpr (Normalises) {
                    const float4* affine = reinterpret_cast<const float4*>(&stage.affine[k + lane % 4 * 2]);
                    const float4 left = loadShared(affine), right = loadShared(affine + 4);   // of the fragment's first and last eight channels
                    UNROLL for (int i = 0; i < 2; i++) UNROLL for (int r = 0; r < 4; r++) a[i][r] = normaliseRectify(a[i][r], r < 2 ? left : right);
                }
                UNROLL for (int j = 0; j < width / 16; j++) {
                    uint32_t b[4];
                    loadMatrixTransposed(b, stage.weight.at(k + alongRow(lane), warpColumn / 8 + j * 2 + alongChunk(lane)));
                    UNROLL for (int i = 0; i < 2; i++) {
                        multiply(sum[i][2 * j], a[i], b[0], b[1]);
                        multiply(sum[i][2 * j + 1], a[i], b[2], b[3]);
                    }
                }
            }
        }
        barrier();                       // the stages become the output tile; no copy is under way

        const int columns = p.outputs - firstOutput;
        shared.out.put(sum, warpRow, warpColumn, p.bias ? p.bias + firstOutput : nullptr, columns, lane);
        const ConsecutivePixels rows{static_cast<uint16_t*>(p.y) + int64_t(firstPixel) * p.y_stride + firstOutput, p.y_stride, pixelsLeft};
        tile_sums* totals = p.sums ? p.sums + int64_t(blockIdx.x) * p.outputs + firstOutput : nullptr;
        shared.out.finish(rows, pixelsLeft < Pixels ? pixelsLeft : Pixels, columns, totals, thread);
    }
};
