// The gradients of the network's convolutions in exact fp32: what each of them gathers, and where it goes.
#pragma once
#include "convolution_gradients_fp32.h"
#include "convolutions_fp32.h"

// MARK: Data

// 1×1.
struct PointwiseDataGradientFP32 {
    static constexpr int pixels = 64, channels = 128;
    using Gradient = DataGradientFP32<pixels, channels, 8>;
    using Shared = Gradient::Shared;
    static constexpr int threads = Gradient::threads;

    static DEVICE void run(const pointwise_data_gradient_parameters& p) {
        Gradient gradient(p.channels);
        PointwiseRows<Gradient, pixels, false> source(p.dy, nullptr, p.pixels, p.outputs, threadIdx.x);
        const float* weight = static_cast<const float*>(p.weight) + int64_t(gradient.firstChannel) * p.outputs;
        gradient.multiply(source, [&](int slice) { return weight + slice * Gradient::depth; }, p.outputs, p.outputs / Gradient::depth);
        if (p.affine == nullptr) {
            gradient.store(source, static_cast<float*>(p.y));
            return;
        }
        auto add = [&](int64_t pixel, int channel, float (&d)[4], const Affine<4>& affine) {
            float* target = static_cast<float*>(p.gradient) + pixel * p.g_stride + channel;
            float g[4] = {};
            if (p.accumulates) loadElements(target, g);
            UNROLL for (int j = 0; j < 4; j++) g[j] = fmaf(affine.scale[j], d[j], g[j]);
            storeElements(target, g);
        };
        gradient.storeGated(source, {static_cast<const float*>(p.x), p.affine, p.moments, p.sums, p.x_stride}, add);
    }
};

// A pixel's gradient comes from the pixels that it went to: through tap t to the one that lies the other way, which the turned kernel's tap 8 − t
// points to.
struct GrowthDataGradientFP32 {
    static constexpr int pixels = 64, channels = 128;
    using Gradient = DataGradientFP32<pixels, channels, 8>;
    using Shared = Gradient::Shared;
    static constexpr int threads = Gradient::threads;

    static DEVICE void run(const growth_data_gradient_parameters& p) {
        Gradient gradient(p.channels);
        GrowthRows<Gradient, pixels, false> source(p.dy, nullptr, p.pixels, p.height, p.width, p.outputs, threadIdx.x);
        auto weights = [&](int slice) {
            const int tap = slice / source.slicesOfTap, k = (slice - tap * source.slicesOfTap) * Gradient::depth;
            return static_cast<const float*>(p.weight) + (int64_t(8 - tap) * p.channels + gradient.firstChannel) * p.outputs + k;
        };
        gradient.multiply(source, weights, p.outputs, 9 * source.slicesOfTap);
        auto store = [&](int64_t pixel, int channel, float (&d)[4], const Affine<4>&) {
            storeElements(static_cast<float*>(p.d) + pixel * p.channels + channel, d);
        };
        gradient.storeGated(source, {static_cast<const float*>(p.y), p.affine, p.moments, p.sums, p.channels}, store);
    }
};

// MARK: Weights

// 1×1: the rows are channels.
struct PointwiseWeightGradientFP32 {
    static constexpr int channels = 64, outputs = 128;
    using Gradient = WeightGradientFP32<channels, outputs, 8, 16>;
    using Shared = Gradient::Shared;
    static constexpr int threads = Gradient::threads;

    struct Source {
        GatheredChannels<true, Gradient::gathered> gathered;  // what is not present is not normalised: nothing is where there is no affine
        const pointwise_weight_gradient_parameters& p;
        const Gradient::Part& part;
        const float* x;  // of the thread's next pixel
        const bool hasChannels;
        int pixel;

        DEVICE Source(const pointwise_weight_gradient_parameters& p, const Gradient::Part& part, int thread) :
            p(p), part(part), hasChannels(hasRow(thread % Gradient::quads * 4)), pixel(part.first + thread / Gradient::quads) {
            const int channel = blockIdx.y * channels + thread % Gradient::quads * 4;
            x = static_cast<const float*>(p.x) + int64_t(pixel) * p.x_stride + channel;
            if (p.affine && hasChannels) gathered.affine.load(p.affine + channel);
        }
        DEVICE void load() {
            gathered.present = 0;
            UNROLL for (int i = 0; i < Gradient::gathered; i++, pixel += Gradient::step, x += int64_t(Gradient::step) * p.x_stride) {
                if (when(pixel < part.end) && hasChannels) {
                    loadElements(x, gathered.x[i]);
                    if (p.affine) gathered.present |= 1u << i;
                } else gathered.clear(i);
            }
        }
        DEVICE float4 element(int i) const { return gathered.element(i); }
        DEVICE bool hasRow(int row) const { return when(int(blockIdx.y) * channels + row < p.channels); }
        DEVICE int64_t partialRow(int row) const { return int64_t(part.number) * p.channels + blockIdx.y * channels + row; }
    };

    static DEVICE void run(const pointwise_weight_gradient_parameters& p) {
        const Gradient::Part part(p.pixels);
        Source source(p, part, threadIdx.x);
        Gradient::run(source, part, static_cast<const float*>(p.dy), blockIdx.z * outputs, p.outputs, p.partial);
    }
};

// Where a pixel of the batch lies, and then the one some pixels further: few of them, so counting is cheaper than dividing.
struct PixelWalk {
    int column, line, image;

    DEVICE PixelWalk(int pixel, int height, int width) : column(pixel % width), line(pixel / width % height), image(pixel / width / height) {}
    DEVICE void advance(int step, int height, int width) {
        for (column += step; column >= width; column -= width)
            if (++line == height) line = 0, image++;
    }
};

// The rows are the nine taps' channels, 32 of each.
struct GrowthWeightGradientFP32 {
    static constexpr int channels = 32, outputs = 32;
    using Gradient = WeightGradientFP32<9 * channels, outputs, 4, 8>;
    using Shared = Gradient::Shared;
    static constexpr int threads = Gradient::threads;

    struct Source {
        GatheredChannels<true, Gradient::gathered> gathered;
        const growth_weight_gradient_parameters& p;
        const Gradient::Part& part;
        const int down, right;  // the thread's tap
        int pixel;
        PixelWalk walk;

        DEVICE Source(const growth_weight_gradient_parameters& p, const Gradient::Part& part, int thread) :
            p(p), part(part), down(thread % Gradient::quads / 8 / 3 - 1), right(thread % Gradient::quads / 8 % 3 - 1),
            pixel(part.first + thread / Gradient::quads), walk(pixel, p.height, p.width) {}
        DEVICE int channel() const { return blockIdx.y * channels + threadIdx.x % 8 * 4; }
        DEVICE void load() {
            gathered.present = 0;
            UNROLL for (int i = 0; i < Gradient::gathered; i++, pixel += Gradient::step, walk.advance(Gradient::step, p.height, p.width)) {
                const int line = walk.line + down, column = walk.column + right;
                if (when(pixel < part.end) && when(line >= 0) && when(line < p.height) && when(column >= 0) && when(column < p.width)) {
                    gathered.present |= 1u << i;
                    const int64_t from = pixel + (down * p.width + right);
                    loadElements(static_cast<const float*>(p.y) + from * p.channels + channel(), gathered.x[i]);
                } else gathered.clear(i);
            }
        }
        DEVICE float4 element(int i) {
            if (i == 0) gathered.affine.load(p.affine + channel());  // anew for every slice: registers are few here
            return gathered.element(i);
        }
        DEVICE bool hasRow(int) const { return true; }
        DEVICE int64_t partialRow(int row) const {
            return (int64_t(part.number) * 9 + row / channels) * p.channels + blockIdx.y * channels + row % channels;
        }
    };

    static DEVICE void run(const growth_weight_gradient_parameters& p) {
        const Gradient::Part part(p.pixels);
        Source source(p, part, threadIdx.x);
        Gradient::run(source, part, static_cast<const float*>(p.dy), blockIdx.z * outputs, p.outputs, p.partial);
    }
};

// The rows are one image channel's depths, 8 columns of 8 rows of the kernel; its row 7 and its column 7 do not exist, and get zeros. Tiles are runs
// of output pixels through all images.
struct StemWeightGradientFP32 {
    static constexpr int depths = 64, outputs = 64;
    using Gradient = WeightGradientFP32<depths, outputs, 4, 16>;
    using Shared = Gradient::Shared;
    static constexpr int threads = Gradient::threads;

    struct Source {
        const stem_weight_gradient_parameters& p;
        const Gradient::Part& part;
        const int channel, kernelRow, kernelColumn;  // the thread's four depths: from kernelColumn on
        int pixel, imageLoaded;
        PixelWalk walk;
        ImagePixels image;
        float x[Gradient::gathered][4];

        DEVICE Source(const stem_weight_gradient_parameters& p, const Gradient::Part& part, int thread) :
            p(p), part(part), channel(blockIdx.y), kernelRow(thread % Gradient::quads / 2), kernelColumn(thread % 2 * 4),
            pixel(part.first + thread / Gradient::quads), imageLoaded(-1), walk(pixel, (p.height + 1) / 2, (p.width + 1) / 2) {}
        DEVICE void load() {
            const int mapHeight = (p.height + 1) / 2, mapWidth = (p.width + 1) / 2;
            UNROLL for (int i = 0; i < Gradient::gathered; i++, pixel += Gradient::step, walk.advance(Gradient::step, mapHeight, mapWidth)) {
                const bool exists = when(pixel < part.end);
                if (exists && walk.image != imageLoaded) {
                    imageLoaded = walk.image;
                    image.load(p.images + imageLoaded);
                }
                const int line = 2 * walk.line - 3 + kernelRow, column = 2 * walk.column - 3 + kernelColumn;
                const bool hasLine = exists && when(kernelRow < 7) && when(line >= 0) && when(line < p.height);
                UNROLL for (int j = 0; j < 4; j++) {
                    const bool has = hasLine && when(kernelColumn + j < 7) && when(column + j >= 0) && when(column + j < p.width);
                    x[i][j] = has ? image.value(p.table, p.width, channel, line, column + j) : 0;
                }
            }
        }
        DEVICE float4 element(int i) const { return {x[i][0], x[i][1], x[i][2], x[i][3]}; }
        DEVICE bool hasRow(int) const { return true; }
        DEVICE int64_t partialRow(int row) const { return (int64_t(part.number) * p.channels + channel) * depths + row; }
    };

    static DEVICE void run(const stem_weight_gradient_parameters& p) {
        const Gradient::Part part(p.images_count * ((p.height + 1) / 2) * ((p.width + 1) / 2));
        Source source(p, part, threadIdx.x);
        Gradient::run(source, part, static_cast<const float*>(p.dy), blockIdx.z * outputs, p.outputs, p.partial);
    }
};
