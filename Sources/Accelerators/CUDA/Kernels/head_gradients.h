// The loss, and the way back from it to the last feature map.
#pragma once
#include "block_sum.h"
#include "channel_map.h"
#include "gradient_sums.h"

// In double throughout, one block. A thread adds up every 256th term in order, then the threads are added up pairwise.
//
// With log p = −softplus(−z), log(1 − p) = −softplus(z) and softplus(z) = max(z, 0) + log(1 + e^−|z|) nothing overflows or loses digits; nor does
// the gradient, −w₊·σ(−z) or w₋·σ(z).
struct Loss {
    static constexpr int threads = 256;
    using Shared = BlockSum<threads>;

    static DEVICE double softplus(double z) { return (z < 0 ? 0 : z) + log1p(exp(-fabs(z))); }
    // 1/(1 + e^−z), without overflow.
    static DEVICE double sigmoid(double z) {
        const double e = exp(-fabs(z));
        return (z < 0 ? e : 1) / (1 + e);
    }

    static DEVICE void run(const loss_parameters& p) {
        const double scale = loadGlobal(p.scale);
        double sum = 0;
        const int count = p.images_count * p.labels;
        for (int i = threadIdx.x; when(i < count); i += threads) {
            const int known = loadGlobal(p.known + i), label = i % p.labels;
            double gradient = 0;
            if (known <= 1) {
                const double z = double(loadGlobal(p.logits + i)), sign = known == 1 ? -1 : 1;
                const double weight = double(loadGlobal((known == 1 ? p.positive : p.negative) + label));
                sum += weight * softplus(sign * z);
                gradient = scale * (sign * weight * sigmoid(sign * z));
            }
            storeGlobal(p.gradient + i, float(gradient));
        }
        sum = sharedMemory<Shared>().total(sum);
        if (threadIdx.x == 0) storeGlobal(p.sum, sum);
    }
};

// A block takes 32 lanes; a warp every eighth label for the weights' gradient, then every eighth image for the shares. Products and sums in double,
// over the images or the labels in order; what is added to is rounded once. The first block adds up the bias's gradient too.
struct ClassifierGradient {
    static constexpr int threads = 256, warps = threads / 32;
    struct Shared {
        uint32_t unused[4];
    };

    static DEVICE void run(const classifier_gradient_parameters& p) {
        const int lane = blockIdx.x * 32 + threadIdx.x % 32, warp = threadIdx.x / 32, channel = channelOf(p.map, lane);
        const bool hasChannel = when(channel >= 0);
        for (int label = warp; when(label < p.labels); label += warps) {
            if (!hasChannel) continue;
            double sum = 0;
            for (int image = 0; when(image < p.images_count); image++) {
                const double gradient = double(loadGlobal(p.gradient + int64_t(image) * p.labels + label));
                sum = fma(gradient, double(loadGlobal(p.mean + int64_t(image) * p.lanes + lane)), sum);
            }
            float* to = p.weight_gradient + int64_t(label) * p.feature_channels + channel;
            storeGlobal(to, float(double(loadGlobal(to)) + sum));
        }
        for (int image = warp; when(image < p.images_count); image += warps) {
            double sum = 0;
            for (int label = 0; hasChannel && when(label < p.labels); label++) {
                const double gradient = double(loadGlobal(p.gradient + int64_t(image) * p.labels + label));
                sum = fma(gradient, double(loadGlobal(p.weight + int64_t(label) * p.feature_channels + channel)), sum);
            }
            storeGlobal(p.share + int64_t(image) * p.lanes + lane, float(sum / p.area));
        }
        if (blockIdx.x != 0) return;
        for (int label = threadIdx.x; when(label < p.labels); label += threads) {
            double sum = 0;
            for (int image = 0; when(image < p.images_count); image++) sum += double(loadGlobal(p.gradient + int64_t(image) * p.labels + label));
            storeGlobal(p.bias_gradient + label, float(double(loadGlobal(p.bias_gradient + label)) + sum));
        }
    }
};

// Parts are of the pixels of x.
template <class A> struct HeadGradient {
    static constexpr int threads = GradientPart::threads;
    using Shared = GradientPart::Shared;

    static DEVICE void run(const head_gradient_parameters& p) {
        GradientPart part(p.images_count * p.area, p.channels, p.affine, p.moments);
        const A* x = static_cast<const A*>(p.x) + part.channel;
        for (int pixel = part.first; when(pixel < part.end); pixel += GradientPart::groups) {
            float d[8], value[8];
            loadElements(p.share + int64_t(pixel / p.area) * p.channels + part.channel, d);
            loadElements(x + int64_t(pixel) * p.x_stride, value);
            if (p.rectified) part.gate(d, value);
            part.add(d, value);
            part.storeScaled(static_cast<A*>(p.gradient) + int64_t(pixel) * p.g_stride + part.channel, d);
        }
        part.store(sharedMemory<Shared>(), p.sums, p.channels);
    }
};
