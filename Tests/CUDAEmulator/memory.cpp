#include "memory.h"

#include <stdio.h>

#include <algorithm>

namespace emu {

// MARK: Regions

static auto firstAfter(const std::vector<Region*>& sorted, uintptr_t address) {
    return std::upper_bound(sorted.begin(), sorted.end(), address, [](uintptr_t a, const Region* r) { return a < r->base; });
}

Region* Regions::before(uintptr_t address) const {
    auto after = firstAfter(sorted, address);
    return after == sorted.begin() ? nullptr : *(after - 1);
}

Region* Regions::search(uintptr_t address, size_t size, Region*& hint) {
    Region* r = before(address);
    if (!r || address - r->base >= r->size || size > r->size - (address - r->base)) return nullptr;
    return hint = r;
}

void Regions::insert(Region* region) { sorted.insert(firstAfter(sorted, region->base), region); }

void Regions::remove(Region* region) {
    sorted.erase(std::find(sorted.begin(), sorted.end(), region));
    std::fill(std::begin(recent), std::end(recent), nullptr);
}

// MARK: Stamps

// Whether two accesses, one of them a write, may happen in either order. Stamps before `since` are of no interest: of another launch, or, in
// shared memory, of another block.
static bool areUnordered(uint64_t then, uint64_t now, uint64_t since, bool areShared) {
    const Machine& m = machine;
    const bool copies = then & inFlight;
    then &= ~inFlight;
    if (then < since) return false;
    if (copies) return true;
    if (!(then & now & bytesMask)) return false;
    if (then < m.blockStart || (!areShared && severalOf(then) == ofBlocks)) return true;
    if (then < m.lastBarrier) return false;
    if (severalOf(then) == byCopies) return !hasSeen(then);
    if (severalOf(then) == ofWarps || severalOf(now) == ofWarps) return true;
    const unsigned a = threadOf(then), b = threadOf(now);
    if (a == b && severalOf(then) == one && severalOf(now) == one) return false;
    return a / 32 != b / 32 || then >= m.lastSync[b / 32];
}

// Remembers as much of two reads as a later write must come after.
static uint64_t mergeReads(uint64_t then, uint64_t now, uint64_t since) {
    const Machine& m = machine;
    auto both = [&](Several several) {
        return (now & ~(uint64_t(3) << severalAt)) | (then & bytesMask) | uint64_t(std::max(several, severalOf(now))) << severalAt;
    };
    if (then < since || !(then & now & bytesMask)) return now;
    if (then < m.blockStart || severalOf(then) == ofBlocks) return both(ofBlocks);
    if (then < m.lastBarrier) return now;
    if (severalOf(then) == ofWarps) return both(ofWarps);
    const unsigned a = threadOf(then), b = threadOf(now);
    if (a / 32 != b / 32) return both(ofWarps);
    if (a == b && severalOf(then) == one) return both(one);
    return then < m.lastSync[b / 32] ? now : both(ofOneWarp);
}

[[noreturn]] static void failRace(const char* what, uint64_t then, const Access& access, size_t at) {
    const Place other = placesByNumber[then % places];
    if (then & inFlight)
        fail(launchFailed, access.place, "%s %s+%zu while the copy of thread %u, %s:%d, is in flight", what, access.name, access.named + at,
            threadOf(then), other.name(), other.line);
    if (access.isShared && severalOf(then) == byCopies)
        fail(launchFailed, access.place, "race: %s %s+%zu, where the bulk copy in %s:%d has put something that this thread has not waited for", what,
            access.name, access.named + at, other.name(), other.line);
    const auto& starts = machine.blockStarts;
    const size_t block = size_t(std::upper_bound(starts.begin(), starts.end(), then) - starts.begin()) - 1;
    const char* several[] = {"", " (and others of its warp)", " (and other warps)", " (and other blocks)"};
    fail(launchFailed, access.place, "race: %s %s+%zu, which block %zu thread %u%s touched in %s:%d; nothing orders them", what, access.name,
        access.named + at, block, threadOf(then), several[severalOf(then)], other.name(), other.line);
}

void recordSlowly(const Access& access, uint64_t now) {
    const uint64_t since = access.isShared ? machine.blockStart : machine.launchStart;
    const size_t end = access.offset + access.size;
    for (size_t first = 0; first < end; first += 4) {
        const size_t from = std::max(first, access.offset), to = std::min(first + 4, end);
        const uint64_t stamp = now | ((uint64_t(1) << (to - first)) - (uint64_t(1) << (from - first))) << bytesAt;
        Word& w = access.words[first / 4];
        if (areUnordered(w.write, stamp, since, access.isShared)) failRace(access.writes ? "writes" : "reads", w.write, access, from - access.offset);
        if (access.writes) {
            if (areUnordered(w.read, stamp, since, access.isShared)) failRace("writes", w.read, access, from - access.offset);
            if (!access.isShared && w.write < since) machine.counters.distinctWritten += 4;
            w.write = stamp;
        } else {
            if (!access.isShared && w.read < since && w.write < since) machine.counters.distinctRead += 4;
            w.read = mergeReads(w.read, stamp, since);
        }
    }
}

// MARK: Accesses

void failGlobal(const void* p, size_t size, size_t alignment, const char* what, Place place) {
    const uintptr_t address = uintptr_t(p);
    const Region* before = regions->before(address);
    char where[256] = "before everything";
    if (before)
        snprintf(where, sizeof where, "%s+%zu, which has %zu bytes", before->name.c_str(), size_t(address - before->base), before->size);
    if (address % alignment)
        fail(misalignedAddress, place, "%s %zu bytes of global memory at an address not aligned to %zu: %s", what, size, alignment, where);
    fail(illegalAddress, place, "%s %zu bytes of global memory outside every buffer: %s", what, size, where);
}

void failShared(const void* p, size_t size, size_t alignment, Place place) {
    const ptrdiff_t offset = static_cast<const char*>(p) - machine.shared;
    if (offset < 0 || size_t(offset) + size > machine.sharedBytes)
        fail(illegalAddress, place, "touches %zu bytes outside the block's shared memory: shared+%td, which has %zu bytes", size, offset,
            machine.sharedBytes);
    fail(misalignedAddress, place, "touches %zu bytes at shared+%td, not aligned to %zu", size, offset, alignment);
}

// MARK: Asynchronous copies

void issueCopy(void* shared, const void* global, bool isValid, Place place) {
    touchShared(shared, 16, 16, true, place);
    if (isValid) touchGlobal(global, 16, 16, false, place);
    if (checksRaces) {
        Word* targets = machine.sharedWords + (static_cast<char*>(shared) - machine.shared) / 4;
        for (int i = 0; i < 4; i++) targets[i].write |= inFlight;
    }
    machine.current->copies.push_back({static_cast<char*>(shared), isValid ? static_cast<const char*>(global) : nullptr, place});
}

void finishCopies(size_t pending) {
    Fibre& f = *machine.current;
    for (; f.groupEnds.size() - f.firstGroup > pending; f.firstGroup++) {
        for (; f.firstCopy < f.groupEnds[f.firstGroup]; f.firstCopy++) {
            const Copy& copy = f.copies[f.firstCopy];
            if (checksRaces) {  // since its issue nobody else touched the target
                Word* words = machine.sharedWords + (copy.target - machine.shared) / 4;
                const uint64_t now = stampOf(copy.place) | bytesMask;
                for (int i = 0; i < 4; i++) words[i].write = now;
            }
            if (!copy.source) {
                memset(copy.target, 0, 16);
                continue;
            }
            touchGlobal(copy.source, 16, 16, false, copy.place);  // it is read between the issue and now: recorded at both
            machine.counters.bytesRead -= 16;
            memcpy(copy.target, copy.source, 16);
        }
    }
    if (f.firstGroup < 64) return;
    f.copies.erase(f.copies.begin(), f.copies.begin() + ptrdiff_t(f.firstCopy));
    f.groupEnds.erase(f.groupEnds.begin(), f.groupEnds.begin() + ptrdiff_t(f.firstGroup));
    for (size_t& end : f.groupEnds) end -= f.firstCopy;
    f.firstCopy = f.firstGroup = 0;
}

}  // namespace emu
