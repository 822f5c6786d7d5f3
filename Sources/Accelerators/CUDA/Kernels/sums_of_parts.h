// What a layer's backward kernels leave in parts, added up in one launch: its batch norm's sums and its weights' gradient. Each is little work, and
// neither waits for the other.
#pragma once
#include "normalization_gradient.h"
#include "unpack.h"

struct SumsOfParts {
    static constexpr int threads = NormalizationGradient::threads;
    static_assert(threads == PartSums::threads, "blocks of either are the kernel's");
    union Shared {
        NormalizationGradient::Shared normalization;
        PartSums::Shared weights;
    };

    static DEVICE void run(const sums_of_parts_parameters& p) {
        const int block = blockIdx.x - p.normalization.lanes / NormalizationGradient::columns;
        if (block < 0) NormalizationGradient::run(p.normalization);
        else unpackGradient(p.weights, sharedMemory<Shared>().weights, block);
    }
};
