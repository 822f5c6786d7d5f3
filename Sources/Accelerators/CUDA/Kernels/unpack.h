// Gradients of weights: the parts, as the convolutions leave them, are added up into PyTorch's layout.
#pragma once
#include "channel_map.h"

// A block takes 128 neighbouring elements of all parts, a warp a run of 512 bytes at a time: row r of its threads takes the parts r, r + 8, …, in double,
// then the rows are added up in their order. The sum is rounded once, together with what was there.
struct PartSums {
    static constexpr int threads = 256, elements = 128, rows = threads / (elements / 4);
    struct Shared {
        double sums[rows][elements];
    };

    // Calls `body` in a thread for each element, with its number and the sum. All threads of the block come here.
    template <class Body> static DEVICE void forEach(Shared& shared, const float* partial, int count, int parts, int block, Body body) {
        const int row = threadIdx.x / (elements / 4), column = threadIdx.x % (elements / 4) * 4;
        const float* from = partial + block * elements + column;
        double sum[4] = {};
        for (int part = row; when(part < parts); part += rows) {
            const float4 v = loadGlobal(reinterpret_cast<const float4*>(from + int64_t(part) * count));
            sum[0] += double(v.x), sum[1] += double(v.y), sum[2] += double(v.z), sum[3] += double(v.w);
        }
        UNROLL for (int i = 0; i < 4; i++) storeShared(&shared.sums[row][column + i], sum[i]);
        barrier();
        if (threadIdx.x >= elements) return;
        double total = 0;
        UNROLL for (int r = 0; r < rows; r++) total += loadShared(&shared.sums[r][threadIdx.x]);
        body(block * elements + int(threadIdx.x), total);
    }

    static DEVICE void add(float* gradient, double sum) { storeGlobal(gradient, float(double(loadGlobal(gradient)) + sum)); }
};

DEVICE void unpackGradient(const unpack_gradient_parameters& p, PartSums::Shared& shared, int block) {
    PartSums::forEach(shared, p.partial, p.taps * p.channels * p.outputs, p.parts, block, [&](int i, double sum) {
        const int row = i / p.outputs, tap = row / p.channels;
        const int output = channelOf(p.outputs_map, i % p.outputs), input = channelOf(p.inputs, row % p.channels);
        if (when(output >= 0) && when(input >= 0))
            PartSums::add(p.gradient + (int64_t(output) * p.input_channels + input) * p.taps + tap, sum);
    });
}

struct UnpackStemGradient {
    static constexpr int threads = PartSums::threads;
    using Shared = PartSums::Shared;

    static DEVICE void run(const unpack_stem_gradient_parameters& p) {
        PartSums::forEach(sharedMemory<Shared>(), p.partial, p.channels * 64 * p.outputs, p.parts, blockIdx.x, [&](int i, double sum) {
            const int depth = i / p.outputs, channel = depth / 64, row = depth / 8 % 8, column = depth % 8;
            const int output = channelOf(p.outputs_map, i % p.outputs);
            if (when(output >= 0) && when(row < 7) && when(column < 7))
                PartSums::add(p.gradient + (output * p.channels + channel) * 49 + row * 7 + column, sum);
        });
    }
};
