// What the gradients of the pools and of the head have in common: a block takes a part of the pixels × 64 channels, gates d, and adds up Σd and
// Σd·(x − mean), which batch norm's backward needs.
//
// A thread holds eight neighbouring channels of every 32nd pixel of its part and adds them up in fp32; then the threads are added up pairwise, the
// upper half onto the lower. So the order is fixed by the numbers of pixels and of parts.
#pragma once
#include "elements.h"

struct GradientPart {
    static constexpr int threads = 256, columns = 64, groups = threads / (columns / 8);
    struct Shared {
        float gradients[groups][columns], products[groups][columns];
    };

    Affine<8> affine;
    float mean[8], gradient[8] = {}, product[8] = {};
    int group, column, channel;  // channel: of the map, where the thread's eight begin
    int first, end;              // the thread's pixels: first, first + groups, …; none where it has no channels
    bool hasChannels;

    // Of `count` pixels, numbered through the batch, part b of P has ⌊count·b/P⌋ ..< ⌊count·(b + 1)/P⌋: none where there are more parts than pixels.
    DEVICE GradientPart(int count, int channels, const affine_pair* affinePairs, const batch_moments* moments) {
        group = int(threadIdx.x) / (columns / 8), column = int(threadIdx.x) % (columns / 8) * 8;
        channel = blockIdx.y * columns + column;
        hasChannels = when(channel < channels);
        const int begin = int(int64_t(count) * blockIdx.x / gridDim.x);
        first = begin + group;
        end = hasChannels ? int(int64_t(count) * (blockIdx.x + 1) / gridDim.x) : begin;
        if (!hasChannels) return;
        affine.load(affinePairs + channel);
        UNROLL for (int i = 0; i < 8; i++) mean[i] = float(loadGlobal(&moments[channel + i].mean));
    }

    // The gate is open where affine(x) > 0.
    DEVICE void gate(float (&d)[8], const float (&x)[8]) const {
        UNROLL for (int i = 0; i < 8; i++) d[i] = fmaf(affine.scale[i], x[i], affine.shift[i]) > 0 ? d[i] : 0;
    }
    DEVICE void add(const float (&d)[8], const float (&x)[8]) {
        UNROLL for (int i = 0; i < 8; i++) {
            gradient[i] += d[i];
            product[i] = fmaf(d[i], x[i] - mean[i], product[i]);
        }
    }
    // G = s·d.
    template <class A> DEVICE void storeScaled(A* to, float (&d)[8]) const {
        UNROLL for (int i = 0; i < 8; i++) d[i] *= affine.scale[i];
        storeElements(to, d);
    }

    static DEVICE void put(float (*rows)[columns], int row, int column, const float (&value)[8]) {
        float4* to = reinterpret_cast<float4*>(&rows[row][column]);
        storeShared(to, float4{value[0], value[1], value[2], value[3]});
        storeShared(to + 1, float4{value[4], value[5], value[6], value[7]});
    }
    static DEVICE void take(const float (*rows)[columns], int row, int column, float (&value)[8]) {
        const float4* from = reinterpret_cast<const float4*>(&rows[row][column]);
        const float4 low = loadShared(from), high = loadShared(from + 1);
        value[0] += low.x, value[1] += low.y, value[2] += low.z, value[3] += low.w;
        value[4] += high.x, value[5] += high.y, value[6] += high.z, value[7] += high.w;
    }

    // sums [parts][channels]. All threads of the block come here.
    DEVICE void store(Shared& shared, gate_sums* sums, int channels) {
        put(shared.gradients, group, column, gradient);
        put(shared.products, group, column, product);
        for (int half = groups / 2; half > 0; half /= 2) {
            barrier();
            if (group >= half) continue;
            take(shared.gradients, group + half, column, gradient);
            take(shared.products, group + half, column, product);
            put(shared.gradients, group, column, gradient);
            put(shared.products, group, column, product);
        }
        if (group != 0 || !hasChannels) return;
        float4* to = reinterpret_cast<float4*>(sums + int64_t(blockIdx.x) * channels + channel);
        UNROLL for (int i = 0; i < 8; i += 2) storeGlobal(to + i / 2, float4{gradient[i], product[i], gradient[i + 1], product[i + 1]});
    }
};
