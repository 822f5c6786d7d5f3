// Kernels that are wrong in one way each, and two that are right: they test the emulator, and are in no fatbin.
#pragma once
#include "selftest_bulk.h"
#include "warpgroup_operands.h"

struct selftest_parameters {
    uint32_t* data;
    int32_t count, unused;
};

#define EMULATOR_SELFTEST_KERNELS(K)                                                        \
    K(test_right, selftest_parameters, 64, 1, 1024, 64, selftest::Right)                     \
    K(test_again, selftest_parameters, 64, 1, 1024, 64, selftest::Again)                     \
    K(test_race_shared, selftest_parameters, 64, 1, 1024, 64, selftest::RaceShared)          \
    K(test_race_warp, selftest_parameters, 64, 1, 1024, 64, selftest::RaceWarp)              \
    K(test_race_global, selftest_parameters, 64, 1, 1024, 64, selftest::RaceGlobal)          \
    K(test_in_flight, selftest_parameters, 64, 1, 1024, 64, selftest::InFlight)              \
    K(test_left_in_flight, selftest_parameters, 64, 1, 1024, 64, selftest::LeftInFlight)     \
    K(test_divergent_barrier, selftest_parameters, 64, 1, 1024, 64, selftest::DivergentBarrier) \
    K(test_divergent_warp, selftest_parameters, 64, 1, 1024, 64, selftest::DivergentWarp)    \
    K(test_not_same, selftest_parameters, 64, 1, 1024, 64, selftest::NotSame)                \
    K(test_deadlock, selftest_parameters, 64, 1, 1024, 64, selftest::Deadlock)               \
    K(test_outside, selftest_parameters, 64, 1, 1024, 64, selftest::Outside)                 \
    K(test_outside_shared, selftest_parameters, 64, 1, 1024, 64, selftest::OutsideShared)    \
    K(test_misaligned, selftest_parameters, 64, 1, 1024, 64, selftest::Misaligned)           \
    K(test_little_shared, selftest_parameters, 64, 1, 1024, 64, selftest::LittleShared)      \
    EMULATOR_SELFTEST_PRODUCTS(K)                                                            \
    EMULATOR_SELFTEST_BULK(K)

#define EMULATOR_SELFTEST_PRODUCTS(K)                                                                        \
    K(test_products, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::nothing>)  \
    K(test_products_proxy_unfenced, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::proxyUnfenced>) \
    K(test_products_proxy_fenced_late, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::proxyFencedLate>) \
    K(test_products_no_barrier, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::noBarrier>) \
    K(test_products_unfenced, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::unfenced>) \
    K(test_products_unfenced_again, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::unfencedAgain>) \
    K(test_products_unnamed, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::unnamed>) \
    K(test_products_changed, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::changed>) \
    K(test_products_read_early, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::readEarly>) \
    K(test_products_touched_early, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::touchedEarly>) \
    K(test_products_written, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::written>) \
    K(test_products_written_behind_barrier, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::writtenBehindBarrier>) \
    K(test_products_written_after, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::writtenAfter>) \
    K(test_products_uncommitted, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::uncommitted>) \
    K(test_products_left, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::left>) \
    K(test_products_divergent, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::divergent>) \
    K(test_products_differing, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::differing>) \
    K(test_products_unswizzled, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::unswizzled>) \
    K(test_products_off_pattern, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::offPattern>) \
    K(test_products_over_row, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::overRow>) \
    K(test_products_outside, selftest_parameters, 128, 1, 16384, 128, selftest::Products<selftest::Wrong::outside>) \
    K(test_products_of_registers, selftest_parameters, 128, 1, 16384, 128, selftest::FromRegisters<selftest::Wrong::nothing>) \
    K(test_products_of_registers_unnamed, selftest_parameters, 128, 1, 16384, 128, selftest::FromRegisters<selftest::Wrong::unnamed>) \
    K(test_products_of_registers_changed, selftest_parameters, 128, 1, 16384, 128, selftest::FromRegisters<selftest::Wrong::changed>) \
    K(test_products_of_registers_read_early, selftest_parameters, 128, 1, 16384, 128, selftest::FromRegisters<selftest::Wrong::readEarly>) \
    K(test_products_of_registers_touched_early, selftest_parameters, 128, 1, 16384, 128, selftest::FromRegisters<selftest::Wrong::touchedEarly>) \
    K(test_products_of_registers_unfenced_again, selftest_parameters, 128, 1, 16384, 128, selftest::FromRegisters<selftest::Wrong::unfencedAgain>) \
    K(test_products_of_registers_off_pattern, selftest_parameters, 128, 1, 16384, 128, selftest::FromRegisters<selftest::Wrong::offPattern>) \
    K(test_products_of_registers_over_row, selftest_parameters, 128, 1, 16384, 128, selftest::FromRegisters<selftest::Wrong::overRow>)

namespace selftest {

struct Kernel {
    static constexpr int threads = 64;
    struct Shared {
        uint4 rows[64];
    };
};
using Parameters = selftest_parameters;

// data[i] + 1 = data[i] · 1 + 1 for whole numbers below 256, as 64 a block: through a copy, a barrier, ldmatrix, mma with a diagonal of ones,
// shared memory, syncWarp and a shuffle, so that every kind of place is met and every one is needed.
struct Right : Kernel {
    static DEVICE void run(const Parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        uint32_t* words = &shared.rows[0].x;
        const int thread = int(threadIdx.x), lane = thread % 32, first = int(blockIdx.x) * 64;
        // Words 0 ..< 64: the block's numbers, by 16 of the threads, the other warp's among them.
        if (lane < 8) {
            const int quad = thread / 32 * 8 + lane;
            copyAsync16(&shared.rows[quad ^ 8], p.data + first + 4 * (quad ^ 8), first + 4 * (quad ^ 8) < p.count);
        }
        commitCopies();
        waitCopies<0>();
        barrier();
        const uint32_t number = loadShared(words + thread);
        // Each thread makes a bf16 row of 8 at rows[thread]; of the warp's 32 rows, the four matrices are loaded, and number taken from one.
        barrier();
        const uint32_t half = pack(float(number), 0);
        storeShared(&shared.rows[thread], uint4{half, 0, 0, 0});
        syncWarp();
        uint32_t r[4];
        loadMatrix(r, &shared.rows[thread]);
        // Lane 4·g + t, t = 0, has of matrix m row g's first two: the numbers of threads 8·m + g.
        const uint32_t a[4] = {r[0], r[1], r[2], r[3]};
        // Of depths 2t, 2t + 1 (+ 8) and column g: a one at (0, 0) and at (8, 1).
        const uint32_t b0 = lane == 0 ? pack(1, 0) : 0, b1 = lane == 4 ? pack(1, 0) : 0;
        float c[4] = {1, 1, 1, 1};
        multiply(c, a, b0, b1);
        // Lanes 4·g have rows g (c[0] column 0, c[1] column 1) and g + 8: numbers 0 + g, 16 + g; 8 + g, 24 + g.
        // Lane 4·g + 1 is handed them and stores them.
        float sums[4] = {c[0], c[2], c[1], c[3]};
        for (int i = 0; i < 4; i++) sums[i] = shuffleXor(sums[i], 1);
        syncWarp();
        if (lane % 4 == 1)
            for (int i = 0; i < 4; i++) storeShared(words + thread / 32 * 128 + 8 * i + lane / 4, uint32_t(sums[i]));
        barrier();
        const int i = first + thread;
        if (when(i < p.count)) storeGlobal(p.data + i, loadShared(words + thread / 32 * 128 + lane));
    }
};

// Every block reads words 0 ..< 64, each four times. Of its own 64, each block but the first reads and writes 32 twice, writes 16 by halves and then
// reads them, and leaves 16 alone.
struct Again : Kernel {
    static DEVICE void run(const Parameters& p) {
        const uint4 quad = loadGlobal(reinterpret_cast<const uint4*>(p.data) + threadIdx.x % 16);
        if (blockIdx.x == 0) return;
        uint32_t* own = p.data + blockIdx.x * 64;
        if (threadIdx.x < 32) {
            for (int i = 0; i < 2; i++) storeGlobal(own + threadIdx.x, loadGlobal(own + threadIdx.x) + quad.x + 1);
        } else {
            uint16_t* half = reinterpret_cast<uint16_t*>(own) + 32 + threadIdx.x;
            storeGlobal(half, uint16_t(1));
            if (loadGlobal(half) != 1) storeGlobal(p.data + p.count, 1u);
        }
    }
};

struct RaceShared : Kernel {
    static DEVICE void run(const Parameters& p) {
        uint32_t* words = &sharedMemory<Shared>().rows[0].x;
        storeShared(words + threadIdx.x, threadIdx.x);
        syncWarp();  // orders a warp, not two
        storeGlobal(p.data + threadIdx.x, loadShared(words + (threadIdx.x ^ 32)));
    }
};

struct RaceWarp : Kernel {
    static DEVICE void run(const Parameters& p) {
        uint32_t* words = &sharedMemory<Shared>().rows[0].x;
        storeShared(words + threadIdx.x, threadIdx.x);
        storeGlobal(p.data + threadIdx.x, loadShared(words + (threadIdx.x ^ 1)));
    }
};

// Of two blocks.
struct RaceGlobal : Kernel {
    static DEVICE void run(const Parameters& p) { storeGlobal(p.data + threadIdx.x, blockIdx.x); }
};

struct InFlight : Kernel {
    static DEVICE void run(const Parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        copyAsync16(&shared.rows[threadIdx.x], p.data, true);
        commitCopies();
        storeGlobal(p.data + 4 + threadIdx.x, loadShared(&shared.rows[threadIdx.x].x));
        waitCopies<0>();
    }
};

struct LeftInFlight : Kernel {
    static DEVICE void run(const Parameters& p) {
        copyAsync16(&sharedMemory<Shared>().rows[threadIdx.x], p.data, true);
        commitCopies();
        waitCopies<1>();
    }
};

struct DivergentBarrier : Kernel {
    static DEVICE void run(const Parameters&) {
        if (threadIdx.x < 32) barrier();
        else
            barrier();
    }
};

struct DivergentWarp : Kernel {
    static DEVICE void run(const Parameters& p) {
        if (threadIdx.x % 2) syncWarp();
        else if (shuffleXor(1, 1) > 1) storeGlobal(p.data, 1u);
    }
};

struct NotSame : Kernel {
    static DEVICE void run(const Parameters& p) { storeGlobal(p.data + threadIdx.x, uint32_t(sameInWarp(int(threadIdx.x) / 33))); }
};

struct Deadlock : Kernel {
    static DEVICE void run(const Parameters&) {
        if (threadIdx.x < 40) barrier();
    }
};

struct Outside : Kernel {
    static DEVICE void run(const Parameters& p) { storeGlobal(p.data + p.count + threadIdx.x, 1u); }
};

struct OutsideShared : Kernel {
    static DEVICE void run(const Parameters&) { storeShared(&sharedMemory<Shared>().rows[threadIdx.x + 1].x, 1u); }
};

struct Misaligned : Kernel {
    static DEVICE void run(const Parameters& p) {
        storeGlobal(reinterpret_cast<uint4*>(p.data + 4 * threadIdx.x + 1), uint4{});
    }
};

struct LittleShared : Kernel {
    struct Larger {
        uint4 rows[65];
    };
    static DEVICE void run(const Parameters&) { storeShared(&sharedMemory<Larger>().rows[0].x, threadIdx.x); }
};

// Products of a warpgroup, right but for one thing.
enum class Wrong {
    nothing, proxyUnfenced, proxyFencedLate, noBarrier, unfenced, unfencedAgain, unnamed, changed, readEarly, touchedEarly, written,
    writtenBehindBarrier, writtenAfter, uncommitted, left, divergent, differing, unswizzled, offPattern, overRow, outside
};

// data[thread] = 1: 64 times 1 · 1/64, of four products.
template <Wrong wrong> struct Products {
    static constexpr int threads = 128;
    struct Shared {
        Tile<64, 64> a, b;
    };

    static DEVICE void fill(Tile<64, 64>& tile, float value) {
        const uint32_t pair = pack(value, value);
        for (int i = int(threadIdx.x); i < 512; i += threads) storeShared(&tile.data[i], uint4{pair, pair, pair, pair});
    }

    static DEVICE void run(const Parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = int(threadIdx.x);
        fill(shared.a, 1);
        fill(shared.b, 1.0f / 64);
        if (wrong == Wrong::proxyFencedLate) barrier();
        if (wrong != Wrong::proxyUnfenced) fenceAsyncProxy();
        if (wrong != Wrong::proxyFencedLate && wrong != Wrong::noBarrier) barrier();

        float c[8][4] = {}, others[8][4] = {};
        if (wrong == Wrong::divergent && thread >= 96) warpgroupFence(c);
        else if (wrong != Wrong::unfenced) warpgroupFence(wrong == Wrong::unnamed ? others : c);
        if (wrong == Wrong::changed && thread == 77) c[7][3] = 1;
        const int row = wrong == Wrong::differing && thread == 77 ? 8 : wrong == Wrong::offPattern ? 4 : 0;
        const int shift = wrong == Wrong::overRow ? 8 : 0;
        for (int k = 0; k < 64; k += 16) {
            SharedOperand<false> a = depthAlongRows(&shared.a, row, k + shift), b = depthAlongRows(&shared.b, wrong == Wrong::outside ? 8 : 0, k);
            if (wrong == Wrong::unswizzled) b.descriptor &= ~uint64_t(0) >> 2;
            warpgroupMultiply(c, a, b);
        }
        if (wrong != Wrong::uncommitted) warpgroupCommit();
        if (wrong == Wrong::left) return;
        if (wrong == Wrong::readEarly) storeGlobal(p.data + thread, uint32_t(c[0][0] == 1));
        if (wrong == Wrong::touchedEarly && thread == 77) c[7][3] = 1;
        if (wrong == Wrong::written) fill(shared.b, 2);
        if (wrong == Wrong::writtenBehindBarrier) {
            barrier();
            if (thread == 77) fill(shared.b, 2);
            barrier();
        }
        warpgroupWait<0>(c);
        if (wrong == Wrong::writtenAfter) fill(shared.b, 2);
        if (wrong == Wrong::unfencedAgain) {
            warpgroupMultiply(c, depthAlongRows(&shared.a, 0, 0), depthAlongRows(&shared.b, 0, 0));
            warpgroupCommit();
            warpgroupWait<0>(c);
        }
        bool isRight = true;
        for (int i = 0; i < 8; i++)
            for (int j = 0; j < 4; j++) isRight &= c[i][j] == 1;
        if (wrong != Wrong::readEarly) storeGlobal(p.data + thread, uint32_t(isRight));
    }
};

// The same with A in registers: what may be wrong with those, and with rows of 64 bytes.
template <Wrong wrong> struct FromRegisters {
    static constexpr int threads = 128;
    struct Shared {
        Tile<256, 32> b;
    };

    static DEVICE void run(const Parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = int(threadIdx.x);
        const uint32_t one = pack(1, 1), part = pack(1.0f / 64, 1.0f / 64);
        for (int i = thread; i < 1024; i += threads) storeShared(&shared.b.data[i], uint4{part, part, part, part});
        fenceAsyncProxy();
        barrier();

        float c[4][4] = {};
        uint32_t a[4][4], others[4][4] = {};
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) a[i][j] = one;
        warpgroupFence(c);
        warpgroupFence(wrong == Wrong::unnamed ? others : a);
        if (wrong == Wrong::changed && thread == 77) a[3][3] = 0;
        for (int k = 0; k < 4; k++) {
            SharedOperand<true> b = depthDownColumns(&shared.b, k * 16 + (wrong == Wrong::offPattern ? 4 : 0), 0);
            if (wrong == Wrong::overRow) b.descriptor++;
            warpgroupMultiply(c, a[k], b);
        }
        warpgroupCommit();
        const bool isThere = a[3][3] == one;
        if (wrong == Wrong::touchedEarly && thread == 77) a[3][3] = one;
        warpgroupWait<0>(c);
        bool isRight = wrong != Wrong::readEarly || isThere;
        if (wrong == Wrong::unfencedAgain) {
            warpgroupFence(c);
            a[0][0] = 0;
            warpgroupMultiply(c, a[0], depthDownColumns(&shared.b, 0, 0));
            warpgroupCommit();
            warpgroupWait<0>(c);
        }
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) isRight &= c[i][j] == 1 && a[i][j] == one;
        storeGlobal(p.data + thread, uint32_t(isRight));
    }
};

}  // namespace selftest

EMULATOR_SELFTEST_KERNELS(DEFINE)
