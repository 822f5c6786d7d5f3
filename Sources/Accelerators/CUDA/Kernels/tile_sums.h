// The end of every bf16 convolution: accumulators become a tile of bf16 in shared memory, the tile goes to memory, and its sums are taken.
#pragma once
#include "tile.h"

// Statistics are of the values as stored, in two passes: squared differences from the tile's own mean, since Σv² − (Σv)²/n would cancel where
// the mean is large. A thread holds one pair of columns in every `groups`-th row; then the groups are added in order, so that the same tile
// gives the same bits. `Values` is a tile of that size, by its rows and chunks, and its pairs.
template <int Rows, int Columns, int Threads, class Values = Tile<Rows, Columns>> struct OutputTile {
    static constexpr int pairs = Columns / 2, groups = Threads / pairs, held = Rows / groups;
    static_assert(Threads % pairs == 0 && Rows % groups == 0 && Columns <= Threads, "every thread holds equally much");
    Values tile;
    float sums[groups][Columns], squares[groups][Columns];

    // A warp's accumulators, whose first row and column are these of the tile, and between whose parts are so many rows: plain, or relu(… + bias) where
    // there is a bias.
    template <int RowStep = 16, int RowTiles, int ColumnTiles>
    DEVICE void put(const float (&sum)[RowTiles][ColumnTiles][4], int firstRow, int firstColumn, const float* bias, int columns, int lane) {
        UNROLL for (int j = 0; j < ColumnTiles; j++) {
            const int column = firstColumn + j * 8 + lane % 4 * 2;
            float2 b{0, 0};
            if (bias && when(column < columns)) b = loadGlobal(reinterpret_cast<const float2*>(bias + column));
            UNROLL for (int i = 0; i < RowTiles; i++) UNROLL for (int half = 0; half < 2; half++) {
                const float low = sum[i][j][half * 2], high = sum[i][j][half * 2 + 1];
                storeShared(tile.pair(firstRow + i * RowStep + half * 8 + lane / 4, column), bias ? packRectified(low + b.x, high + b.y) : pack(low, high));
            }
        }
    }

    // To memory: `columns` of the tile, and of its rows the `count` that are rows.inside(row), whose outputs begin at rows.at(row).
    // `totals` [columns] are this tile's, or null.
    template <class Map> DEVICE void finish(const Map& rows, int count, int columns, tile_sums* totals, int thread) {
        barrier();
        constexpr int chunks = Columns / 8;
        UNROLL for (int i = 0; i < Rows * chunks / Threads; i++) {
            const int row = (thread + i * Threads) / chunks, chunk = (thread + i * Threads) % chunks;
            if (rows.inside(row) && when(chunk * 8 < columns))
                storeGlobal(reinterpret_cast<uint4*>(rows.at(row)) + chunk, loadShared(tile.at(row, chunk)));
        }
        sum(rows, count, columns, totals, thread);
    }

    // Behind a barrier that follows `put`.
    template <class Map> DEVICE void sum(const Map& rows, int count, int columns, tile_sums* totals, int thread) {
        const int group = thread / pairs, column = thread % pairs * 2;
        uint32_t values[held];
        if (totals) {
            float2 sum{0, 0};
            UNROLL for (int i = 0; i < held; i++) {
                const int row = i * groups + group;
                values[i] = rows.inside(row) ? loadShared(tile.pair(row, column)) : 0;
                sum.x += lowHalf(values[i]);
                sum.y += highHalf(values[i]);
            }
            storeShared(reinterpret_cast<float2*>(&sums[group][column]), sum);
        }
        barrier();
        if (totals) {
            float2 mean{0, 0}, square{0, 0};
            UNROLL for (int g = 0; g < groups; g++) {
                const float2 sum = loadShared(reinterpret_cast<const float2*>(&sums[g][column]));
                mean.x += sum.x;
                mean.y += sum.y;
            }
            mean.x /= float(count);
            mean.y /= float(count);
            UNROLL for (int i = 0; i < held; i++) {
                const bool inside = rows.inside(i * groups + group);
                const float low = inside ? lowHalf(values[i]) - mean.x : 0, high = inside ? highHalf(values[i]) - mean.y : 0;
                square.x = fmaf(low, low, square.x);
                square.y = fmaf(high, high, square.y);
            }
            storeShared(reinterpret_cast<float2*>(&squares[group][column]), square);
        }
        barrier();
        if (totals && when(thread < columns && thread < Columns)) {
            float sum = 0, square = 0;
            UNROLL for (int g = 0; g < groups; g++) {
                sum += loadShared(&sums[g][thread]);
                square += loadShared(&squares[g][thread]);
            }
            storeGlobal(reinterpret_cast<float4*>(totals + thread), float4{float(count), sum, square, 0});
        }
    }
};

// Rows of a tile that are consecutive pixels.
struct ConsecutivePixels {
    uint16_t* first;   // the first pixel's outputs
    int64_t stride;
    int left;          // pixels from the first on
    DEVICE bool inside(int row) const { return when(row < left); }
    DEVICE uint16_t* at(int row) const { return first + row * stride; }
};
