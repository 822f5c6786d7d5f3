// The vocabulary that kernels are written in: PTX for nvcc, and for every other compiler the emulator's, with the same names.
//
// Every access to memory goes through it, and every barrier: that is what lets the emulator check them. Predicates that keep a thread inside
// its data go through `when`, so that the tests can break each of them.
#pragma once
#include "include/gradient_parameters.h"

// Where warpgroupMultiply reads an operand in shared memory: a matrix descriptor of the PTX ISA (warpgroup_operands.h makes them). Transposed: of A
// or B as a rule the depth lies side by side, of a transposed one the rows of A or the columns of B.
template <bool Transposed> struct SharedOperand {
    uint64_t descriptor;
};

// In shared memory: counts the bytes of bulk copies (PTX ISA, mbarrier). It goes from phase to phase, from 0 on: each begins when it is told how many
// bytes to expect, and is over when they have come.
struct CopyBarrier {
    uint64_t state;
};

#ifndef __CUDACC__
#include "emulator.h"
#else
#define DEVICE __device__ __forceinline__
#define KERNEL(threads, blocksPerProcessor) extern "C" __global__ void __launch_bounds__(threads, blocksPerProcessor)
// Of a parameter: bulk copies are told where its maps are.
#define WITH_MAPS __grid_constant__
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

// Bulk copies (PTX ISA, cp.async.bulk.tensor): one thread asks for a box of a matrix, as its tensor_map has it. From compute capability 9.0 on:
// kernels that use them have _90 or _90a in their name; for earlier architectures they are there, and trap.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
constexpr bool hasBulkCopies = true;
#else
constexpr bool hasBulkCopies = false;
#endif

// By one thread, before the barrier behind which others use it.
DEVICE void prepare(CopyBarrier& barrier) {
    if constexpr (hasBulkCopies)
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1; fence.proxy.async.shared::cta;" :: "r"(sharedAddress(&barrier)) : "memory");
}
// The next phase begins: so many bytes are to come, by copies that this thread asks for behind it.
DEVICE void expectBytes(CopyBarrier& barrier, int bytes) {
    if constexpr (hasBulkCopies)
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(sharedAddress(&barrier)), "r"(bytes) : "memory");
}
// The box whose first element is in that row and column, into a tile of its size; zeros outside of the matrix.
DEVICE void copyBox(void* shared, const tensor_map& map, int row, int column, CopyBarrier& barrier) {
    if constexpr (!hasBulkCopies) __trap();
    else
        asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];"
            :: "r"(sharedAddress(shared)), "l"(&map), "r"(column), "r"(row), "r"(sharedAddress(&barrier)) : "memory");
}
// Until the phase is over, which nobody is two phases behind. A card on which it does not end gives up, some seconds later, rather than to hang.
DEVICE void waitBytes(CopyBarrier& barrier, int phase) {
    if constexpr (hasBulkCopies) {
        for (uint32_t tries = 0;; tries++) {
            uint32_t isOver;
            asm volatile("{ .reg .pred over; mbarrier.try_wait.parity.shared::cta.b64 over, [%1], %2; selp.u32 %0, 1, 0, over; }"
                : "=r"(isOver) : "r"(sharedAddress(&barrier)), "r"(phase & 1) : "memory");
            if (isOver) break;
            if (tries == 1 << 26) __trap();
        }
    }
}
// The other way: what of the box lies in the matrix.
DEVICE void storeBox(const tensor_map& map, int row, int column, const void* shared) {
    if constexpr (!hasBulkCopies) __trap();
    else
        asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%1, %2}], [%3];"
            :: "l"(&map), "r"(column), "r"(row), "r"(sharedAddress(shared)) : "memory");
}
DEVICE void commitBoxes() {
    if constexpr (hasBulkCopies) asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
// Until at most `Pending` groups of this thread's boxes are still read from shared memory. They are stored when the kernel has ended.
template <int Pending> DEVICE void waitBoxes() {
    if constexpr (hasBulkCopies) asm volatile("cp.async.bulk.wait_group.read %0;" :: "n"(Pending) : "memory");
}

// The value of lane `lane ^ mask`.
DEVICE float shuffleXor(float value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
// The value, which all lanes have alike: known to be so, it is kept, and what follows from it computed, once for the warp.
DEVICE int sameInWarp(int value) { return __shfl_sync(0xffffffffu, value, 0); }

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

// Products of a warpgroup, which is four warps from a multiple of four on (PTX ISA, wgmma): Hopper's alone. Kernels that use them have _90a in their
// name; for other architectures they are there, and trap.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
constexpr bool hasWarpgroupProducts = true;
#else
constexpr bool hasWarpgroupProducts = false;
#endif

// What this thread has written to shared memory, with ordinary stores or copies of 16 bytes that it has waited for, may be read by the products, and
// read or overwritten by the bulk copies, of everybody who meets it at the next barrier, and by its own.
DEVICE void fenceAsyncProxy() {
    if constexpr (hasBulkCopies) asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
// Nothing that touches these registers moves across.
template <int Count> DEVICE void holdRegisters(float (&c)[Count][4]) {
    UNROLL for (int i = 0; i < Count; i++) UNROLL for (int j = 0; j < 4; j++) asm volatile("" : "+f"(c[i][j]) :: "memory");
}
template <int Count> DEVICE void holdRegisters(uint32_t (&a)[Count][4]) {
    UNROLL for (int i = 0; i < Count; i++) UNROLL for (int j = 0; j < 4; j++) asm volatile("" : "+r"(a[i][j]) :: "memory");
}
// Before the first product, and behind each wait before the next one: names the accumulators, and the registers of A, that anything else has touched
// since.
template <int Count> DEVICE void warpgroupFence(float (&c)[Count][4]) {
    holdRegisters(c);
    if constexpr (hasWarpgroupProducts) asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
template <int Count, int Others> DEVICE void warpgroupFence(float (&c)[Count][4], float (&others)[Others][4]) {
    holdRegisters(others);
    warpgroupFence(c);
}
template <int Count> DEVICE void warpgroupFence(uint32_t (&a)[Count][4]) {
    holdRegisters(a);
    if constexpr (hasWarpgroupProducts) asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
DEVICE void warpgroupCommit() {
    if constexpr (hasWarpgroupProducts) asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Until at most `Pending` of the warpgroup's groups are under way. Accumulators may be touched behind a wait that names them.
template <int Pending> DEVICE void warpgroupWait() {
    if constexpr (hasWarpgroupProducts) asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(Pending) : "memory");
}
template <int Pending, int Count> DEVICE void warpgroupWait(float (&c)[Count][4]) {
    warpgroupWait<Pending>();
    holdRegisters(c);
}
template <int Pending, int Count, int Others> DEVICE void warpgroupWait(float (&c)[Count][4], float (&others)[Others][4]) {
    warpgroupWait<Pending>(c);
    holdRegisters(others);
}

#define FOUR(i) "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3])
// c[64][8 · Count] += a[64][16] · b[16][8 · Count], later. A warp has 16 rows, and of each eight columns what `multiply` gives a lane.
template <int Count, bool TransposedA, bool TransposedB>
DEVICE void warpgroupMultiply(float (&c)[Count][4], SharedOperand<TransposedA> a, SharedOperand<TransposedB> b) {
    static_assert(Count == 8 || Count == 16, "64 or 128 columns");
    if constexpr (!hasWarpgroupProducts) {
        __trap();
    } else if constexpr (Count == 8) {
        asm volatile("{ .reg .pred adds; setp.eq.b32 adds, 0, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
            "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
            "}, %32, %33, adds, 1, 1, %34, %35; }"
            : FOUR(0), FOUR(1), FOUR(2), FOUR(3), FOUR(4), FOUR(5), FOUR(6), FOUR(7)
            : "l"(a.descriptor), "l"(b.descriptor), "n"(int(TransposedA)), "n"(int(TransposedB)));
    } else {
        asm volatile("{ .reg .pred adds; setp.eq.b32 adds, 0, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
            "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
            "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
            "}, %64, %65, adds, 1, 1, %66, %67; }"
            : FOUR(0), FOUR(1), FOUR(2), FOUR(3), FOUR(4), FOUR(5), FOUR(6), FOUR(7),
              FOUR(8), FOUR(9), FOUR(10), FOUR(11), FOUR(12), FOUR(13), FOUR(14), FOUR(15)
            : "l"(a.descriptor), "l"(b.descriptor), "n"(int(TransposedA)), "n"(int(TransposedB)));
    }
}
// c[64][8 · Count] += a[64][16] · b[16][8 · Count], later, and a warp's 16 rows of a are its registers as `multiply` has them: nothing touches them
// before a wait for the product.
template <int Count, bool TransposedB>
DEVICE void warpgroupMultiply(float (&c)[Count][4], const uint32_t (&a)[4], SharedOperand<TransposedB> b) {
    static_assert(Count == 4 || Count == 16, "32 or 128 columns");
    if constexpr (!hasWarpgroupProducts) {
        __trap();
    } else if constexpr (Count == 4) {
        asm volatile("{ .reg .pred adds; setp.eq.b32 adds, 0, 0; wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {"
            "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, {%16,%17,%18,%19}, %20, adds, 1, 1, %21; }"
            : FOUR(0), FOUR(1), FOUR(2), FOUR(3)
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b.descriptor), "n"(int(TransposedB)));
    } else {
        asm volatile("{ .reg .pred adds; setp.eq.b32 adds, 0, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
            "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
            "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
            "}, {%64,%65,%66,%67}, %68, adds, 1, 1, %69; }"
            : FOUR(0), FOUR(1), FOUR(2), FOUR(3), FOUR(4), FOUR(5), FOUR(6), FOUR(7),
              FOUR(8), FOUR(9), FOUR(10), FOUR(11), FOUR(12), FOUR(13), FOUR(14), FOUR(15)
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b.descriptor), "n"(int(TransposedB)));
    }
}
#undef FOUR

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
