// Batch norm's backward, but for the term that is a map: its parameters' gradients, and what its lanes owe. All of it in double.
#pragma once
#include "channel_map.h"

// A block takes eight lanes; row r of its threads takes the parts r, r + 32, …, then the rows are added up in their order. What is added to is rounded
// once.
struct NormalizationGradient {
    static constexpr int threads = 256, columns = 8, rows = threads / columns;
    struct Shared {
        double gradients[rows][columns], products[rows][columns];
    };

    static DEVICE double total(const double (*parts)[columns], int column) {
        double sum = loadShared(&parts[0][column]);
        for (int r = 1; r < rows; r++) sum += loadShared(&parts[r][column]);
        return sum;
    }
    static DEVICE void add(float* to, double value) { storeGlobal(to, float(double(loadGlobal(to)) + value)); }

    static DEVICE void run(const normalization_gradient_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int column = threadIdx.x % columns, row = threadIdx.x / columns, lane = blockIdx.x * columns + column;
        double gradient = 0, product = 0;
        for (int i = row; when(i < p.parts); i += rows) {
            const float2 part = loadGlobal(reinterpret_cast<const float2*>(p.sums) + int64_t(i) * p.lanes + lane);
            gradient += double(part.x);
            product += double(part.y);
        }
        storeShared(&shared.gradients[row][column], gradient);
        storeShared(&shared.products[row][column], product);
        barrier();
        if (row != 0) return;

        const int channel = channelOf(p.map, lane);
        double constant = 0, slope = 0, mean = 0;
        if (when(channel >= 0)) {
            gradient = total(shared.gradients, column);
            product = total(shared.products, column);
            mean = loadGlobal(&p.moments[lane].mean);
            const double inverse = 1 / sqrt(loadGlobal(&p.moments[lane].variance) + p.epsilon);
            const double factor = double(loadGlobal(p.scale + channel)) * inverse / double(p.count);
            add(p.shift_gradient + channel, gradient);
            add(p.scale_gradient + channel, product * inverse);
            constant = factor * gradient;
            slope = factor * inverse * inverse * product;
            if (p.accumulates) {
                constant += loadGlobal(&p.owed[lane].constant);
                slope += loadGlobal(&p.owed[lane].slope);
            }
        }
        storeGlobal(&p.owed[lane].constant, constant);
        storeGlobal(&p.owed[lane].slope, slope);
        storeGlobal(&p.debts[lane].constant, float(fma(-slope, mean, constant)));
        storeGlobal(&p.debts[lane].slope, float(slope));
    }
};
