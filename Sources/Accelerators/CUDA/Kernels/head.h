// The head: the last feature map, its global average, and the classifier.
#pragma once
#include "channel_map.h"
#include "elements.h"

// A block takes an image's 32 lanes, a warp eight of them; a warp's lanes take every 32nd pixel, so that features are written in runs. A lane adds
// up its pixels in their order, then the lanes pairwise: an image's mean depends on nothing but the image.
template <class A> struct HeadMean {
    static constexpr int threads = 128;
    struct Shared {
        uint32_t unused[4];
    };

    static DEVICE void run(const head_mean_parameters& p) {
        const int lane = threadIdx.x % 32, image = blockIdx.x, first = blockIdx.y * 32 + int(threadIdx.x) / 32 * 8;
        const A* x = static_cast<const A*>(p.x) + int64_t(image) * p.area * p.x_stride + first;
        int channels[8];
        UNROLL for (int i = 0; i < 8; i++) channels[i] = channelOf(p.map, first + i);

        Affine<8> affine;
        affine.load(p.affine + first);
        float sum[8] = {};
        for (int pixel = lane; when(pixel < p.area); pixel += 32) {
            float value[8];
            loadElements(x + int64_t(pixel) * p.x_stride, value);
            affine.apply(value);
            UNROLL for (int i = 0; i < 8; i++) {
                if (p.rectified) value[i] = rectified(value[i]);
                sum[i] += value[i];
                if (p.features && when(channels[i] >= 0))
                    storeGlobal(p.features + (int64_t(image) * p.feature_channels + channels[i]) * p.area + pixel, value[i]);
            }
        }
        UNROLL for (int mask = 16; mask > 0; mask /= 2) UNROLL for (int i = 0; i < 8; i++) sum[i] += shuffleXor(sum[i], mask);
        if (lane < 2) {
            float4 mean = lane == 0 ? float4{sum[0], sum[1], sum[2], sum[3]} : float4{sum[4], sum[5], sum[6], sum[7]};
            mean.x /= float(p.area), mean.y /= float(p.area), mean.z /= float(p.area), mean.w /= float(p.area);
            storeGlobal(reinterpret_cast<float4*>(p.mean + int64_t(image) * p.channels + first) + lane, mean);
        }
    }
};

// A block takes an image, a warp every fourth label. Products and their sum in double, the lanes' sums in the lanes' order.
struct HeadClassifier {
    static constexpr int threads = 128, warps = threads / 32;
    struct Shared {
        double sums[warps][32];
    };

    static DEVICE void run(const head_classifier_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, image = blockIdx.x;
        const float* mean = p.mean + int64_t(image) * p.channels;
        for (int label = warp; when(label < p.labels); label += warps) {
            const float* weight = p.weight + int64_t(label) * p.feature_channels;
            double sum = 0;
            for (int i = lane; when(i < p.channels); i += 32) {
                const int channel = channelOf(p.map, i);
                if (when(channel >= 0)) sum = fma(double(loadGlobal(mean + i)), double(loadGlobal(weight + channel)), sum);
            }
            syncWarp();  // the label before has been added up
            storeShared(&shared.sums[warp][lane], sum);
            syncWarp();
            if (lane == 0) {
                for (int l = 1; l < 32; l++) sum += loadShared(&shared.sums[warp][l]);
                storeGlobal(p.logits + int64_t(image) * p.labels + label, float(sum + double(loadGlobal(p.bias + label))));
            }
        }
    }
};
