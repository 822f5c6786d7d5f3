// The backward pass of the stem: the gradient of its weights. Nobody wants that of the images.
#pragma once
#include "stem.h"
#include "weight_tiles.h"

// A block computes the 64 rows of depth of one channel × 64 outputs, a warp two rows of the filter × 64 outputs, over tiles of 8 × 16 pixels. The
// 16 steps of a fragment are one row of a tile, and its rows are neighbours in the patch: a word of it takes the same half of two words of the
// patch. Pixels of a tile that are not in the map have no dy. The filter's last row and column, which do not exist, get something finite.
struct StemWeightGradient {
    static constexpr int threads = Stem::threads, rows = Stem::rows, columns = Stem::columns, outputs = 64, depth = Stem::depth;
    struct Stage {
        Tile<rows * columns, outputs> dy;
        Stem::Patch patch;
    };
    struct Shared {
        Stage stages[2];
    };

    static DEVICE void run(const stem_weight_gradient_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
        const int height = (p.height + 1) / 2, width = (p.width + 1) / 2, across = (width + columns - 1) / columns, down = (height + rows - 1) / rows;
        const int channel = blockIdx.y, firstOutput = blockIdx.z * outputs, chunk = thread % 8;
        const PartOfTiles part(p.images_count * across * down);

        const uint16_t* dy = static_cast<const uint16_t*>(p.dy) + firstOutput + chunk * 8;
        const bool inside = when(firstOutput + chunk * 8 < p.outputs);
        auto start = [&](int tile) {
            if (when(tile < part.end)) {
                Stage& stage = shared.stages[tile % 2];
                const int image = tile / (across * down), firstRow = tile / across % down * rows, firstColumn = tile % across * columns;
                const int64_t firstPixel = (int64_t(image) * height + firstRow) * width + firstColumn;
                UNROLL for (int i = 0; i < rows * columns / (threads / 8); i++) {
                    const int pixel = thread / 8 + i * (threads / 8), row = pixel / columns, column = pixel % columns;
                    copyAsync16(stage.dy.at(pixel, chunk), dy + (firstPixel + int64_t(row) * width + column) * p.outputs,
                                inside && when(firstRow + row < height && firstColumn + column < width));
                }
                const Stem::Plane plane(p, p.images + image, channel, firstRow * 2 - Stem::filter / 2, firstColumn * 2 - Stem::filter / 2);
                plane.fill(stage.patch, p.images + image, thread);
            }
            commitCopies();
        };
        start(part.first);

        const int filterColumn = lane / 4, shift = filterColumn % 2 * 16;
        float sum[outputs / 8][4] = {};
        for (int tile = part.first; tile < part.end; tile++) {
            waitCopies<0>();
            barrier();                   // this tile is there, and nobody reads the one before it any more
            start(tile + 1);
            Stage& stage = shared.stages[tile % 2];
            UNROLL for (int row = 0; row < rows; row++) {
                uint32_t a[4];
                UNROLL for (int r = 0; r < 4; r++) {
                    const uint32_t* words = &stage.patch.pairs[2 * row + 2 * warp + r % 2][r / 2 * 8 + lane % 4 * 2 + filterColumn / 2];
                    a[r] = (loadShared(words) >> shift & 0xffff) | loadShared(words + 1) >> shift << 16;
                }
                UNROLL for (int j = 0; j < outputs / 16; j++) {
                    uint32_t b[4];
                    loadMatrixTransposed(b, stage.dy.at(row * columns + alongRow(lane), j * 2 + alongChunk(lane)));
                    multiply(sum[2 * j], a, b[0], b[1]);
                    multiply(sum[2 * j + 1], a, b[2], b[3]);
                }
            }
        }
        const int64_t first = (int64_t(blockIdx.x) * p.channels + channel) * depth + warp * 16;
        UNROLL for (int j = 0; j < outputs / 8; j++)
            if (when(firstOutput + j * 8 < p.outputs)) storePartial(sum[j], p.partial + first * p.outputs + firstOutput + j * 8, p.outputs, lane);
    }
};
