// The statistics of a tile whose values are in registers: for each column the sum, and the squares about the tile's own mean.
//
// Two passes over the registers. Squares about the mean and not about zero: of values of mean 10⁴ and deviation 1, Σx² has no digit left of the
// variance. The order is fixed: a thread adds up its rows, then the groups of threads are added up in their order.
#pragma once
#include "device.h"

template <int Groups, int Columns> struct ColumnSums {
    float sums[Groups][Columns], squares[Groups][Columns];

    // Four columns, added up over the groups.
    static DEVICE float4 total(const float (*parts)[Columns], int column) {
        float4 sum = loadShared(reinterpret_cast<const float4*>(&parts[0][column]));
        for (int g = 1; g < Groups; g++) {
            const float4 v = loadShared(reinterpret_cast<const float4*>(&parts[g][column]));
            sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
        }
        return sum;
    }

    // value[r][4·i + j] is this thread's row r of column firstColumn + i·Step + j; a row whose bit of `inside` is not set does not exist, and is
    // zero. `out` has the tile's columns, of which columnsLeft exist (32 do). All threads of the block come here.
    template <int Step, int Rows, int Width>
    DEVICE void store(const float (&value)[Rows][Width], unsigned inside, int group, int firstColumn, int count, tile_sums* out, int columnsLeft) {
        UNROLL for (int i = 0; i < Width / 4; i++) {
            float part[4] = {};
            UNROLL for (int r = 0; r < Rows; r++) UNROLL for (int j = 0; j < 4; j++) part[j] += value[r][4 * i + j];
            storeShared(reinterpret_cast<float4*>(&sums[group][firstColumn + i * Step]), float4{part[0], part[1], part[2], part[3]});
        }
        barrier();
        float4 sum[Width / 4];
        UNROLL for (int i = 0; i < Width / 4; i++) {
            sum[i] = total(sums, firstColumn + i * Step);
            const float mean[4] = {sum[i].x / float(count), sum[i].y / float(count), sum[i].z / float(count), sum[i].w / float(count)};
            float part[4] = {};
            UNROLL for (int r = 0; r < Rows; r++) UNROLL for (int j = 0; j < 4; j++) {
                const float difference = when(inside >> r & 1) ? value[r][4 * i + j] - mean[j] : 0;
                part[j] = fmaf(difference, difference, part[j]);
            }
            storeShared(reinterpret_cast<float4*>(&squares[group][firstColumn + i * Step]), float4{part[0], part[1], part[2], part[3]});
        }
        barrier();
        if (group == 0) {
            UNROLL for (int i = 0; i < Width / 4; i++) {
                const int column = firstColumn + i * Step;
                if (Columns > 32 && !when(column < columnsLeft)) continue;
                const float4 square = total(squares, column);
                float4* target = reinterpret_cast<float4*>(out + column);
                storeGlobal(target, float4{float(count), sum[i].x, square.x, 0});
                storeGlobal(target + 1, float4{float(count), sum[i].y, square.y, 0});
                storeGlobal(target + 2, float4{float(count), sum[i].z, square.z, 0});
                storeGlobal(target + 3, float4{float(count), sum[i].w, square.w, 0});
            }
        }
    }
};
