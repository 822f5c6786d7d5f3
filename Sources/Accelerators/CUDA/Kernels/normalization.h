// Batch norm: the tiles' sums become the batch's moments, and those, or the running ones, become scale and shift. All of it in double.
#pragma once
#include "channel_map.h"

// A block takes eight lanes, whose sums lie side by side in memory: many blocks, since there are thousands of tiles. Where the lanes are fresh, it adds
// up their tiles first: row r of its threads takes the tiles r, r + 64, …, then the rows are added up in their order. Two passes, so that squares are
// about the mean of all (Chan, Golub, LeVeque 1979): M = Σ squares + Σ count · (sum/count − mean)². Then a thread takes a lane.
struct Normalization {
    static constexpr int threads = 512, columns = 8, rows = threads / columns;
    struct Shared {
        double counts[rows][columns], sums[rows][columns], squares[rows][columns];
    };

    static DEVICE double total(const double (*parts)[columns], int column) {
        double sum = loadShared(&parts[0][column]);
        for (int r = 1; r < rows; r++) sum += loadShared(&parts[r][column]);
        return sum;
    }

    // Of a lane, in the threads of row 0. All threads of the block come here.
    static DEVICE batch_moments moments(const tile_sums* sums, int lanes, int count_of_tiles, int column, int row) {
        Shared& shared = sharedMemory<Shared>();
        const float4* tiles = reinterpret_cast<const float4*>(sums);  // count, sum, squares

        double count = 0, sum = 0;
        for (int i = row; when(i < count_of_tiles); i += rows) {
            const float4 tile = loadGlobal(tiles + int64_t(i) * lanes);
            if (!(tile.x > 0)) continue;
            count += double(tile.x);
            sum += double(tile.y);
        }
        storeShared(&shared.counts[row][column], count);
        storeShared(&shared.sums[row][column], sum);
        barrier();
        count = total(shared.counts, column);
        const double mean = total(shared.sums, column) / count;

        double squares = 0;
        for (int i = row; when(i < count_of_tiles); i += rows) {
            const float4 tile = loadGlobal(tiles + int64_t(i) * lanes);
            if (!(tile.x > 0)) continue;
            const double difference = double(tile.y) / double(tile.x) - mean;
            squares += fma(double(tile.x) * difference, difference, double(tile.z));
        }
        storeShared(&shared.squares[row][column], squares);
        barrier();
        return {mean, row == 0 ? total(shared.squares, column) / count : 0};
    }

    // (1 − momentum) · running + momentum · batch
    static DEVICE float moved(float running, double batch, double momentum) {
        return float(fma(1 - momentum, double(running), momentum * batch));
    }

    static DEVICE void run(const normalization_parameters& p) {
        const int column = threadIdx.x % columns, row = threadIdx.x / columns;
        const int first = blockIdx.x * columns, lane = first + column, fresh = first - p.first_fresh;
        batch_moments batch{};
        if (when(fresh >= 0) && when(fresh < p.fresh)) {
            batch = moments(p.sums + fresh + column, p.fresh, p.tiles, column, row);
            if (row == 0) storeGlobal(p.moments + lane, batch);
        } else if (p.moments && row == 0) {
            batch = loadGlobal(p.moments + lane);
        }
        if (row != 0) return;

        const int channel = channelOf(p.map, lane);
        float scale = 0, shift = 0;
        if (when(channel >= 0)) {
            double mean = batch.mean, variance = batch.variance;
            if (p.moments) {
                const double unbiased = variance * (double(p.count) / double(p.count > 1 ? p.count - 1 : 1));
                storeGlobal(p.running_mean + channel, moved(loadGlobal(p.running_mean + channel), mean, p.momentum));
                storeGlobal(p.running_variance + channel, moved(loadGlobal(p.running_variance + channel), unbiased, p.momentum));
            } else {
                mean = double(loadGlobal(p.running_mean + channel));
                variance = double(loadGlobal(p.running_variance + channel));
            }
            const double factor = double(loadGlobal(p.scale + channel)) * (1 / sqrt(variance + p.epsilon));
            scale = float(factor);
            shift = float(fma(-mean, factor, double(loadGlobal(p.shift + channel))));
        }
        storeGlobal(&p.affine[lane].scale, scale);
        storeGlobal(&p.affine[lane].shift, shift);
        if (p.shifts) storeGlobal(p.shifts + lane, shift);
    }
};
