// The stem: the 7×7 convolution of stride 2, from images as they are stored.
#pragma once
#include "tile_sums.h"

// A block computes 8 × 16 pixels of one image × 64 outputs, as a product whose depth is channel·64 + row·8 + column: the filter is 8×8, its
// last row and column zero. The normalised patch of one channel lies in shared memory, with the zeros around the image in it. A fragment's
// 16 pixels are one row of the block and its 16 steps of depth are two rows of the filter, so that its words are pairs of neighbours in the
// patch, at even columns. Pixels under the filter's last row or column meet zero weights, so images must be finite.
struct Stem {
    static constexpr int threads = 128, rows = 8, columns = 16, outputs = 64, filter = 7, depth = 64;
    static constexpr int patchRows = 2 * rows + 6, patchColumns = 2 * columns + 6, patchPairs = patchColumns / 2;
    struct Patch {
        uint32_t pairs[patchRows + 2 * threads / patchPairs][patchPairs];   // with room for what the last threads fetch too much
    };
    struct Stage {
        Tile<depth, outputs> weight;
        Patch patch;
    };
    union Shared {
        Stage stage;
        OutputTile<rows * columns, outputs, threads> out;
    };

    // Rows of the output tile are pixels of a rectangle.
    struct Rectangle {
        uint16_t* first;         // the first pixel's outputs
        int64_t stride, width;   // of a pixel; of the map
        int rowsLeft, columnsLeft;
        DEVICE bool inside(int pixel) const { return when(pixel / columns < rowsLeft && pixel % columns < columnsLeft); }
        DEVICE uint16_t* at(int pixel) const { return first + (pixel / columns * width + pixel % columns) * stride; }
    };

    // One channel of an image, seen from a patch whose first row and column in the image are these.
    struct Plane {
        const float* table;   // of bytes
        int kind, pitch, direction, firstRow, firstColumn, height, width;
        int64_t corner;       // the element where the patch's first pixel is, or would be

        template <class Parameters> DEVICE Plane(const Parameters& p, const image_window* image, int channel, int firstRow, int firstColumn) :
            table(p.table + channel * 256), kind(loadGlobal(&image->kind)), pitch(loadGlobal(&image->pitch)),
            direction(loadGlobal(&image->mirrored) ? -1 : 1), firstRow(firstRow), firstColumn(firstColumn), height(p.height), width(p.width) {
            const int64_t plane = kind == IMAGE_GRAY_BYTES ? 0 : channel * loadGlobal(&image->plane);
            const int column = direction < 0 ? width - 1 - firstColumn : firstColumn;
            corner = plane + int64_t(loadGlobal(&image->top) + firstRow) * pitch + loadGlobal(&image->left) + column;
        }

        DEVICE float meaning(float value) const { return value; }
        DEVICE float meaning(uint8_t value) const { return loadGlobal(table + value); }

        // The pixels of two pairs are loaded before the first is used. The patch's last row and column meet nothing but zero weights: they
        // are zero, and so is what is around the image.
        template <class Value> DEVICE void fetch(uint32_t* patch, const Value* pixels, int thread) const {
            for (int first = thread; when(first < patchRows * patchPairs); first += 2 * threads) {
                Value values[4];
                bool inside[4];
                UNROLL for (int i = 0; i < 4; i++) {
                    const int pair = first + i / 2 * threads, row = pair / patchPairs, column = pair % patchPairs * 2 + i % 2;
                    const int y = firstRow + row, x = firstColumn + column;
                    inside[i] = row + 1 < patchRows && column + 1 < patchColumns && when(y >= 0 && y < height && x >= 0 && x < width);
                    values[i] = inside[i] ? loadGlobal(pixels + corner + row * pitch + column * direction) : Value(0);
                }
                UNROLL for (int i = 0; i < 4; i += 2) {
                    const float left = inside[i] ? meaning(values[i]) : 0, right = inside[i + 1] ? meaning(values[i + 1]) : 0;
                    storeShared(patch + first + i / 2 * threads, pack(left, right));
                }
            }
        }

        DEVICE void fill(Patch& patch, const image_window* image, int thread) const {
            const void* pixels = loadGlobal(&image->pixels);
            if (kind == IMAGE_PLANAR_FLOATS) fetch(patch.pairs[0], static_cast<const float*>(pixels), thread);
            else fetch(patch.pairs[0], static_cast<const uint8_t*>(pixels), thread);
        }
    };

    static DEVICE void run(const stem_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        Stage& stage = shared.stage;
        const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
        const int height = (p.height + 1) / 2, width = (p.width + 1) / 2, across = (width + columns - 1) / columns, down = (height + rows - 1) / rows;
        const int firstRow = blockIdx.x / across * rows, firstColumn = blockIdx.x % across * columns;
        const int image = blockIdx.y, firstOutput = blockIdx.z * outputs;

        TileCopy<depth, outputs, threads> weight(p.weight, p.outputs, 0, firstOutput, p.outputs, thread);
        float sum[2][outputs / 8][4] = {};
        for (int channel = 0; channel < p.channels; channel++) {
            barrier();                   // nobody reads the channel before this one any more
            weight.start(stage.weight, depth);
            weight.advanceRows(depth);
            commitCopies();
            const Plane plane(p, p.images + image, channel, firstRow * 2 - filter / 2, firstColumn * 2 - filter / 2);
            plane.fill(stage.patch, p.images + image, thread);
            waitCopies<0>();
            barrier();
            UNROLL for (int k = 0; k < depth; k += 16) {
                uint32_t a[2][4];
                UNROLL for (int i = 0; i < 2; i++) {
                    const uint32_t* corner = &stage.patch.pairs[2 * (warp * 2 + i) + k / 8][lane / 4 + lane % 4];
                    a[i][0] = loadShared(corner);
                    a[i][1] = loadShared(corner + 8);
                    a[i][2] = loadShared(corner + patchPairs);
                    a[i][3] = loadShared(corner + patchPairs + 8);
                }
                UNROLL for (int j = 0; j < outputs / 16; j++) {
                    uint32_t b[4];
                    loadMatrixTransposed(b, stage.weight.at(k + alongRow(lane), j * 2 + alongChunk(lane)));
                    UNROLL for (int i = 0; i < 2; i++) {
                        multiply(sum[i][2 * j], a[i], b[0], b[1]);
                        multiply(sum[i][2 * j + 1], a[i], b[2], b[3]);
                    }
                }
            }
        }
        barrier();                       // the stage becomes the output tile

        const int left = p.outputs - firstOutput, rowsLeft = height - firstRow, columnsLeft = width - firstColumn;
        shared.out.put(sum, warp * 32, 0, p.bias ? p.bias + firstOutput : nullptr, left, lane);
        const int64_t firstPixel = (int64_t(image) * height + firstRow) * width + firstColumn;
        const Rectangle pixels{static_cast<uint16_t*>(p.y) + firstPixel * p.outputs + firstOutput, p.outputs, width, rowsLeft, columnsLeft};
        tile_sums* totals = p.sums ? p.sums + (int64_t(image) * across * down + blockIdx.x) * p.outputs + firstOutput : nullptr;
        shared.out.finish(pixels, (rowsLeft < rows ? rowsLeft : rows) * (columnsLeft < columns ? columnsLeft : columns), left, totals, thread);
    }
};
