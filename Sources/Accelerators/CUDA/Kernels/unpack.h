// Gradients of weights: the parts, as the convolutions leave them, are added up into PyTorch's layout.
//
// Neighbouring threads take neighbouring outputs, so that the parts, which are many times the weights, are read in runs. Numbered in 32 bits.
#pragma once
#include "channel_map.h"

// The parts in their order, in double; rounded once, together with what was there.
DEVICE void addParts(float* gradient, const float* partial, int64_t stride, int parts) {
    double sum = 0;
    for (int part = 0; when(part < parts); part++) sum += double(loadGlobal(partial + part * stride));
    storeGlobal(gradient, float(double(loadGlobal(gradient)) + sum));
}

// By `threads` threads, of which this is one.
DEVICE void unpackGradient(const unpack_gradient_parameters& p, int thread, int threads) {
    const int count = p.taps * p.channels * p.outputs;
    for (int i = thread; when(i < count); i += threads) {
        const int row = i / p.outputs, tap = row / p.channels;
        const int output = channelOf(p.outputs_map, i % p.outputs), input = channelOf(p.inputs, row % p.channels);
        if (!when(output >= 0)) continue;
        if (!when(input >= 0)) continue;
        addParts(p.gradient + (int64_t(output) * p.input_channels + input) * p.taps + tap, p.partial + i, count, p.parts);
    }
}

struct UnpackStemGradient {
    static constexpr int threads = 256;
    struct Shared {
        uint32_t unused[4];
    };

    static DEVICE void run(const unpack_stem_gradient_parameters& p) {
        const int count = p.channels * 64 * p.outputs;
        for (int i = blockIdx.x * threads + threadIdx.x; when(i < count); i += gridDim.x * threads) {
            const int depth = i / p.outputs, channel = depth / 64, row = depth / 8 % 8, column = depth % 8;
            const int output = channelOf(p.outputs_map, i % p.outputs);
            if (!when(output >= 0)) continue;
            if (!when(row < 7)) continue;
            if (!when(column < 7)) continue;
            addParts(p.gradient + (output * p.channels + channel) * 49 + row * 7 + column, p.partial + i, count, p.parts);
        }
    }
};
