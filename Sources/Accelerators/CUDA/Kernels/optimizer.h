// The gradients' norm, and PyTorch's optimizers over a range of the flat parameters. A range may begin anywhere: accesses are of 4 bytes.
#pragma once
#include "block_sum.h"

// A thread adds up every value in its stride, then the threads are added up pairwise: the order is fixed by the number of blocks. No square of a
// finite float is infinite in double.
struct GradientNorm {
    static constexpr int threads = 256;
    using Shared = BlockSum<threads>;

    static DEVICE void run(const gradient_norm_parameters& p) {
        double sum = 0;
        for (int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x; when(i < p.count); i += int64_t(gridDim.x) * threads) {
            const double value = double(loadGlobal(p.gradient + i));
            sum = fma(value, value, sum);
        }
        sum = sharedMemory<Shared>().total(sum);
        if (threadIdx.x == 0) storeGlobal(p.squares + blockIdx.x, sum);
    }
};

// In fp32, each operation rounded, in the order of torch/optim/sgd.py, adam.py and adamw.py. Constants are made in double, because 1 − βᵗ loses
// digits in fp32. SGD has no second moment: `second` may be null then. Every block adds up the norm's squares, in the same order.
struct Optimizer {
    static constexpr int threads = 256;
    struct Shared {
        BlockSum<threads> sum;
        double norm;
    };

    static DEVICE double norm(const optimizer_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        double squares = 0;
        for (int i = threadIdx.x; when(i < p.squares_count); i += threads) squares += loadGlobal(p.squares + i);
        squares = shared.sum.total(squares);
        if (threadIdx.x == 0) storeShared(&shared.norm, sqrt(squares));
        barrier();
        return loadShared(&shared.norm);
    }

    static DEVICE void run(const optimizer_parameters& p) {
        const double norm = Optimizer::norm(p), ratio = p.clip_norm / (norm + 1e-6);
        if (blockIdx.x == 0 && threadIdx.x == 0) storeGlobal(p.norm, norm);
        if (norm - norm != 0) return;    // not a number, or infinite
        const bool isAdam = p.kind == OPTIMIZER_ADAM || p.kind == OPTIMIZER_ADAMW, isDecoupled = p.kind == OPTIMIZER_ADAMW;
        const float scale = float(ratio < 1 ? ratio : 1), decay = float(p.weight_decay), epsilon = float(p.epsilon);
        const float rate = float(isAdam ? p.learning_rate / p.correction1 : p.learning_rate);
        const float shrink = float(1 - p.learning_rate * p.weight_decay), root = float(isAdam ? sqrt(p.correction2) : 1);
        const float momentum = float(p.momentum), momentumRest = float(1 - p.momentum), beta2 = float(p.beta2), beta2Rest = float(1 - p.beta2);
        for (int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x; when(i < p.count); i += int64_t(gridDim.x) * threads) {
            float value = loadGlobal(p.values + i), gradient = loadGlobal(p.gradient + i) * scale;
            if (isDecoupled) value *= shrink;
            else gradient += decay * value;
            if (isAdam) {
                const float first = momentum * loadGlobal(p.first + i) + momentumRest * gradient;
                const float second = beta2 * loadGlobal(p.second + i) + beta2Rest * gradient * gradient;
                value -= rate * first / (sqrtf(second) / root + epsilon);
                storeGlobal(p.first + i, first);
                storeGlobal(p.second + i, second);
            } else {
                const float velocity = p.is_first ? gradient : momentum * loadGlobal(p.first + i) + gradient;
                value -= rate * (p.kind == OPTIMIZER_NESTEROV ? gradient + momentum * velocity : velocity);
                storeGlobal(p.first + i, velocity);
            }
            storeGlobal(p.values + i, value);
            storeGlobal(p.gradient + i, 0.0f);
        }
    }
};

// Of running statistics.
struct MeanOverRanks {
    static constexpr int threads = 256;
    struct Shared {
        uint32_t unused[4];
    };

    static DEVICE void run(const mean_over_ranks_parameters& p) {
        const int64_t i = int64_t(blockIdx.x) * threads + threadIdx.x;
        if (when(i < p.count)) storeGlobal(p.values + i, loadGlobal(p.values + i) / loadGlobal(p.values + p.count));
    }
};
