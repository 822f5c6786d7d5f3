// The skeleton of the convolutions in exact fp32, on the ordinary arithmetic units: y[pixel][output] = Σ over k of a[pixel][k] · weight[k][output].
//
// A block computes Pixels × Outputs, a thread 8 pixels × Columns outputs. Slices of `depth` of k go through shared memory in two stages: a slice
// of a is gathered into registers, and one of the weights is under way by asynchronous copies, while the slice before is multiplied. What differs
// between convolutions is where a comes from: a Source,
//     Source(const parameters&, int thread)       knows the thread's rows: thread / 4, + threads / 4, …, and its 4 k of every slice
//     void load(int slice), float4 element(int i) gathers; then the thread's row i, four k of it: zeros where the row does not exist
//     bool inside(int row), int64_t pixel(int row), int count(), int tile()   of the block's tile
//
// Every sum is a chain of fused multiply-adds in the order of k, whatever the tile: bits do not depend on the instance or the batch.
#pragma once
#include "column_sums.h"
#include "elements.h"

template <int Pixels, int Outputs, int Columns> struct ConvolutionFP32 {
    static constexpr int depth = 16, chunks = depth / 4, rows = 8, rowGroups = Pixels / rows, columnGroups = Outputs / Columns;
    static constexpr int threads = rowGroups * columnGroups, gathered = Pixels * chunks / threads;
    // From one group of a thread's four outputs to the next: neighbouring threads read neighbouring 16 bytes.
    static constexpr int columnStep = columnGroups * 4;
    // Eight rows at one k lie in eight different groups of four banks.
    static constexpr int pitch = depth + 4;
    struct Stage {
        float a[Pixels][pitch], weight[depth][Outputs];
    };
    using Sums = ColumnSums<rowGroups, Outputs>;
    // The sums take the place of the first stage. The last slice is in the second: channels come in 32, so slices in pairs.
    struct Shared {
        union {
            Stage stages[2];
            Sums sums;
        };
    };
    static_assert(sizeof(Sums) <= sizeof(Stage) && 32 / depth % 2 == 0);

    struct Output {
        float* y;
        const float* bias;
        tile_sums* sums;
        int outputs, stride;
    };

    static DEVICE float part(const float4& v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

    template <class Source> static DEVICE void run(Source& source, const float* weight, int slices, int firstOutput, const Output& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, group = thread / columnGroups, firstColumn = thread % columnGroups * 4;
        auto exists = [&](int output) { return Outputs == 32 || when(output < p.outputs); };

        auto start = [&](int slice) {
            source.load(slice);
            const float* from = weight + int64_t(slice) * depth * p.outputs + firstOutput;
            UNROLL for (int i = 0; i < depth * Outputs / 4 / threads; i++) {
                const int k = (thread + i * threads) / (Outputs / 4), column = (thread + i * threads) % (Outputs / 4) * 4;
                copyAsync16(&shared.stages[slice % 2].weight[k][column], from + k * p.outputs + column, exists(firstOutput + column));
            }
            commitCopies();
        };
        float sum[rows][Columns] = {};
        start(0);
        for (int slice = 0; slice < slices; slice++) {
            Stage& stage = shared.stages[slice % 2];
            UNROLL for (int i = 0; i < gathered; i++)
                storeShared(reinterpret_cast<float4*>(&stage.a[thread / chunks + i * (threads / chunks)][thread % chunks * 4]), source.element(i));
            waitCopies<0>();
            barrier();  // the slice is complete, and nobody reads the stage that is filled next
            if (when(slice + 1 < slices)) start(slice + 1);
            UNROLL for (int k = 0; k < depth; k += 4) {
                float4 a[rows];
                UNROLL for (int r = 0; r < rows; r++) a[r] = loadShared(reinterpret_cast<const float4*>(&stage.a[group + r * rowGroups][k]));
                UNROLL for (int l = 0; l < 4; l++) {
                    float4 w[Columns / 4];
                    UNROLL for (int c = 0; c < Columns / 4; c++)
                        w[c] = loadShared(reinterpret_cast<const float4*>(&stage.weight[k + l][firstColumn + c * columnStep]));
                    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < Columns; c++)
                        sum[r][c] = fmaf(part(a[r], l), part(w[c / 4], c % 4), sum[r][c]);
                }
            }
        }

        unsigned inside = 0;
        UNROLL for (int r = 0; r < rows; r++) inside |= unsigned(source.inside(group + r * rowGroups)) << r;
        UNROLL for (int c = 0; c < Columns; c += 4) {
            const int output = firstOutput + firstColumn + c / 4 * columnStep;
            if (!exists(output)) continue;
            if (p.bias) {
                float bias[4];
                loadElements(p.bias + output, bias);
                UNROLL for (int r = 0; r < rows; r++) UNROLL for (int j = 0; j < 4; j++)
                    sum[r][c + j] = when(inside >> r & 1) ? rectified(sum[r][c + j] + bias[j]) : 0;
            }
            UNROLL for (int r = 0; r < rows; r++) {
                if (!when(inside >> r & 1)) continue;
                const float4 y{sum[r][c], sum[r][c + 1], sum[r][c + 2], sum[r][c + 3]};
                storeGlobal(reinterpret_cast<float4*>(p.y + source.pixel(group + r * rowGroups) * p.stride + output), y);
            }
        }
        if (p.sums) {
            tile_sums* sums = p.sums + int64_t(source.tile()) * p.outputs + firstOutput;
            shared.sums.template store<columnStep>(sum, inside, group, firstColumn, source.count(), sums, p.outputs - firstOutput);
        }
    }
};
