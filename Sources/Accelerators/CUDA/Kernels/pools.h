// The two pools: 3×3 maximum behind the stem, and the 2×2 mean that a transition starts with.
#pragma once
#include "column_sums.h"
#include "elements.h"

// A block takes `pixels` pooled pixels × 64 channels, a thread 4 × 8 of them. Padding never wins: it is skipped.
template <class A> struct MaximumPool {
    static constexpr int pixels = 64, columns = 64, rows = 4, groups = pixels / rows, threads = groups * columns / 8;
    using Sums = ColumnSums<groups, columns>;
    struct Shared {
        Sums sums;
    };

    static DEVICE void run(const maximum_pool_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, group = thread / (columns / 8), firstChannel = blockIdx.y * columns, column = thread % (columns / 8) * 8;
        const int pooledHeight = (p.height + 1) / 2, pooledWidth = (p.width + 1) / 2, first = blockIdx.x * pixels;
        const int pooledPixels = p.images_count * pooledHeight * pooledWidth;
        const bool hasChannels = when(firstChannel + column < p.channels);
        const A* x = static_cast<const A*>(p.x) + firstChannel + column;
        A* y = static_cast<A*>(p.y) + firstChannel + column;

        Affine<8> affine;
        if (hasChannels && p.affine) affine.load(p.affine + firstChannel + column);
        float best[rows][8] = {};
        unsigned inside = 0;
        UNROLL for (int r = 0; r < rows; r++) {
            const int pixel = first + group + r * groups;
            const bool isInside = when(pixel < pooledPixels);
            inside |= unsigned(isInside) << r;
            if (!hasChannels || !isInside) continue;
            const int centreLine = pixel / pooledWidth % pooledHeight * 2, centreColumn = pixel % pooledWidth * 2;
            const int64_t centre = (int64_t(pixel / pooledWidth / pooledHeight) * p.height + centreLine) * p.width + centreColumn;
            bool isFirst = true;
            for (int tap = 0; tap < 9; tap++) {
                const int up = tap / 3 - 1, right = tap % 3 - 1;
                if (!when(centreLine + up >= 0) || !when(centreLine + up < p.height)) continue;
                if (!when(centreColumn + right >= 0) || !when(centreColumn + right < p.width)) continue;
                float value[8];
                loadElements(x + (centre + int64_t(up) * p.width + right) * p.channels, value);
                if (p.affine) affine.applyRectified(value);
                UNROLL for (int i = 0; i < 8; i++) best[r][i] = isFirst ? value[i] : larger(best[r][i], value[i]);
                isFirst = false;
            }
            UNROLL for (int i = 0; i < 8; i++) best[r][i] = rounded<A>(best[r][i]);
            storeElements(y + int64_t(pixel) * p.y_stride, best[r]);
        }
        if (p.sums) {
            const int count = pooledPixels - first < pixels ? pooledPixels - first : pixels;
            tile_sums* sums = p.sums + int64_t(blockIdx.x) * p.channels + firstChannel;
            shared.sums.template store<4>(best, inside, group, column, count, sums, p.channels - firstChannel);
        }
    }
};

// A thread takes eight channels of a pooled pixel, numbered through the batch in 32 bits. Summed in the order of the pixels.
template <class A> struct MeanPool {
    static constexpr int threads = 256;
    struct Shared {
        uint32_t unused[4];
    };

    static DEVICE void run(const mean_pool_parameters& p) {
        const unsigned chunks = p.channels / 8, pooledHeight = p.height / 2, pooledWidth = p.width / 2;
        const unsigned at = blockIdx.x * threads + threadIdx.x, pixel = at / chunks, channel = at % chunks * 8;
        if (!when(pixel < p.images_count * pooledHeight * pooledWidth)) return;
        const int64_t line = int64_t(pixel / pooledWidth / pooledHeight) * p.height + pixel / pooledWidth % pooledHeight * 2;
        const A* x = static_cast<const A*>(p.x) + (line * p.width + pixel % pooledWidth * 2) * p.x_stride + channel;

        Affine<8> affine;
        affine.load(p.affine + channel);
        float sum[8] = {};
        UNROLL for (int i = 0; i < 4; i++) {
            float value[8];
            loadElements(x + (int64_t(i / 2) * p.width + i % 2) * p.x_stride, value);
            affine.applyRectified(value);
            UNROLL for (int j = 0; j < 8; j++) sum[j] += value[j];
        }
        UNROLL for (int j = 0; j < 8; j++) sum[j] *= 0.25f;
        storeElements(static_cast<A*>(p.y) + int64_t(pixel) * p.channels + channel, sum);
    }
};
