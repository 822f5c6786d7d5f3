// What kernels may touch, and in which order.
//
// Each four bytes of global and of shared memory have a Word that says who wrote and who read them last. Two accesses to one byte by different
// threads, one of them a write, must be ordered: by a barrier in a block, by syncWarp in a warp, by the wait for a bulk copy, and by the end of the launch
// between blocks.
#pragma once
#include <stddef.h>
#include <string.h>

#include "faults.h"
#include "fibres.h"

namespace emu {

// MARK: Regions

struct Allocation {
    char* base;
    size_t size;
    Word* words;  // one per four bytes; of zeros where nothing was touched
};

// Memory with a name: an allocation, or a part of one.
struct Region {
    uintptr_t base;
    size_t size;
    Allocation* allocation;
    std::string name;
};

// The memory of one device.
struct Regions {
    std::vector<Region*> sorted;  // by base; they do not overlap
    Region* recent[256] = {};     // by a part of the address

    Region* find(uintptr_t address, size_t size) {
        Region*& hint = recent[address >> 12 & 255];
        if (hint && address - hint->base < hint->size && size <= hint->size - (address - hint->base)) return hint;
        return search(address, size, hint);
    }
    Region* search(uintptr_t address, size_t size, Region*& hint);
    void insert(Region* region);
    void remove(Region* region);
    // The last region that begins at or before the address, if any.
    Region* before(uintptr_t address) const;
};
inline Regions* regions = nullptr;  // of the device that runs

// MARK: Stamps

// A stamp is: in flight 1 bit, time 34, several 2, bytes 4, thread 10, place 13, from the top. Later ones are larger; one in flight is largest.
// What a bulk copy has written to shared memory, where no blocks meet, is byCopies, and its thread the number of the barrier that counted it (bulk.h).
enum Several : uint64_t { one, ofOneWarp, ofWarps, ofBlocks, byCopies = ofBlocks };
constexpr int bytesAt = 23, threadAt = 13, severalAt = 27, timeAt = 29;
constexpr uint64_t tick = uint64_t(1) << timeAt, inFlight = uint64_t(1) << 63, places = 1 << threadAt;

inline Place placesByNumber[places];  // two places may share a number: then the later one is named
inline uint64_t number(Place place) {
    const uint64_t n = (uintptr_t(place.file) / 4 + unsigned(place.line) * 37u) % places;
    placesByNumber[n] = place;
    return n;
}
// Whether the current thread has waited for a copy with this stamp.
bool hasSeen(uint64_t copy);
inline unsigned threadOf(uint64_t stamp) { return stamp >> threadAt & 1023; }
inline Several severalOf(uint64_t stamp) { return Several(stamp >> severalAt & 3); }

constexpr uint64_t bytesMask = uint64_t(15) << bytesAt;

// An access, and what a message about it says.
struct Access {
    Word* words;           // of the first byte and what follows
    size_t offset, size;   // offset in the first word
    bool isShared, writes;
    const char* name;
    size_t named;          // offset from the name's beginning
    Place place;
};
// Word by word. `now` without its bytes.
void recordSlowly(const Access& access, uint64_t now);

// Both count the words of global memory that nobody in this launch has touched in this way before.
//
// Of an access of whole words most need no thought: the words were touched in an earlier launch, or before this block's last barrier, or are read
// by so many since that one more changes nothing.
template <bool isShared> inline bool recordQuickly(Word* words, size_t count, bool writes, uint64_t now) {
    const uint64_t old = isShared ? machine.lastBarrier : machine.launchStart;
    const Several many = isShared ? ofWarps : ofBlocks;
    bool isQuick = true;
    if (writes) {
        for (size_t i = 0; i < count; i++) isQuick &= words[i].write < old && words[i].read < old;
        if (!isQuick) return false;
        for (size_t i = 0; i < count; i++) words[i].write = now;
        if (!isShared) machine.counters.distinctWritten += 4 * count;
        return true;
    }
    const unsigned warp = threadOf(now) / 32;
    const uint64_t sync = machine.lastSync[warp];
    auto changesNothing = [&](uint64_t read) {
        const bool isMine = severalOf(now) != ofWarps && severalOf(read) == ofOneWarp && threadOf(read) / 32 == warp && read >= sync;
        return (read & bytesMask) == bytesMask && (severalOf(read) >= many || isMine);
    };
    for (size_t i = 0; i < count; i++) isQuick &= words[i].write < old && (words[i].read < old || changesNothing(words[i].read));
    if (!isQuick) return false;
    size_t first = 0;
    for (size_t i = 0; i < count; i++) {
        if (words[i].read >= old) continue;
        words[i].read = now;
        first++;
    }
    if (!isShared) machine.counters.distinctRead += 4 * first;
    return true;
}

inline uint64_t stampOf(Place place, Several who = one) {
    return machine.time | uint64_t(who) << severalAt | uint64_t(machine.current->thread) << threadAt | number(place);
}

// `offset` of the access in the memory that `words` stand for; `name` and `named` are for the message.
template <bool isShared>
inline void record(Word* words, size_t offset, size_t size, bool writes, const char* name, size_t named, Place place, Several who = one) {
    if (!checksRaces) return;
    const uint64_t now = stampOf(place, who);
    words += offset / 4;
    if ((offset | size) % 4 == 0 && recordQuickly<isShared>(words, size / 4, writes, now | bytesMask)) return;
    recordSlowly({words, offset % 4, size, isShared, writes, name, named, place}, now);
}

// MARK: Accesses

[[noreturn]] void failGlobal(const void* p, size_t size, size_t alignment, const char* what, Place place);
[[noreturn]] void failShared(const void* p, size_t size, size_t alignment, Place place);

inline void touchGlobal(const void* p, size_t size, size_t alignment, bool writes, Place place) {
    const uintptr_t address = uintptr_t(p);
    Region* r = address % alignment ? nullptr : regions->find(address, size);
    if (!r) failGlobal(p, size, alignment, writes ? "stores" : "loads", place);
    record<false>(r->allocation->words, address - uintptr_t(r->allocation->base), size, writes, r->name.c_str(), address - r->base, place);
    (writes ? machine.counters.bytesWritten : machine.counters.bytesRead) += size;
}
inline void touchShared(const void* p, size_t size, size_t alignment, bool writes, Place place, Several who = one) {
    const size_t offset = uintptr_t(p) - uintptr_t(machine.shared);
    if (offset >= machine.sharedBytes || size > machine.sharedBytes - offset || offset % alignment) failShared(p, size, alignment, place);
    record<true>(machine.sharedWords, offset, size, writes, "shared", offset, place, who);
}

// MARK: Asynchronous copies

void issueCopy(void* shared, const void* global, bool isValid, Place place);
// Until at most `pending` groups are under way.
void finishCopies(size_t pending);

}  // namespace emu
