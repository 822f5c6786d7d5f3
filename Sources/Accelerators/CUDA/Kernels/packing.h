// PyTorch's weights as the convolutions read them: outputs last, in the lanes of the maps, and rounded to A.
#pragma once
#include "channel_map.h"
#include "elements.h"

// Eight neighbouring outputs of one input: from[channel · stride], times the outputs' scales; zero where there is no channel.
template <class A>
DEVICE void packOutputs(
    A* packed, const float* from, int64_t stride, bool exists, const channel_map& outputs, int firstOutput, const affine_pair* affine) {
    float value[8];
    UNROLL for (int i = 0; i < 8; i++) {
        const int output = channelOf(outputs, firstOutput + i);
        value[i] = exists && when(output >= 0) ? loadGlobal(from + output * stride) : 0;
        if (affine) value[i] *= loadGlobal(&affine[firstOutput + i].scale);
    }
    storeElements(packed + firstOutput, value);
}

// The blocks with one blockIdx.y take one convolution.
template <class A> struct PackConvolutions {
    static constexpr int threads = 256;
    struct Shared {
        uint32_t unused[4];
    };

    static DEVICE void run(const pack_convolutions_parameters& all) {
        const pack_convolution_parameters p = loadGlobal(all.convolutions + blockIdx.y);
        const int chunks = p.outputs / 8, count = p.taps * p.channels * chunks;
        for (int i = blockIdx.x * threads + threadIdx.x; when(i < count); i += gridDim.x * threads) {
            const int row = i / chunks, tap = row / p.channels, input = channelOf(p.inputs, row % p.channels);
            const float* from = p.weight + int64_t(input) * p.taps + tap;
            A* packed = static_cast<A*>(p.packed) + int64_t(row) * p.outputs;
            packOutputs(packed, from, int64_t(p.input_channels) * p.taps, when(input >= 0), p.outputs_map, i % chunks * 8, p.affine);
        }
    }
};

template <class A> struct PackStem {
    static constexpr int threads = 256;
    struct Shared {
        uint32_t unused[4];
    };

    static DEVICE void run(const pack_stem_parameters& p) {
        const int chunks = p.outputs / 8, count = p.channels * 64 * chunks;
        for (int i = blockIdx.x * threads + threadIdx.x; when(i < count); i += gridDim.x * threads) {
            const int depth = i / chunks, channel = depth / 64, row = depth / 8 % 8, column = depth % 8;
            const float* from = p.weight + channel * 49 + row * 7 + column;
            A* packed = static_cast<A*>(p.packed) + int64_t(depth) * p.outputs;
            packOutputs(packed, from, p.channels * 49, when(row < 7) && when(column < 7), p.outputs_map, i % chunks * 8, p.affine);
        }
    }
};
