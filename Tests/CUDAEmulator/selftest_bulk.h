// A kernel that copies in bulk, right and wrong in one way each.
#pragma once
#include "tile.h"

#define EMULATOR_SELFTEST_BULK(K) \
    K(test_bulk, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::nothing>) \
    K(test_bulk_unprepared, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::unprepared>) \
    K(test_bulk_no_barrier, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::noBarrier>) \
    K(test_bulk_unexpected, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::unexpected>) \
    K(test_bulk_more, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::more>) \
    K(test_bulk_fewer, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::fewer>) \
    K(test_bulk_read_in_flight, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::readInFlight>) \
    K(test_bulk_not_waited, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::notWaited>) \
    K(test_bulk_overwrites_read, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::overwritesRead>) \
    K(test_bulk_unfenced_overwrite, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::unfencedOverwrite>) \
    K(test_bulk_unfenced_store, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::unfencedStore>) \
    K(test_bulk_written_while_stored, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::writtenWhileStored>) \
    K(test_bulk_left_store, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::leftStore>) \
    K(test_bulk_left_copy, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::leftCopy>) \
    K(test_bulk_off_pattern, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::offPattern>) \
    K(test_bulk_expects_twice, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::expectsTwice>) \
    K(test_bulk_waits_for_the_past, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::waitsForThePast>) \
    K(test_bulk_no_map, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::noMap>) \
    K(test_bulk_outside, primitive_bulk_parameters, 128, 1, 16400, 128, selftest::Bulk<selftest::WrongCopy::outside>)

namespace selftest {

enum class WrongCopy {
    nothing, unprepared, noBarrier, unexpected, more, fewer, readInFlight, notWaited, overwritesRead, unfencedOverwrite, unfencedStore,
    writtenWhileStored, leftStore, leftCopy, offPattern, expectsTwice, waitsForThePast, noMap, outside
};

// Of a matrix [128][64], whose rows are their own numbers, two boxes one after the other into the same place, and the first one stored. Of `wide_out`
// the words of all threads become 1. `narrow` is a map of more than there is.
template <WrongCopy wrong> struct Bulk {
    static constexpr int threads = 128;
    struct Shared {
        Tile<64, 64> a, b;
        CopyBarrier arrived;
    };

    static DEVICE bool areRows(Tile<64, 64>& tile, int first) {
        bool isRight = true;
        for (int i = int(threadIdx.x); i < 512; i += threads) isRight &= loadShared(&tile.data[i]).w == uint32_t(first + i / 8) * 0x10001;
        return isRight;
    }
    static DEVICE void fill(Tile<64, 64>& tile) {
        for (int i = int(threadIdx.x); i < 512; i += threads) {
            const uint32_t word = uint32_t(i / 8) * 0x10001;
            storeShared(&tile.data[i], uint4{word, word, word, word});
        }
    }

    static DEVICE void run(const primitive_bulk_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = int(threadIdx.x), bytes = sizeof shared.a;
        if (wrong != WrongCopy::unprepared && thread == 0) prepare(shared.arrived);
        if (wrong != WrongCopy::noBarrier) barrier();
        if (thread == 1) {
            if (wrong != WrongCopy::unexpected)
                expectBytes(shared.arrived, bytes + (wrong == WrongCopy::more ? 16 : wrong == WrongCopy::fewer ? -16 : 0));
            const tensor_map none{};
            copyBox(shared.a.data + (wrong == WrongCopy::offPattern ? 32 : 0), wrong == WrongCopy::noMap ? none : p.wide, 0, 0, shared.arrived);
            if (wrong == WrongCopy::expectsTwice) expectBytes(shared.arrived, bytes);
        }
        bool isRight = true;
        if (wrong == WrongCopy::readInFlight) {
            barrier();
            isRight = areRows(shared.a, 0);
        }
        if (wrong != WrongCopy::notWaited || thread != 77) waitBytes(shared.arrived, 0);
        syncWarp();
        isRight &= areRows(shared.a, 0);
        fill(shared.b);
        if (wrong == WrongCopy::unfencedOverwrite) {
            fenceAsyncProxy();
            barrier();
            if (thread == 77) storeShared(shared.a.data, uint4{});
        } else if (wrong != WrongCopy::unfencedStore) {
            fenceAsyncProxy();
        }
        if (wrong != WrongCopy::overwritesRead) barrier();
        if (thread == 1) {
            if (wrong == WrongCopy::unfencedStore || wrong == WrongCopy::outside) {
                if (wrong == WrongCopy::outside) storeBox(p.narrow, 512, 0, &shared.b);
                else storeBox(p.stored, 0, 0, &shared.b);
                commitBoxes();
                waitBoxes<0>();
            }
            expectBytes(shared.arrived, bytes);
            copyBox(&shared.a, p.wide, 64, 0, shared.arrived);
        }
        if (thread == 2 && wrong != WrongCopy::overwritesRead) {
            storeBox(p.stored, 0, 0, &shared.b);
            commitBoxes();
        }
        if (wrong == WrongCopy::writtenWhileStored) {
            barrier();
            if (thread == 77) fill(shared.b);
            barrier();
        }
        if (wrong != WrongCopy::leftCopy) waitBytes(shared.arrived, 1);
        if (wrong == WrongCopy::waitsForThePast) waitBytes(shared.arrived, 0);
        if (wrong != WrongCopy::leftCopy) isRight &= areRows(shared.a, 64);
        if (wrong != WrongCopy::leftStore && thread == 2) waitBoxes<0>();
        storeGlobal(static_cast<uint32_t*>(p.wide_out) + thread, uint32_t(isRight));
    }
};

}  // namespace selftest
