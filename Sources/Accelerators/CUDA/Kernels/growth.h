// The 3×3 convolution of a dense layer, which makes its new channels.
//
// Pixels are numbered through the whole batch: the neighbour of pixel p at row offset r and column offset c is p + r·width + c. So a tile is any run
// of pixels, and its halo is three runs, each one pixel longer on either side, `width` pixels apart. A tap that leaves the image reads a row of zeros
// instead: the padding comes after the activation.
#pragma once
#include "tile_sums.h"

constexpr int taps = 9;

// Bit t: tap t (row t / 3 − 1, column t % 3 − 1) of this pixel lies inside the image.
DEVICE unsigned validTaps(int pixel, int height, int width) {
    const int column = pixel % width, row = pixel / width % height;
    const unsigned columns = (when(column > 0) ? 1 : 0) | 2 | (when(column + 1 < width) ? 4 : 0);
    return (when(row > 0) ? columns : 0) | columns << 3 | (when(row + 1 < height) ? columns << 6 : 0);
}

// A warp's outputs: 16 · RowTiles pixels × 32. Each is summed over slices of 32 channels, in a slice over taps, in a tap over steps of 16, whatever
// the instance.
template <int RowTiles> struct GrowthProducts {
    float sum[RowTiles][4][4] = {};

    // Both stand before the barrier behind which a slice is multiplied: then what was copied may be read, and what was multiplied overwritten. Behind
    // the last slice `finish` stands alone, and the sums are there.
    static DEVICE void publish() {}
    static DEVICE void finish() {}

    // sum += activations · weights of a tap; this lane points ldmatrix to these rows of the activations.
    template <class Stage> DEVICE void add(Stage& stage, int tap, const int (&row)[RowTiles], int lane) {
        UNROLL for (int k = 0; k < Stage::depth; k += 16) {
            uint32_t a[RowTiles][4];
            UNROLL for (int i = 0; i < RowTiles; i++) loadMatrix(a[i], stage.x.at(row[i], k / 8 + alongChunk(lane)));
            UNROLL for (int j = 0; j < 2; j++) {
                uint32_t b[4];
                loadMatrixTransposed(b, stage.weight.at(tap * Stage::depth + k + alongRow(lane), j * 2 + alongChunk(lane)));
                UNROLL for (int i = 0; i < RowTiles; i++) {
                    multiply(sum[i][2 * j], a[i], b[0], b[1]);
                    multiply(sum[i][2 * j + 1], a[i], b[2], b[3]);
                }
            }
        }
    }
};

// Where a lane points ldmatrix to: to rows of the halo as Growth has them in shared memory, or where the tap leaves the image to one of eight rows of
// zeros from `ZeroRow` on, that in the same banks as the row it replaces.
template <int RowTiles, int ZeroRow> struct TapRows {
    const int first, pitch;
    unsigned valid[RowTiles];
    DEVICE TapRows(const growth_parameters& p, int firstPixel, int warpPixel, int pitch, int lane) : first(warpPixel + alongRow(lane)), pitch(pitch) {
        UNROLL for (int i = 0; i < RowTiles; i++) valid[i] = validTaps(firstPixel + first + i * 16, p.height, p.width);
    }
    DEVICE void find(int tap, int (&row)[RowTiles]) const {
        UNROLL for (int i = 0; i < RowTiles; i++) {
            row[i] = first + i * 16 + tap / 3 * pitch + tap % 3;
            if (!(valid[i] >> tap & 1)) row[i] = ZeroRow + (row[i] & 7);
        }
    }
};

// A block's sums become its outputs, in shared memory that nobody uses any more.
template <int Pixels, int Outputs, int Threads, int RowTiles>
DEVICE void finishGrowth(const growth_parameters& p, OutputTile<Pixels, Outputs, Threads>& out, const float (&sum)[RowTiles][4][4]) {
    const int thread = threadIdx.x, firstPixel = blockIdx.x * Pixels, firstOutput = blockIdx.y * Outputs, pixelsLeft = p.pixels - firstPixel;
    out.put(sum, thread / 32 * RowTiles * 16, 0, nullptr, Outputs, thread % 32);
    const ConsecutivePixels rows{static_cast<uint16_t*>(p.y) + int64_t(firstPixel) * p.y_stride + firstOutput, p.y_stride, pixelsLeft};
    tile_sums* totals = p.sums ? p.sums + int64_t(blockIdx.x) * p.outputs + firstOutput : nullptr;
    out.finish(rows, pixelsLeft < Pixels ? pixelsLeft : Pixels, Outputs, totals, thread);
}

// In shared memory, run r of the halo begins at row r·pitch, where pitch = min(width, Pixels + 2): runs that overlap in the map share their rows, runs
// with a gap between them leave the gap out. So tap (r, c) of the tile's pixel i is row i + r·pitch + c, at any width. `Pitch` is the largest
// pitch an instance has room for; Pixels + 2 is enough for every width.
template <int Pixels, int Pitch, bool Normalises, template <int> class Products = GrowthProducts> struct Growth {
    static constexpr int threads = Pixels < 128 ? 128 : 256, warps = threads / 32, depth = 32, outputs = 32;
    static constexpr int rows = Pixels + 2 * Pitch + 2, rowTiles = Pixels / warps / 16;
    static constexpr int zeroRow = (rows + 7) / 8 * 8;
    static_assert(Pitch <= Pixels + 2, "no width needs more");
    struct Stage {
        static constexpr int depth = Growth::depth;
        Tile<zeroRow + 8, depth> x;
        Tile<taps * depth, outputs> weight;
    };
    struct Shared {
        union {
            Stage stages[2];
            OutputTile<Pixels, outputs, threads> out;
        };
        alignas(16) affine_pair affine[2][depth];
    };

    static DEVICE void run(const growth_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, lane = thread % 32, warpPixel = thread / 32 * (Pixels / warps);
        const int firstPixel = blockIdx.x * Pixels, firstOutput = blockIdx.y * outputs;
        const int pitch = Pitch < Pixels + 2 || p.width < Pixels + 2 ? p.width : Pixels + 2, gap = Pitch < Pixels + 2 ? 0 : p.width - pitch;
        const int haloPixel = firstPixel - p.width - 1, haloRows = Pixels + 2 * pitch + 2;
        const int slices = p.channels / depth, chunk = thread % 4;   // this thread's rows are thread / 4, + threads / 4, ...

        const uint16_t* x = static_cast<const uint16_t*>(p.x) + chunk * 8;
        const uint16_t* weight = static_cast<const uint16_t*>(p.weight) + firstOutput + chunk * 8;
        auto start = [&](int slice) {
            if (when(slice < slices)) {
                Stage& stage = shared.stages[slice % 2];
                for (int row = thread / 4; when(row < haloRows); row += threads / 4) {
                    const int pixel = haloPixel + row + row / (Pixels + 2) * gap;   // without a gap the runs are one
                    copyAsync16(stage.x.at(row, chunk), x + int64_t(pixel) * p.channels + slice * depth, when(pixel >= 0 && pixel < p.pixels));
                }
                for (int row = thread / 4; when(row < taps * depth); row += threads / 4)
                    copyAsync16(stage.weight.at(row, chunk), weight + int64_t(row / depth * p.channels + slice * depth + row % depth) * p.outputs,
                                true);
                // The next slice's affine, so that the barrier that follows this slice's copies shows it to all.
                if (Normalises && when(slice + 1 < slices) && when(thread < depth / 2))
                    copyAsync16(&shared.affine[(slice + 1) % 2][2 * thread], p.affine + (slice + 1) * depth + 2 * thread, true);
            }
            commitCopies();
        };
        start(0);
        if (when(thread < 64)) storeShared(shared.stages[thread / 32].x.at(zeroRow + thread % 32 / 4, chunk), uint4{0, 0, 0, 0});
        const TapRows<rowTiles, zeroRow> tapRows(p, firstPixel, warpPixel, pitch, lane);
        if constexpr (Normalises) {
            if (when(thread < depth / 2))
                storeShared(reinterpret_cast<float4*>(shared.affine[0]) + thread, loadGlobal(reinterpret_cast<const float4*>(p.affine) + thread));
            barrier();                   // everybody needs the first slice's affine before the barrier in the loop
        }

        Products<rowTiles> products;
        for (int slice = 0; slice < slices; slice++) {
            Stage& stage = shared.stages[slice % 2];
            waitCopies<0>();
            if constexpr (Normalises)
                for (int row = thread / 4; when(row < haloRows); row += threads / 4)   // each thread treats what it copied itself
                    storeShared(stage.x.at(row, chunk), normaliseRectify(loadShared(stage.x.at(row, chunk)), shared.affine[slice % 2] + chunk * 8));
            products.publish();
            products.finish();
            barrier();
            start(slice + 1);
            UNROLL for (int tap = 0; tap < taps; tap++) {
                int row[rowTiles];
                tapRows.find(tap, row);
                products.add(stage, tap, row, lane);
            }
        }
        products.finish();
        barrier();                       // the stages become the output tile; no copy is under way
        finishGrowth(p, shared.out, products.sum);
    }
};
