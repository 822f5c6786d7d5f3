// The skeletons of the convolutions' gradients in exact fp32, on the ordinary arithmetic units, as convolution_fp32.h is of the convolutions.
#pragma once
#include "column_sums.h"
#include "elements.h"

// d[pixel][channel] = Σ over k of dy[pixel][k] · weight[channel][k]: a block computes Pixels × Channels, a thread 8 pixels × Columns channels.
// The Source is that of a convolution. Weights lie as the forward pass reads them, k by k: so do they in shared memory, and both factors are read
// four k at a time.
template <int Pixels, int Channels, int Columns> struct DataGradientFP32 {
    static constexpr int depth = 16, chunks = depth / 4, rows = 8, rowGroups = Pixels / rows, columnGroups = Channels / Columns;
    static constexpr int threads = rowGroups * columnGroups, gathered = Pixels * chunks / threads, columnStep = columnGroups * 4;
    // Eight rows at one k lie in eight different groups of four banks.
    static constexpr int pitch = depth + 4;
    // A thread has four neighbouring channels, for the epilogue's sake, and neighbouring threads neighbouring fours. So that those at one k lie in
    // different banks, every fourth channel is a neighbour here: channel c is row c mod 4 · Channels/4 + c/4.
    struct Stage {
        float dy[Pixels][pitch], weight[Channels][pitch];
    };
    using Totals = ColumnSums<rowGroups, Channels>;
    struct Sums {
        float gradients[rowGroups][Channels], products[rowGroups][Channels];
    };
    // As in a convolution: the last slice is in the second stage.
    struct Shared {
        union {
            Stage stages[2];
            Sums sums;
        };
    };
    static_assert(sizeof(Sums) <= sizeof(Stage) && 32 / depth % 2 == 0 && threads / chunks * 4 == Channels);

    // Behind the gate, which is open where affine(x) > 0.
    struct Gate {
        const float* x;
        const affine_pair* affine;
        const batch_moments* moments;
        gate_sums* sums;
        int stride;
    };

    static DEVICE float part(const float4& v, int i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }

    Shared& shared = sharedMemory<Shared>();
    const int thread = threadIdx.x, group = thread / columnGroups, firstChannel = blockIdx.y * Channels, channels;
    float sum[rows][Columns] = {};
    unsigned inside = 0;

    DEVICE explicit DataGradientFP32(int channels) : channels(channels) {}

    DEVICE int column(int c) const { return thread % columnGroups * 4 + c / 4 * columnStep + c % 4; }

    // weights(slice): the slice's k of the block's first channel; the next channel's are `stride` further.
    template <class Source, class Weights> DEVICE void multiply(Source& source, const Weights& weights, int stride, int slices) {
        auto start = [&](int slice) {
            source.load(slice);
            const int row = thread / chunks, channel = row * 4, k = thread % chunks * 4;
            const float* from = weights(slice) + int64_t(channel) * stride + k;
            const bool exists = when(firstChannel + channel < channels);
            UNROLL for (int i = 0; i < 4; i++) copyAsync16(&shared.stages[slice % 2].weight[row + i * (Channels / 4)][k], from + i * stride, exists);
            commitCopies();
        };
        start(0);
        for (int slice = 0; slice < slices; slice++) {
            Stage& stage = shared.stages[slice % 2];
            UNROLL for (int i = 0; i < gathered; i++)
                storeShared(reinterpret_cast<float4*>(&stage.dy[thread / chunks + i * (threads / chunks)][thread % chunks * 4]), source.element(i));
            waitCopies<0>();
            barrier();  // the slice is complete, and nobody reads the stage that is filled next
            if (when(slice + 1 < slices)) start(slice + 1);
            UNROLL for (int k = 0; k < depth; k += 4) {
                float4 dy[rows];
                UNROLL for (int r = 0; r < rows; r++) dy[r] = loadShared(reinterpret_cast<const float4*>(&stage.dy[group + r * rowGroups][k]));
                UNROLL for (int c = 0; c < Columns; c++) {
                    const int row = c % 4 * (Channels / 4) + thread % columnGroups + c / 4 * columnGroups;
                    const float4 weight = loadShared(reinterpret_cast<const float4*>(&stage.weight[row][k]));
                    UNROLL for (int l = 0; l < 4; l++) UNROLL for (int r = 0; r < rows; r++)
                        sum[r][c] = fmaf(part(dy[r], l), part(weight, l), sum[r][c]);
                }
            }
        }
        UNROLL for (int r = 0; r < rows; r++) inside |= unsigned(source.inside(group + r * rowGroups)) << r;
    }

    // y = the sums as they are.
    template <class Source> DEVICE void store(const Source& source, float* y) {
        UNROLL for (int c = 0; c < Columns; c += 4) {
            const int channel = firstChannel + column(c);
            if (!when(channel < channels)) continue;
            UNROLL for (int r = 0; r < rows; r++) {
                if (!when(inside >> r & 1)) continue;
                const float4 v{sum[r][c], sum[r][c + 1], sum[r][c + 2], sum[r][c + 3]};
                storeGlobal(reinterpret_cast<float4*>(y + source.pixel(group + r * rowGroups) * channels + channel), v);
            }
        }
    }

    // target(pixel, channel, d, affine) stores four gated channels. Their sums: a thread adds up its rows, then the groups are added up in order.
    template <class Source, class Target> DEVICE void storeGated(const Source& source, const Gate& gate, const Target& target) {
        UNROLL for (int c = 0; c < Columns; c += 4) {
            const int channel = firstChannel + column(c);
            if (!when(channel < channels)) continue;
            Affine<4> affine;
            affine.load(gate.affine + channel);
            float mean[4], gradient[4] = {}, product[4] = {};
            UNROLL for (int j = 0; j < 4; j++) mean[j] = float(loadGlobal(&gate.moments[channel + j].mean));
            UNROLL for (int r = 0; r < rows; r++) {
                if (!when(inside >> r & 1)) continue;
                const int64_t pixel = source.pixel(group + r * rowGroups);
                float x[4], d[4];
                loadElements(gate.x + pixel * gate.stride + channel, x);
                UNROLL for (int j = 0; j < 4; j++) {
                    d[j] = fmaf(x[j], affine.scale[j], affine.shift[j]) > 0 ? sum[r][c + j] : 0;
                    gradient[j] += d[j];
                    product[j] = fmaf(d[j], x[j] - mean[j], product[j]);
                }
                target(pixel, channel, d, affine);
            }
            const float4 gradients{gradient[0], gradient[1], gradient[2], gradient[3]}, products{product[0], product[1], product[2], product[3]};
            storeShared(reinterpret_cast<float4*>(&shared.sums.gradients[group][column(c)]), gradients);
            storeShared(reinterpret_cast<float4*>(&shared.sums.products[group][column(c)]), products);
        }
        barrier();
        if (group == 0) {
            UNROLL for (int c = 0; c < Columns; c += 4) {
                const int channel = firstChannel + column(c);
                if (!when(channel < channels)) continue;
                const float4 gradient = Totals::total(shared.sums.gradients, column(c)), product = Totals::total(shared.sums.products, column(c));
                float4* sums = reinterpret_cast<float4*>(gate.sums + int64_t(source.tile()) * channels + channel);
                storeGlobal(sums, float4{gradient.x, product.x, gradient.y, product.y});
                storeGlobal(sums + 1, float4{gradient.z, product.z, gradient.w, product.w});
            }
        }
    }
};

// partial[row][output] = Σ over a part's pixels of a[pixel][row] · dy[pixel][output]: a block computes Rows × Outputs, a thread 8 × Columns of them.
// Slices of Depth pixels go through shared memory in two stages, as in a convolution. What the rows are is the Source's to know:
//     Source(const parameters&, const Part&, int thread)   knows the thread's four rows, from thread % quads · 4 on, and the first of its pixels,
//                                                          thread / quads of the part
//     void load(), float4 element(int i)                   gathers of the next pixels, each `step` behind the one before; then the i-th of these:
//                                                          zeros where a pixel or row does not exist
//     bool hasRow(int row), int64_t partialRow(int row)    where the block's row is in the partial sums; eight that begin at a multiple of
//                                                          eight lie there one behind the other, or not at all
template <int Rows, int Outputs, int Columns, int Depth> struct WeightGradientFP32 {
    static constexpr int depth = Depth, rows = 8, columnGroups = Outputs / Columns, columnStep = columnGroups * 4;
    static constexpr int threads = Rows / rows * columnGroups, quads = Rows / 4, step = threads / quads, gathered = depth / step;
    static constexpr int tile = 64;
    // Sums of 256 pixels are added up where they are stored: the error grows with the chain's length and with the number of chains, not with
    // the product of both, and registers hold one chain's.
    static constexpr int chain = 256 / depth;
    struct Shared {
        struct {
            float a[depth][Rows], dy[depth][Outputs];
        } stages[2];
    };
    static_assert(threads % quads == 0 && depth % step == 0 && tile % depth == 0);

    // The block's: pixels first ..< end.
    struct Part {
        int first, end, number;

        DEVICE explicit Part(int pixels) : number(blockIdx.x) {
            const int64_t tiles = (pixels + tile - 1) / tile;
            first = int(tiles * number / gridDim.x) * tile;
            end = int(tiles * (number + 1) / gridDim.x) * tile;
            if (end > pixels) end = pixels;
        }
    };

    template <class Source>
    static DEVICE void run(Source& source, const Part& part, const float* dy, int firstOutput, int outputs, float* partial) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, firstRow = thread / columnGroups * rows, firstColumn = thread % columnGroups * 4;
        auto exists = [&](int output) { return Outputs == 32 || when(output < outputs); };

        auto start = [&](int slice) {
            source.load();
            UNROLL for (int i = 0; i < (depth * Outputs / 4 + threads - 1) / threads; i++) {
                const int index = thread + i * threads, row = index / (Outputs / 4), column = index % (Outputs / 4) * 4;
                if (depth * Outputs / 4 % threads != 0 && !when(row < depth)) continue;
                const int pixel = part.first + slice * depth + row, output = firstOutput + column;
                const bool valid = exists(output) && when(pixel < part.end);
                copyAsync16(&shared.stages[slice % 2].dy[row][column], dy + int64_t(pixel) * outputs + output, valid);
            }
            commitCopies();
        };
        const int slices = (part.end - part.first + depth - 1) / depth;
        float sum[rows][Columns] = {};
        auto addUp = [&](bool isFirst) {
            UNROLL for (int c = 0; c < Columns; c += 4) {
                const int output = firstOutput + firstColumn + c / 4 * columnStep;
                if (!exists(output) || !source.hasRow(firstRow)) continue;
                float* target = partial + source.partialRow(firstRow) * outputs + output;
                UNROLL for (int r = 0; r < rows; r++, target += outputs) {
                    float v[4] = {};
                    if (!isFirst) loadElements(target, v);
                    UNROLL for (int j = 0; j < 4; j++) v[j] += sum[r][c + j], sum[r][c + j] = 0;
                    storeElements(target, v);
                }
            }
        };
        if (when(slices > 0)) start(0);
        for (int slice = 0; slice < slices; slice++) {
            auto& stage = shared.stages[slice % 2];
            UNROLL for (int i = 0; i < gathered; i++)
                storeShared(reinterpret_cast<float4*>(&stage.a[thread / quads + i * step][thread % quads * 4]), source.element(i));
            waitCopies<0>();
            barrier();  // the slice is complete, and nobody reads the stage that is filled next
            if (when(slice + 1 < slices)) start(slice + 1);
            UNROLL for (int k = 0; k < depth; k++) {
                float a[rows], v[Columns];
                loadSharedElements(&stage.a[k][firstRow], a, 4);
                loadSharedElements(&stage.dy[k][firstColumn], v, columnStep);
                UNROLL for (int r = 0; r < rows; r++) UNROLL for (int c = 0; c < Columns; c++) sum[r][c] = fmaf(a[r], v[c], sum[r][c]);
            }
            if (slice % chain == chain - 1 && slice + 1 < slices) addUp(slice < chain);
        }
        addUp(slices <= chain);
    }

    // Fours, each `distance` behind the one before.
    template <int N> static DEVICE void loadSharedElements(const float* p, float (&x)[N], int distance) {
        UNROLL for (int i = 0; i < N; i += 4) {
            const float4 v = loadShared(reinterpret_cast<const float4*>(p + i / 4 * distance));
            x[i] = v.x, x[i + 1] = v.y, x[i + 2] = v.z, x[i + 3] = v.w;
        }
    }
};
