// The vocabulary that kernels are written in: PTX for nvcc, and for every other compiler the emulator's, with the same names.
//
// Every access to memory goes through it, and every barrier: that is what lets the emulator check them. Predicates that keep a thread inside
// its data go through `when`, so that the tests can break each of them.
#pragma once
#include "include/gradient_parameters.h"

#ifndef __CUDACC__
#include "emulator.h"
#else
#define DEVICE __device__ __forceinline__
#define KERNEL(threads, blocksPerProcessor) extern "C" __global__ void __launch_bounds__(threads, blocksPerProcessor)
#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("unroll 1")

// The block's dynamic shared memory.
template <class T> DEVICE T& sharedMemory() {
    extern __shared__ __align__(1024) unsigned char dynamicSharedMemory[];
    return *reinterpret_cast<T*>(dynamicSharedMemory);
}
DEVICE uint32_t sharedAddress(const void* p) { return uint32_t(__cvta_generic_to_shared(p)); }
DEVICE void barrier() { __syncthreads(); }
DEVICE void syncWarp() { __syncwarp(); }
DEVICE bool when(bool inside) { return inside; }

template <class T> DEVICE T loadGlobal(const T* p) { return *p; }
template <class T> DEVICE void storeGlobal(T* p, T value) { *p = value; }
template <class T> DEVICE T loadShared(const T* p) { return *p; }
template <class T> DEVICE void storeShared(T* p, T value) { *p = value; }

// 16 bytes, later; zeros where not valid, and nothing is read then.
DEVICE void copyAsync16(void* shared, const void* global, bool valid) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
        :: "r"(sharedAddress(shared)), "l"(global), "r"(valid ? 16 : 0) : "memory");
}
DEVICE void commitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Until at most `Pending` of this thread's groups are under way.
template <int Pending> DEVICE void waitCopies() { asm volatile("cp.async.wait_group %0;" :: "n"(Pending) : "memory"); }

// The value of lane `lane ^ mask`.
DEVICE float shuffleXor(float value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }

// Four 8×8 matrices of 16 bits; lane 8·m + i points to row i of matrix m.
DEVICE void loadMatrix(uint32_t (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(sharedAddress(row)) : "memory");
}
DEVICE void loadMatrixTransposed(uint32_t (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(sharedAddress(row)) : "memory");
}
// c[16][8] += a[16][16] · b[16][8], bf16 with fp32 sums (PTX ISA, mma.m16n8k16).
DEVICE void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// The same number, but as if nobody knew which: what is computed from it is computed here, and not kept in registers from before a loop.
DEVICE uint32_t unforeseen(uint32_t x) {
    asm volatile("" : "+r"(x));
    return x;
}
DEVICE float asFloat(uint32_t bits) { return __uint_as_float(bits); }
// The two bf16 of a word.
DEVICE float lowHalf(uint32_t pair) { return __uint_as_float(pair << 16); }
DEVICE float highHalf(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }
// To bf16, ties to even.
DEVICE uint32_t pack(float low, float high) {
    uint32_t r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}
DEVICE uint32_t packRectified(float low, float high) {
    uint32_t r;
    asm("cvt.rn.relu.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}
#endif
