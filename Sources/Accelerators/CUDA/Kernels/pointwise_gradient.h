// The backward pass of the 1×1 convolution: the gradient of its input, behind the gate of the ReLU before it, and that of its weights.
#pragma once
#include "gated_tile.h"
#include "weight_tiles.h"

// A block computes `Pixels` pixels × 128 channels, a warp 32 pixels × 64 or 32 of them. There is little arithmetic for each value of x and G that
// is read: many warps, which hide each other's waiting, matter more than large tiles for each. Sums over outputs are in steps of 16, in order,
// whatever the tile.
template <int Pixels> struct PointwiseDataGradient {
    static constexpr int threads = Pixels < 128 ? 128 : 256, channels = 128, depth = 32, stages = Pixels < 128 ? 4 : 3;
    static constexpr int warpColumns = threads / Pixels, width = channels / warpColumns;
    struct Stage {
        Tile<Pixels, depth> dy;
        Tile<channels, depth> weight;
    };
    union Shared {
        Stage stages[PointwiseDataGradient::stages];
        GatedTile<Pixels, threads> out;
    };

    static DEVICE void run(const pointwise_data_gradient_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
        const int warpRow = warp / warpColumns * 32, warpColumn = warp % warpColumns * width;
        const int firstPixel = blockIdx.x * Pixels, firstChannel = blockIdx.y * channels;
        const int pixelsLeft = p.pixels - firstPixel, channelsLeft = p.channels - firstChannel, steps = p.outputs / depth;

        TileCopy<Pixels, depth, threads> dy(p.dy, p.outputs, firstPixel, thread);
        TileCopy<channels, depth, threads> weight(p.weight, p.outputs, firstChannel, thread);
        auto start = [&](int step) {
            if (when(step < steps)) {
                Stage& stage = shared.stages[step % stages];
                dy.start(stage.dy, pixelsLeft);
                weight.start(stage.weight, channelsLeft);
                dy.advanceColumns(depth);
                weight.advanceColumns(depth);
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
                UNROLL for (int i = 0; i < 2; i++) loadMatrix(a[i], stage.dy.at(warpRow + i * 16 + alongRow(lane), k / 8 + alongChunk(lane)));
                UNROLL for (int j = 0; j < width / 16; j++) {
                    uint32_t b[4];
                    loadMatrix(b, stage.weight.at(warpColumn + j * 16 + acrossRow(lane), k / 8 + acrossChunk(lane)));
                    UNROLL for (int i = 0; i < 2; i++) {
                        multiply(sum[i][2 * j], a[i], b[0], b[1]);
                        multiply(sum[i][2 * j + 1], a[i], b[2], b[3]);
                    }
                }
            }
        }
        barrier();                       // the stages become the output tile; no copy is under way

        shared.out.put(sum, warpRow, warpColumn, lane);
        if (!p.affine) {
            uint16_t* y = static_cast<uint16_t*>(p.y) + int64_t(firstPixel) * p.channels + firstChannel;
            shared.out.copy(y, p.channels, pixelsLeft, channelsLeft, thread);
            return;
        }
        uint16_t* gradient = static_cast<uint16_t*>(p.gradient) + int64_t(firstPixel) * p.g_stride + firstChannel;
        const BlockGradient target{gradient, p.g_stride, p.accumulates != 0};
        const uint16_t* x = static_cast<const uint16_t*>(p.x) + int64_t(firstPixel) * p.x_stride + firstChannel;
        shared.out.finish(target, x, p.x_stride, p.affine + firstChannel, p.moments + firstChannel,
                          p.sums + int64_t(blockIdx.x) * p.channels + firstChannel, pixelsLeft, channelsLeft, thread);
    }
};

// A block computes 64 channels × 128 outputs, a warp 16 channels × 128 outputs, so each activation is normalised once, in the fragment. Pixels
// beyond the last have no dy, so that it does not matter what their activations would be.
struct PointwiseWeightGradient {
    static constexpr int threads = 128, pixels = 32, channels = 64, outputs = 128, stages = 4;
    struct Stage {
        Tile<pixels, channels> x;
        Tile<pixels, outputs> dy;
    };
    struct Shared {
        Stage stages[PointwiseWeightGradient::stages];
    };

    static DEVICE void run(const pointwise_weight_gradient_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
        const int firstChannel = blockIdx.y * channels, firstOutput = blockIdx.z * outputs, warpChannel = firstChannel + warp * 16;
        const PartOfTiles part((p.pixels + pixels - 1) / pixels);

        TileCopy<pixels, channels, threads> x(p.x, p.x_stride, int64_t(part.first) * pixels, firstChannel, p.channels, thread);
        TileCopy<pixels, outputs, threads> dy(p.dy, p.outputs, int64_t(part.first) * pixels, firstOutput, p.outputs, thread);
        auto start = [&](int tile) {
            if (when(tile < part.end)) {
                Stage& stage = shared.stages[(tile - part.first) % stages];
                x.start(stage.x, p.pixels - tile * pixels);
                dy.start(stage.dy, p.pixels - tile * pixels);
                x.advanceRows(pixels);
                dy.advanceRows(pixels);
            }
            commitCopies();
        };
        for (int i = 0; i < stages - 1; i++) start(part.first + i);

        float4 upper{0, 0, 0, 0}, lower{0, 0, 0, 0};   // scale and shift, twice, of the fragment's rows lane / 4 and lane / 4 + 8
        if (p.affine && when(warpChannel < p.channels)) {
            const float2* affine = reinterpret_cast<const float2*>(p.affine + warpChannel + lane / 4);
            const float2 first = loadGlobal(affine), second = loadGlobal(affine + 8);
            upper = {first.x, first.y, first.x, first.y};
            lower = {second.x, second.y, second.x, second.y};
        }

        float sum[outputs / 8][4] = {};
        for (int tile = part.first; tile < part.end; tile++) {
            waitCopies<stages - 2>();
            barrier();
            start(tile + stages - 1);
            Stage& stage = shared.stages[(tile - part.first) % stages];
            UNROLL for (int k = 0; k < pixels; k += 16) {
                uint32_t a[4];
                loadMatrixTransposed(a, stage.x.at(k + acrossRow(lane), warp * 2 + acrossChunk(lane)));
                if (p.affine) UNROLL for (int r = 0; r < 4; r++) a[r] = normaliseRectify(a[r], r % 2 ? lower : upper);
                UNROLL for (int j = 0; j < outputs / 16; j++) {
                    uint32_t b[4];
                    loadMatrixTransposed(b, stage.dy.at(k + alongRow(lane), j * 2 + alongChunk(lane)));
                    multiply(sum[2 * j], a, b[0], b[1]);
                    multiply(sum[2 * j + 1], a, b[2], b[3]);
                }
            }
        }
        if (when(warpChannel < p.channels)) {
            float* partial = p.partial + (int64_t(blockIdx.x) * p.channels + warpChannel) * p.outputs + firstOutput;
            UNROLL for (int j = 0; j < outputs / 8; j++)
                if (when(firstOutput + j * 8 < p.outputs)) storePartial(sum[j], partial + j * 8, p.outputs, lane);
        }
    }
};
