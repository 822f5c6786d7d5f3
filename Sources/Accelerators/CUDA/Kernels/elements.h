// Neighbouring channels of a map as floats, in accesses of 16 bytes, whatever the map's element A is: float, or uint16_t for bf16.
//
// What is not a number stays so, through the rectifier and through the maximum, as in PyTorch.
#pragma once
#include "device.h"

// x[i] = p[i]; 16 · N/4 bytes of fp32, 16 · N/8 of bf16.
template <int N> DEVICE void loadElements(const float* p, float (&x)[N]) {
    static_assert(N % 4 == 0);
    UNROLL for (int i = 0; i < N; i += 4) {
        const float4 v = loadGlobal(reinterpret_cast<const float4*>(p + i));
        x[i] = v.x, x[i + 1] = v.y, x[i + 2] = v.z, x[i + 3] = v.w;
    }
}
template <int N> DEVICE void loadElements(const uint16_t* p, float (&x)[N]) {
    static_assert(N % 8 == 0);
    UNROLL for (int i = 0; i < N; i += 8) {
        const uint4 v = loadGlobal(reinterpret_cast<const uint4*>(p + i));
        x[i] = lowHalf(v.x), x[i + 1] = highHalf(v.x), x[i + 2] = lowHalf(v.y), x[i + 3] = highHalf(v.y);
        x[i + 4] = lowHalf(v.z), x[i + 5] = highHalf(v.z), x[i + 6] = lowHalf(v.w), x[i + 7] = highHalf(v.w);
    }
}

// p[i] = x[i], rounded to A.
template <int N> DEVICE void storeElements(float* p, const float (&x)[N]) {
    static_assert(N % 4 == 0);
    UNROLL for (int i = 0; i < N; i += 4) storeGlobal(reinterpret_cast<float4*>(p + i), float4{x[i], x[i + 1], x[i + 2], x[i + 3]});
}
template <int N> DEVICE void storeElements(uint16_t* p, const float (&x)[N]) {
    static_assert(N % 8 == 0);
    UNROLL for (int i = 0; i < N; i += 8) {
        const uint4 v{pack(x[i], x[i + 1]), pack(x[i + 2], x[i + 3]), pack(x[i + 4], x[i + 5]), pack(x[i + 6], x[i + 7])};
        storeGlobal(reinterpret_cast<uint4*>(p + i), v);
    }
}

// What a map of A keeps of x: statistics are of that.
template <class A> DEVICE float rounded(float x) {
    if constexpr (sizeof(A) == 2) return lowHalf(pack(x, 0));
    else return x;
}

DEVICE float rectified(float x) { return x < 0 ? 0 : x; }
DEVICE float larger(float best, float x) { return x <= best || best != best ? best : x; }

// The affine transformations of N neighbouring channels, in registers.
template <int N> struct Affine {
    float scale[N], shift[N];

    DEVICE void load(const affine_pair* p) {
        static_assert(N % 2 == 0);
        UNROLL for (int i = 0; i < N; i += 2) {
            const float4 v = loadGlobal(reinterpret_cast<const float4*>(p + i));
            scale[i] = v.x, shift[i] = v.y, scale[i + 1] = v.z, shift[i + 1] = v.w;
        }
    }
    DEVICE void apply(float (&x)[N]) const { UNROLL for (int i = 0; i < N; i++) x[i] = fmaf(scale[i], x[i], shift[i]); }
    DEVICE void applyRectified(float (&x)[N]) const { UNROLL for (int i = 0; i < N; i++) x[i] = rectified(fmaf(scale[i], x[i], shift[i])); }
};
