// The vocabulary of device.h for an ordinary processor, so that kernels run, and are checked, without a GPU.
//
// The threads of a block are fibres on one host thread; blocks run one after another. Barriers and warp collectives are rendezvous. The order in
// which fibres run is drawn from emu::seed. What a launch checks, beside computing the result:
//   * every global access lies in a region and is aligned as its type is; every shared one lies in the block's shared memory, which starts as NaN;
//   * accesses of different threads to one byte are ordered (memory.h);
//   * bytes of an asynchronous copy are not touched between its issue and the wait, and nothing is in flight at the end;
//   * all lanes of a warp meet at one collective, all threads of a block at one barrier, by its line in the source; nobody waits forever;
//   * what products of warpgroups need (warpgroups.h), and what bulk copies do (bulk.h).
// The first violation ends the launch.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "bulk.h"
#include "warpgroups.h"

#define DEVICE inline
#define KERNEL(threads, blocksPerProcessor) extern "C" __attribute__((visibility("hidden"))) void
#define WITH_MAPS
#define UNROLL
#define ROLLED

struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};
struct alignas(8) uint2 {
    uint32_t x, y;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};

template <class T> T& sharedMemory(emu::Place place = emu::Place::here()) {
    if (sizeof(T) > emu::machine.sharedBytes)
        emu::fail(emu::illegalAddress, place, "the kernel uses %zu bytes of shared memory, the launch gives %zu", sizeof(T), emu::machine.sharedBytes);
    return *reinterpret_cast<T*>(emu::machine.shared);
}

inline void barrier(emu::Place place = emu::Place::here()) {
    if (!emu::isFaulty(emu::Kind::barrier, place)) emu::meetBlock(place);
}
inline void syncWarp(emu::Place place = emu::Place::here()) {
    if (!emu::isFaulty(emu::Kind::syncWarp, place)) emu::meetWarp(place);
}
inline bool when(bool inside, emu::Place place = emu::Place::here()) { return emu::orFaulty(inside, place); }

template <class T> inline T loadGlobal(const T* p, emu::Place place = emu::Place::here()) {
    if (emu::isFaulty(emu::Kind::index, place)) p++;
    emu::touchGlobal(p, sizeof(T), alignof(T), false, place);
    return *p;
}
template <class T> inline void storeGlobal(T* p, T value, emu::Place place = emu::Place::here()) {
    if (emu::isFaulty(emu::Kind::index, place)) p++;
    emu::touchGlobal(p, sizeof(T), alignof(T), true, place);
    *p = value;
}
template <class T> inline T loadShared(const T* p, emu::Place place = emu::Place::here()) {
    if (emu::isFaulty(emu::Kind::index, place)) p++;
    emu::touchShared(p, sizeof(T), alignof(T), false, place);
    return *p;
}
template <class T> inline void storeShared(T* p, T value, emu::Place place = emu::Place::here()) {
    if (emu::isFaulty(emu::Kind::index, place)) p++;
    emu::touchShared(p, sizeof(T), alignof(T), true, place);
    *p = value;
}

inline void copyAsync16(void* shared, const void* global, bool valid, emu::Place place = emu::Place::here()) {
    valid = emu::orFaulty(valid, place);
    if (emu::isFaulty(emu::Kind::index, place)) global = reinterpret_cast<const void*>(uintptr_t(global) + 16);
    emu::issueCopy(shared, global, valid, place);
}
inline void commitCopies() {
    emu::Fibre& self = *emu::machine.current;
    self.groupEnds.push_back(self.copies.size());
}
template <int Pending> inline void waitCopies(emu::Place place = emu::Place::here()) {
    emu::finishCopies(Pending + (emu::isFaulty(emu::Kind::wait, place) ? 1 : 0));
}

inline void prepare(CopyBarrier& barrier, emu::Place place = emu::Place::here()) { emu::prepare(barrier, place); }
inline void expectBytes(CopyBarrier& barrier, int bytes, emu::Place place = emu::Place::here()) {
    emu::expectBytes(barrier, bytes + (emu::isFaulty(emu::Kind::index, place) ? 16 : 0), place);
}
inline void copyBox(void* shared, const tensor_map& map, int row, int column, CopyBarrier& barrier, emu::Place place = emu::Place::here()) {
    emu::startBox(shared, map, row + (emu::isFaulty(emu::Kind::index, place) ? 1 : 0), column, barrier, place);
}
inline void waitBytes(CopyBarrier& barrier, int phase, emu::Place place = emu::Place::here()) {
    if (!emu::isFaulty(emu::Kind::wait, place)) emu::waitBytes(barrier, phase, place);
}
inline void storeBox(const tensor_map& map, int row, int column, const void* shared, emu::Place place = emu::Place::here()) {
    emu::storeBox(map, row + (emu::isFaulty(emu::Kind::index, place) ? 1 : 0), column, shared, place);
}
inline void commitBoxes() { emu::commitBoxes(); }
template <int Pending> inline void waitBoxes(emu::Place place = emu::Place::here()) {
    emu::waitBoxes(Pending + (emu::isFaulty(emu::Kind::wait, place) ? 1 : 0));
}

inline float shuffleXor(float value, int mask, emu::Place place = emu::Place::here()) {
    emu::Shuffle mine{value, 0, mask};
    emu::collective("shuffleXor", mine, place, [](emu::Shuffle* const* all) {
        for (int i = 0; i < 32; i++) all[i]->result = all[(i ^ all[i]->mask) & 31]->value;
    });
    return mine.result;
}
inline int sameInWarp(int value, emu::Place place = emu::Place::here()) {
    emu::collective("sameInWarp", value, place, [&](int* const* all) {
        for (int i = 1; i < 32; i++)
            if (*all[i] != *all[0]) emu::fail(emu::launchFailed, place, "lanes 0 and %d have different values: %d, %d", i, *all[0], *all[i]);
    });
    return value;
}

namespace emu {
template <bool isTransposed> inline void loadMatrix(uint32_t (&r)[4], const void* row, Place place) {
    const char* p = static_cast<const char*>(row);
    if (isFaulty(Kind::index, place)) p += 16;
    touchShared(p, 16, 16, false, place, ofOneWarp);  // a row goes to other lanes than the one that points to it
    MatrixRows mine{r, reinterpret_cast<const uint16_t*>(p)};
    collective(isTransposed ? "loadMatrixTransposed" : "loadMatrix", mine, place, [](MatrixRows* const* all) { loadMatrices(all, isTransposed); });
}
}  // namespace emu
inline void loadMatrix(uint32_t (&r)[4], const void* row, emu::Place place = emu::Place::here()) { emu::loadMatrix<false>(r, row, place); }
inline void loadMatrixTransposed(uint32_t (&r)[4], const void* row, emu::Place place = emu::Place::here()) { emu::loadMatrix<true>(r, row, place); }

inline void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, emu::Place place = emu::Place::here()) {
    emu::Multiplication mine{c, a, b0, b1};
    emu::collective("multiply", mine, place, [](emu::Multiplication* const* all) { emu::multiplyFragments(all); });
}

inline uint32_t sharedAddress(const void* p, emu::Place place = emu::Place::here()) {
    const size_t offset = uintptr_t(p) - uintptr_t(emu::machine.shared);
    if (offset >= emu::machine.sharedBytes) emu::failShared(p, 1, 1, place);
    return uint32_t(offset);
}
inline void fenceAsyncProxy(emu::Place place = emu::Place::here()) {
    if (!emu::isFaulty(emu::Kind::fence, place)) emu::fenceProxy();
}
namespace emu {
template <int Count> inline Registers registersOf(float (&c)[Count][4]) { return {c[0], Count * 4}; }
template <int Count> inline Registers registersOf(uint32_t (&a)[Count][4]) { return {reinterpret_cast<float*>(a[0]), Count * 4}; }
inline void warpgroupFence(RegisterList list, Place place) {
    if (!isFaulty(Kind::fence, place)) warpgroupCollective("warpgroupFence", list, place, fenceRegisters);
}
inline void warpgroupWait(RegisterList list, size_t pending, Place place) {
    if (isFaulty(Kind::wait, place)) pending++;
    warpgroupCollective("warpgroupWait", list, place,
        [&](Warpgroup& group, RegisterList* const* all) { finishProducts(group, all, pending, place); });
}
}  // namespace emu
template <int Count> inline void warpgroupFence(float (&c)[Count][4], emu::Place place = emu::Place::here()) {
    emu::warpgroupFence({{emu::registersOf(c)}, 1}, place);
}
template <int Count, int Others>
inline void warpgroupFence(float (&c)[Count][4], float (&others)[Others][4], emu::Place place = emu::Place::here()) {
    emu::warpgroupFence({{emu::registersOf(c), emu::registersOf(others)}, 2}, place);
}
template <int Count> inline void warpgroupFence(uint32_t (&a)[Count][4], emu::Place place = emu::Place::here()) {
    emu::warpgroupFence({{emu::registersOf(a)}, 1}, place);
}
inline void warpgroupCommit(emu::Place place = emu::Place::here()) {
    char none = 0;
    emu::warpgroupCollective("warpgroupCommit", none, place, [](emu::Warpgroup& group, char* const*) { emu::commitProducts(group); });
}
template <int Pending> inline void warpgroupWait(emu::Place place = emu::Place::here()) { emu::warpgroupWait({{}, 0}, Pending, place); }
template <int Pending, int Count> inline void warpgroupWait(float (&c)[Count][4], emu::Place place = emu::Place::here()) {
    emu::warpgroupWait({{emu::registersOf(c)}, 1}, Pending, place);
}
template <int Pending, int Count, int Others>
inline void warpgroupWait(float (&c)[Count][4], float (&others)[Others][4], emu::Place place = emu::Place::here()) {
    emu::warpgroupWait({{emu::registersOf(c), emu::registersOf(others)}, 2}, Pending, place);
}
template <int Count, bool TransposedA, bool TransposedB>
inline void warpgroupMultiply(float (&c)[Count][4], SharedOperand<TransposedA> a, SharedOperand<TransposedB> b,
    emu::Place place = emu::Place::here()) {
    static_assert(Count == 8 || Count == 16, "64 or 128 columns");
    if (emu::isFaulty(emu::Kind::index, place)) a.descriptor++;
    emu::ProductArguments mine{emu::registersOf(c), nullptr, a.descriptor, b.descriptor};
    emu::warpgroupCollective("warpgroupMultiply", mine, place, [&](emu::Warpgroup& group, emu::ProductArguments* const* all) {
        emu::issueProduct(group, all, TransposedA, TransposedB, place);
    });
}
template <int Count, bool TransposedB>
inline void warpgroupMultiply(float (&c)[Count][4], uint32_t (&a)[4], SharedOperand<TransposedB> b, emu::Place place = emu::Place::here()) {
    static_assert(Count == 4 || Count == 16, "32 or 128 columns");
    if (emu::isFaulty(emu::Kind::index, place)) b.descriptor++;
    emu::ProductArguments mine{emu::registersOf(c), a, 0, b.descriptor};
    emu::warpgroupCollective("warpgroupMultiply", mine, place, [&](emu::Warpgroup& group, emu::ProductArguments* const* all) {
        emu::issueProduct(group, all, false, TransposedB, place);
    });
}

inline uint32_t unforeseen(uint32_t x) { return x; }
inline float asFloat(uint32_t bits) { return emu::fromBits(bits); }
inline float lowHalf(uint32_t pair) { return emu::fromBits(pair << 16); }
inline float highHalf(uint32_t pair) { return emu::fromBits(pair & 0xffff0000u); }
inline uint32_t pack(float low, float high) { return emu::toBf16(low) | emu::toBf16(high) << 16; }
// Not a number stays one; zeros of either sign become +0.
inline uint32_t packRectified(float low, float high) { return pack(low <= 0 ? 0 : low, high <= 0 ? 0 : high); }
