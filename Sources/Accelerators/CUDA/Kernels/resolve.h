// A lane's gradient once all its consumers have added to it: what it owes is taken off.
#pragma once
#include "elements.h"

// What is left of a gradient times a scale.
DEVICE float resolved(float scale, float g, float constant, float slope, float x) { return fmaf(scale, g, -fmaf(slope, x, constant)); }

// A thread stays with eight lanes, whose constants it keeps, and takes every `rows`-th pixel of them.
template <class A> struct ResolveGradient {
    static constexpr int threads = 256;
    struct Shared {
        uint32_t unused[4];
    };

    static DEVICE void run(const resolve_gradient_parameters& p) {
        const unsigned chunks = p.lanes / 8, all = gridDim.x * threads, rows = all < chunks ? 1 : all / chunks;
        for (unsigned i = blockIdx.x * threads + threadIdx.x; when(i < rows * chunks); i += all) {
            const unsigned lane = i % chunks * 8;
            Affine<8> affine;
            if (p.affine) affine.load(p.affine + lane);
            else UNROLL for (int j = 0; j < 8; j++) affine.scale[j] = 1;
            float constant[8], slope[8];
            UNROLL for (int j = 0; j < 8; j += 2) {
                const float4 debts = loadGlobal(reinterpret_cast<const float4*>(p.debts + lane + j));
                constant[j] = debts.x, slope[j] = debts.y, constant[j + 1] = debts.z, slope[j + 1] = debts.w;
            }
            for (unsigned pixel = i / chunks; when(pixel < unsigned(p.pixels)); pixel += rows) {
                float g[8], x[8];
                loadElements(static_cast<const A*>(p.g) + int64_t(pixel) * p.g_stride + lane, g);
                loadElements(static_cast<const A*>(p.x) + int64_t(pixel) * p.x_stride + lane, x);
                UNROLL for (int j = 0; j < 8; j++) g[j] = resolved(affine.scale[j], g[j], constant[j], slope[j], x[j]);
                storeElements(static_cast<A*>(p.resolved) + int64_t(pixel) * p.lanes + lane, g);
            }
        }
    }
};
