// The network's convolutions in exact fp32: what each of them gathers.
#pragma once
#include "convolution_fp32.h"

// A tile of consecutive pixels of the batch.
template <int Pixels> struct PixelRun {
    const int first, pixels;

    DEVICE explicit PixelRun(int pixels) : first(blockIdx.x * Pixels), pixels(pixels) {}
    DEVICE bool inside(int row) const { return when(first + row < pixels); }
    DEVICE int64_t pixel(int row) const { return first + row; }
    DEVICE int count() const { return pixels - first < Pixels ? pixels - first : Pixels; }
    DEVICE int tile() const { return blockIdx.x; }
};

// Four channels of some rows, normalised as they leave. A row that is not there is zero, which relu(shift) is not.
template <bool Normalises, int Rows> struct GatheredChannels {
    float x[Rows][4];
    unsigned present;
    Affine<4> affine;

    DEVICE float4 element(int i) const {
        float v[4] = {x[i][0], x[i][1], x[i][2], x[i][3]};
        if constexpr (Normalises)
            if (when(present >> i & 1)) affine.applyRectified(v);
        return {v[0], v[1], v[2], v[3]};
    }
    DEVICE void clear(int i) { UNROLL for (int j = 0; j < 4; j++) x[i][j] = 0; }
};

// One pixel a row: k runs through its channels.
template <class Convolution, int Pixels, bool Normalises> struct PointwiseRows : PixelRun<Pixels> {
    static constexpr int rowStep = Convolution::threads / Convolution::chunks;
    GatheredChannels<Normalises, Convolution::gathered> gathered;
    const float* x;
    const affine_pair* affine;
    const int64_t step;

    DEVICE PointwiseRows(const void* map, const affine_pair* affines, int pixels, int stride, int thread) :
        PixelRun<Pixels>(pixels), step(int64_t(rowStep) * stride) {
        const int row = thread / Convolution::chunks, channel = thread % Convolution::chunks * 4;
        x = static_cast<const float*>(map) + int64_t(this->first + row) * stride + channel;
        affine = affines + channel;
        gathered.present = 0;
        UNROLL for (int i = 0; i < Convolution::gathered; i++) gathered.present |= unsigned(this->inside(row + i * rowStep)) << i;
    }
    DEVICE void load(int slice) {
        UNROLL for (int i = 0; i < Convolution::gathered; i++)
            if (when(gathered.present >> i & 1)) loadElements(x + i * step + slice * Convolution::depth, gathered.x[i]);
            else gathered.clear(i);
        if constexpr (Normalises) gathered.affine.load(affine + slice * Convolution::depth);
    }
    DEVICE float4 element(int i) const { return gathered.element(i); }
};

// A pixel and those around it a row, in maps of any width: k runs through the channels of one tap after the other, and each tap's pixels are
// fetched anew.
template <class Convolution, int Pixels, bool Normalises> struct GrowthRows : PixelRun<Pixels> {
    static constexpr int rowStep = Convolution::threads / Convolution::chunks;
    GatheredChannels<Normalises, Convolution::gathered> gathered;
    const float* x;
    const affine_pair* affine;
    const int channels, width, slicesOfTap;
    unsigned taps[Convolution::gathered];  // bit t: tap t of the row's pixel lies in its image

    DEVICE GrowthRows(const void* map, const affine_pair* affines, int pixels, int height, int width, int channels, int thread) :
        PixelRun<Pixels>(pixels), channels(channels), width(width), slicesOfTap(channels / Convolution::depth) {
        const int row = thread / Convolution::chunks, channel = thread % Convolution::chunks * 4;
        x = static_cast<const float*>(map) + int64_t(this->first + row) * channels + channel;
        affine = affines + channel;
        UNROLL for (int i = 0; i < Convolution::gathered; i++) {
            const int pixel = this->first + row + i * rowStep, column = pixel % width, line = pixel / width % height;
            unsigned across = 2, along = 2;  // bits −1, 0, 1
            if (when(column > 0)) across |= 1;
            if (when(column + 1 < width)) across |= 4;
            if (when(line > 0)) along |= 1;
            if (when(line + 1 < height)) along |= 4;
            taps[i] = (along & 1 ? across : 0) | across << 3 | (along & 4 ? across << 6 : 0);
            if (!this->inside(row + i * rowStep)) taps[i] = 0;
        }
    }
    DEVICE void load(int slice) {
        const int tap = slice / slicesOfTap, channel = (slice - tap * slicesOfTap) * Convolution::depth;
        const float* from = x + int64_t((tap / 3 - 1) * width + tap % 3 - 1) * channels + channel;
        gathered.present = 0;
        UNROLL for (int i = 0; i < Convolution::gathered; i++) {
            if (when(taps[i] >> tap & 1)) {
                gathered.present |= 1u << i;
                loadElements(from + int64_t(i * rowStep) * channels, gathered.x[i]);
            } else gathered.clear(i);
        }
        if constexpr (Normalises) gathered.affine.load(affine + channel);
    }
    DEVICE float4 element(int i) const { return gathered.element(i); }
};

// 1×1, without a limit on channels or outputs; 128 of those a block.
template <bool Normalises> struct PointwiseFP32 {
    static constexpr int pixels = 64, outputs = 128;
    using Convolution = ConvolutionFP32<pixels, outputs, 8>;
    using Shared = typename Convolution::Shared;
    static constexpr int threads = Convolution::threads;

    static DEVICE void run(const pointwise_parameters& p) {
        PointwiseRows<Convolution, pixels, Normalises> source(p.x, p.affine, p.pixels, p.x_stride, threadIdx.x);
        Convolution::run(source, static_cast<const float*>(p.weight), p.channels / Convolution::depth, blockIdx.y * outputs,
            {static_cast<float*>(p.y), p.bias, p.sums, p.outputs, p.y_stride});
    }
};

// 3×3.
template <bool Normalises> struct GrowthFP32 {
    static constexpr int pixels = 64, outputs = 32;
    using Convolution = ConvolutionFP32<pixels, outputs, 4>;
    using Shared = typename Convolution::Shared;
    static constexpr int threads = Convolution::threads;

    static DEVICE void run(const growth_parameters& p) {
        GrowthRows<Convolution, pixels, Normalises> source(p.x, p.affine, p.pixels, p.height, p.width, p.channels, threadIdx.x);
        Convolution::run(source, static_cast<const float*>(p.weight), 9 * p.channels / Convolution::depth, blockIdx.y * outputs,
            {static_cast<float*>(p.y), nullptr, p.sums, p.outputs, p.y_stride});
    }
};

// Where an image's pixels are, in registers.
struct ImagePixels {
    const void* planes;
    int64_t plane;
    int kind, pitch, top, left, mirrored;

    DEVICE void load(const image_window* window) {
        planes = loadGlobal(&window->pixels);
        plane = loadGlobal(&window->plane);
        kind = loadGlobal(&window->kind), pitch = loadGlobal(&window->pitch);
        top = loadGlobal(&window->top), left = loadGlobal(&window->left), mirrored = loadGlobal(&window->mirrored);
    }
    DEVICE float value(const float* table, int width, int channel, int line, int column) const {
        const int64_t at = int64_t(top + line) * pitch + left + (mirrored ? width - 1 - column : column);
        if (kind == IMAGE_PLANAR_FLOATS) return loadGlobal(static_cast<const float*>(planes) + channel * plane + at);
        const int64_t from = kind == IMAGE_GRAY_BYTES ? at : channel * plane + at;
        return loadGlobal(table + channel * 256 + loadGlobal(static_cast<const uint8_t*>(planes) + from));
    }
};

// 7×7 of stride 2 from the images: a tile is 8 × 16 output pixels of one of them. A slice of k is two rows of the kernel, 8 columns wide; its row
// 7 and its column 7 do not exist.
struct StemFP32 {
    static constexpr int height = 8, width = 16, pixels = height * width, outputs = 64;
    using Convolution = ConvolutionFP32<pixels, outputs, 8>;
    using Shared = Convolution::Shared;
    static constexpr int threads = Convolution::threads, rowStep = threads / Convolution::chunks;
    static_assert(Convolution::depth == 16 && rowStep % width == 0, "load() takes both for granted");

    struct Source {
        const stem_parameters& p;
        const int mapHeight, mapWidth, tilesAcross, firstLine, firstColumn, image;
        const int firstRow;                 // of the tile
        const int kernelRow, kernelColumn;  // the thread's four k: kernelRow of the slice's two rows, from kernelColumn on
        ImagePixels pixelsOfImage;
        float x[Convolution::gathered][4];

        DEVICE Source(const stem_parameters& p, int thread) :
            p(p), mapHeight((p.height + 1) / 2), mapWidth((p.width + 1) / 2), tilesAcross((mapWidth + width - 1) / width),
            firstLine(int(blockIdx.x) / tilesAcross * height), firstColumn(int(blockIdx.x) % tilesAcross * width), image(blockIdx.y),
            firstRow(thread / Convolution::chunks), kernelRow(thread % Convolution::chunks / 2), kernelColumn(thread % 2 * 4) {
            pixelsOfImage.load(p.images + image);
        }
        DEVICE void load(int slice) {
            const int channel = slice / 4, tap = slice % 4 * 2 + kernelRow;
            UNROLL for (int i = 0; i < Convolution::gathered; i++) {
                const int line = 2 * (firstLine + (firstRow + i * rowStep) / width) - 3 + tap;
                const int column = 2 * (firstColumn + firstRow % width) - 3 + kernelColumn;
                const bool hasLine = inside(firstRow + i * rowStep) && tap < 7 && when(line >= 0) && when(line < p.height);
                UNROLL for (int j = 0; j < 4; j++) {
                    const bool has = hasLine && kernelColumn + j < 7 && when(column + j >= 0) && when(column + j < p.width);
                    x[i][j] = has ? pixelsOfImage.value(p.table, p.width, channel, line, column + j) : 0;
                }
            }
        }
        DEVICE float4 element(int i) const { return {x[i][0], x[i][1], x[i][2], x[i][3]}; }
        DEVICE bool inside(int row) const { return when(firstLine + row / width < mapHeight) && when(firstColumn + row % width < mapWidth); }
        DEVICE int64_t pixel(int row) const { return (int64_t(image) * mapHeight + firstLine + row / width) * mapWidth + firstColumn + row % width; }
        DEVICE int count() const {
            const int lines = mapHeight - firstLine, columns = mapWidth - firstColumn;
            return (lines < height ? lines : height) * (columns < width ? columns : width);
        }
        DEVICE int tile() const { return image * gridDim.x + blockIdx.x; }
    };

    static DEVICE void run(const stem_parameters& p) {
        Source source(p, threadIdx.x);
        Convolution::run(source, static_cast<const float*>(p.weight), p.channels * 64 / Convolution::depth, blockIdx.z * outputs,
            {static_cast<float*>(p.y), p.bias, p.sums, p.outputs, p.outputs});
    }
};
