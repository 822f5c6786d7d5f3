// What a layer's backward kernels leave in parts, added up in one launch: its batch norm's sums and its weights' gradient. Each is little work, and
// neither waits for the other.
#pragma once
#include "normalization_gradient.h"
#include "unpack.h"

struct SumsOfParts {
    static constexpr int threads = NormalizationGradient::threads;
    using Shared = NormalizationGradient::Shared;

    static DEVICE void run(const sums_of_parts_parameters& p) {
        const int lanes = (p.normalization.lanes + 31) / 32, block = blockIdx.x - lanes, weights = gridDim.x - lanes;
        if (block < 0) NormalizationGradient::run(p.normalization);
        else unpackGradient(p.weights, block * threads + threadIdx.x, weights * threads);
    }
};
