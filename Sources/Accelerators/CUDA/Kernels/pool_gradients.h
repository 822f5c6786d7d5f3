// The gradients of the two pools: a pixel gathers what the pooled pixels owe it, so that nothing is added to by two threads.
#pragma once
#include "gradient_sums.h"

// A thread takes 2×2 pixels at a time, since the same four windows contain them: the one whose centre is the upper left pixel, and those to the
// right of and below it. Parts are of such quads, one a pooled pixel. A pixel's windows are added up row by row, at most four.
template <class A> struct MaximumPoolGradient {
    static constexpr int threads = GradientPart::threads;
    using Shared = GradientPart::Shared;

    // Which of the nine, row by row, the forward pass found first to be the largest, four bits a channel. Without its rectifier: where the largest
    // is not positive, the gate is closed.
    static DEVICE uint32_t findLargest(const maximum_pool_gradient_parameters& p, const Affine<8>& affine, const A* centre, int line, int column) {
        uint32_t largest = 0;
        float best[8];
        bool isFirst = true;
        for (int tap = 0; tap < 9; tap++) {
            const int down = tap / 3 - 1, right = tap % 3 - 1;
            if (!when(line + down >= 0)) continue;
            if (!when(line + down < p.height)) continue;
            if (!when(column + right >= 0)) continue;
            if (!when(column + right < p.width)) continue;
            float value[8];
            loadElements(centre + (int64_t(down) * p.width + right) * p.channels, value);
            affine.apply(value);
            UNROLL for (int i = 0; i < 8; i++) {
                if (!isFirst && (value[i] <= best[i] || best[i] != best[i])) continue;
                best[i] = value[i];
                largest = (largest & ~(15u << 4 * i)) | unsigned(tap) << 4 * i;
            }
            isFirst = false;
        }
        return largest;
    }

    static DEVICE void run(const maximum_pool_gradient_parameters& p) {
        const int pooledHeight = (p.height + 1) / 2, pooledWidth = (p.width + 1) / 2;
        GradientPart part(p.images_count * pooledHeight * pooledWidth, p.channels, p.affine, p.moments);
        for (int quad = part.first; when(quad < part.end); quad += GradientPart::groups) {
            const int row = quad / pooledWidth % pooledHeight, column = quad % pooledWidth;
            const int64_t corner = (int64_t(quad / pooledWidth / pooledHeight) * p.height + row * 2) * p.width + column * 2;
            const A* dy = static_cast<const A*>(p.dy) + int64_t(quad) * p.channels + part.channel;
            const A* x = static_cast<const A*>(p.x) + corner * p.channels + part.channel;
            A* d = static_cast<A*>(p.d) + corner * p.channels + part.channel;

            uint32_t largest[2][2];
            const bool hasBelow = when(row + 1 < pooledHeight);
            const bool hasRight = when(column + 1 < pooledWidth);
            UNROLL for (int below = 0; below < 2; below++) UNROLL for (int right = 0; right < 2; right++) {
                if ((below && !hasBelow) || (right && !hasRight)) continue;
                const A* centre = x + (int64_t(below) * p.width + right) * 2 * p.channels;
                largest[below][right] = findLargest(p, part.affine, centre, (row + below) * 2, (column + right) * 2);
            }

            UNROLL for (int r = 0; r < 2; r++) UNROLL for (int c = 0; c < 2; c++) {
                if (!when(row * 2 + r < p.height)) continue;
                if (!when(column * 2 + c < p.width)) continue;
                float sum[8] = {}, value[8];
                UNROLL for (int below = 0; below <= r; below++) UNROLL for (int right = 0; right <= c; right++) {
                    if ((below && !hasBelow) || (right && !hasRight)) continue;
                    // From the window's centre the pixel is r − 2·below rows down and c − 2·right columns to the right.
                    const unsigned tap = (r - 2 * below + 1) * 3 + c - 2 * right + 1;
                    loadElements(dy + (int64_t(below) * pooledWidth + right) * p.channels, value);
                    UNROLL for (int i = 0; i < 8; i++) sum[i] += (largest[below][right] >> 4 * i & 15) == tap ? value[i] : 0;
                }
                const int64_t at = (int64_t(r) * p.width + c) * p.channels;
                loadElements(x + at, value);
                part.gate(sum, value);
                UNROLL for (int i = 0; i < 8; i++) sum[i] = rounded<A>(sum[i]);
                part.add(sum, value);
                storeElements(d + at, sum);
            }
        }
        part.store(sharedMemory<Shared>(), p.sums, p.channels);
    }
};

// Parts are of the pixels of x.
template <class A> struct MeanPoolGradient {
    static constexpr int threads = GradientPart::threads;
    using Shared = GradientPart::Shared;

    static DEVICE void run(const mean_pool_gradient_parameters& p) {
        const int pooledHeight = p.height / 2, pooledWidth = p.width / 2;
        GradientPart part(p.images_count * p.height * p.width, p.channels, p.affine, p.moments);
        const A* dy = static_cast<const A*>(p.dy) + part.channel;
        const A* x = static_cast<const A*>(p.x) + part.channel;
        for (int pixel = part.first; when(pixel < part.end); pixel += GradientPart::groups) {
            const int row = pixel / p.width % p.height / 2, column = pixel % p.width / 2;
            float d[8] = {};
            if (when(row < pooledHeight) && when(column < pooledWidth)) {
                const int64_t pooled = (int64_t(pixel / p.width / p.height) * pooledHeight + row) * pooledWidth + column;
                float value[8];
                loadElements(dy + pooled * p.channels, d);
                loadElements(x + int64_t(pixel) * p.x_stride, value);
                UNROLL for (int i = 0; i < 8; i++) d[i] *= 0.25f;
                part.gate(d, value);
                part.add(d, value);
            }
            part.storeScaled(static_cast<A*>(p.gradient) + int64_t(pixel) * p.g_stride + part.channel, d);
        }
        part.store(sharedMemory<Shared>(), p.sums, p.channels);
    }
};
