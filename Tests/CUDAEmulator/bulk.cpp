#include "bulk.h"

#include <algorithm>
#include <map>

namespace emu {

namespace {

struct Box {
    Matrix matrix;
    int row, column;
    size_t offset;  // in shared memory
    Place place;
    unsigned thread;
    std::vector<uint64_t> writes;  // of one that is stored: the last writes of its words, as they were at its start
};

// What is known of a CopyBarrier.
struct Barrier {
    const CopyBarrier* address;
    uint64_t prepared;
    unsigned preparer;
    unsigned phase = 0;  // that is not over
    bool isExpecting = false;
    size_t expected = 0, started = 0;
    uint64_t over = 0;  // when the last one was
    std::vector<Box> boxes;
    std::vector<unsigned> waiting;

    bool isComplete() const { return isExpecting && started == expected; }
};

// Of one thread: boxes [first...] are under way; group g ends at groupEnds[g]; groups [firstGroup...] are under way.
struct Stores {
    std::vector<Box> boxes;
    std::vector<size_t> groupEnds;
    size_t first = 0, firstGroup = 0;
};

constexpr size_t mostBarriers = 16;
std::vector<Barrier> barriers;             // of this block
std::map<unsigned, Stores> stores;
uint64_t seen[maximumThreads][mostBarriers];  // when a thread has last found a phase of it over

Barrier& find(const CopyBarrier& barrier, Place place) {
    for (Barrier& b : barriers) {
        if (b.address != &barrier) continue;
        if (b.preparer != machine.current->thread && b.prepared >= machine.lastBarrier)
            fail(launchFailed, place, "a CopyBarrier that thread %u prepared, and no barrier came since", b.preparer);
        return b;
    }
    fail(launchFailed, place, "a CopyBarrier that nobody has prepared");
}

Matrix matrixOf(const tensor_map& map, Place place) {
    Matrix matrix;
    memcpy(&matrix, &map, sizeof matrix);
    if (matrix.marked != Matrix::mark) fail(launchFailed, place, "no tensor_map that the driver has made");
    if (uintptr_t(&map) % 64) fail(misalignedAddress, place, "a tensor_map at an address not aligned to 64");
    return matrix;
}

// Calls `body` with the address of each row that has elements in the matrix, their first's place in the box, and their bytes.
template <class Body> void forRows(const Box& box, Body body) {
    const Matrix& m = box.matrix;
    const int64_t first = box.column < 0 ? -int64_t(box.column) : 0;
    const int64_t end = int64_t(m.columns) - box.column < int64_t(m.boxColumns) ? int64_t(m.columns) - box.column : int64_t(m.boxColumns);
    if (first >= end) return;
    for (int64_t r = 0; r < int64_t(m.boxRows); r++) {
        const int64_t row = box.row + r;
        if (row < 0 || row >= int64_t(m.rows)) continue;
        body(reinterpret_cast<char*>(m.address + uint64_t(row) * m.stride + uint64_t(box.column + first) * 2), size_t(r), size_t(first) * 2,
            size_t(end - first) * 2);
    }
}

// Between memory and the box's place in shared memory, whose chunks of 16 bytes are permuted.
void exchange(char* memory, size_t offset, size_t bytes, const Matrix& m, bool toMemory) {
    for (size_t i = 0, step; i < bytes; i += step) {
        const size_t linear = offset + i;
        step = std::min(16 - linear % 16, bytes - i);
        char* shared = machine.shared + (linear ^ (linear >> 7 & (m.swizzle / 16 - 1)) << 4);
        memcpy(toMemory ? memory + i : shared, toMemory ? shared : memory + i, step);
    }
}

size_t offsetOf(const void* shared, const Matrix& m, Place place) {
    const size_t offset = uintptr_t(shared) - uintptr_t(machine.shared), pattern = m.swizzle * 8;
    if (offset >= machine.sharedBytes || m.boxBytes() > machine.sharedBytes - offset) failShared(shared, m.boxBytes(), pattern, place);
    if (offset % pattern)
        fail(misalignedAddress, place, "a box at shared+%zu, where the swizzle's pattern of %zu bytes does not begin", offset, pattern);
    return offset;
}

void finish(Barrier& b) {
    const size_t number = size_t(&b - barriers.data());
    b.over = machine.time += tick;
    for (const Box& box : b.boxes) {
        const uint64_t stamp = b.over | bytesMask | uint64_t(byCopies) << severalAt | uint64_t(number) << threadAt | emu::number(box.place);
        for (size_t word = box.offset / 4; word < (box.offset + box.matrix.boxBytes()) / 4; word++) machine.sharedWords[word].write = stamp;
        memset(machine.shared + box.offset, 0, box.matrix.boxBytes());
        forRows(box, [&](char* memory, size_t row, size_t from, size_t bytes) {
            touchGlobal(memory, bytes, 2, false, box.place);  // it is read between the start and now: recorded at both
            machine.counters.bytesRead -= bytes;
            exchange(memory, box.offset + row * box.matrix.swizzle + from, bytes, box.matrix, false);
        });
    }
    b.boxes.clear();
    b.phase++;
    b.isExpecting = false;
    b.expected = b.started = 0;
}

void finish(Box& box) {
    const uint64_t* writes = box.writes.data();
    endRead(box.offset, box.matrix.boxBytes(), one, writes, "store", box.place);
    forRows(box, [&](char* memory, size_t row, size_t from, size_t bytes) {
        touchGlobal(memory, bytes, 2, true, box.place);
        exchange(memory, box.offset + row * box.matrix.swizzle + from, bytes, box.matrix, true);
    });
}

}  // namespace

bool hasSeen(uint64_t copy) { return seen[machine.current->thread][threadOf(copy)] >= (copy & ~(tick - 1)); }

void forgetBulkCopies() {
    if (barriers.empty() && stores.empty()) return;
    barriers.clear();
    stores.clear();
    memset(seen, 0, sizeof seen);
}

void requireNoBoxes() {
    const unsigned thread = machine.current->thread;
    for (const Barrier& b : barriers)
        for (const Box& box : b.boxes)
            if (box.thread == thread) fail(launchFailed, box.place, "the kernel ends with this bulk copy still under way");
    const auto found = stores.find(thread);
    if (found != stores.end() && found->second.first < found->second.boxes.size())
        fail(launchFailed, found->second.boxes[found->second.first].place, "the kernel ends with this box still under way");
}

// MARK: To shared memory

void prepare(CopyBarrier& barrier, Place place) {
    touchShared(&barrier, 8, 8, true, place);
    for (const Barrier& b : barriers)
        if (b.address == &barrier) fail(launchFailed, place, "this CopyBarrier was prepared before");
    if (barriers.size() == mostBarriers) fail(launchFailed, place, "the emulator has room for %zu barriers", mostBarriers);
    barriers.push_back({&barrier, machine.time, machine.current->thread});
}

void expectBytes(CopyBarrier& barrier, int bytes, Place place) {
    Barrier& b = find(barrier, place);
    if (b.isExpecting) fail(launchFailed, place, "expects bytes before anybody has waited for those of phase %u", b.phase);
    b.isExpecting = true;
    b.expected = size_t(bytes);
}

void startBox(void* shared, const tensor_map& map, int row, int column, CopyBarrier& barrier, Place place) {
    Barrier& b = find(barrier, place);
    const Matrix matrix = matrixOf(map, place);
    const Box box{matrix, row, column, offsetOf(shared, matrix, place), place, machine.current->thread, {}};
    b.started += matrix.boxBytes();
    if (!b.isExpecting || b.started > b.expected)
        fail(launchFailed, place, "brings %zu bytes, in all %zu, where %zu are expected", matrix.boxBytes(), b.started, b.expected);
    requireFenced(box.offset, matrix.boxBytes(), "overwrites", place);
    touchShared(shared, matrix.boxBytes(), 16, true, place);
    if (checksRaces)
        for (size_t word = box.offset / 4; word < (box.offset + matrix.boxBytes()) / 4; word++) machine.sharedWords[word].write |= inFlight;
    forRows(box, [&](char* memory, size_t, size_t, size_t bytes) { touchGlobal(memory, bytes, 2, false, place); });
    b.boxes.push_back(box);
    if (!b.isComplete()) return;
    for (unsigned thread : b.waiting) makeReady(thread);
    b.waiting.clear();
}

void waitBytes(CopyBarrier& barrier, int phase, Place place) {
    const unsigned thread = machine.current->thread;
    Barrier* b = &find(barrier, place);
    for (; b->phase == unsigned(phase); b = &find(barrier, place)) {  // others may have been prepared meanwhile
        if (b->isComplete()) {
            finish(*b);
            break;
        }
        b->waiting.push_back(thread);
        suspend("waitBytes", place);
    }
    // On a card phases are told apart by their lowest bit.
    if (b->phase != unsigned(phase) + 1) fail(launchFailed, place, "waits for phase %d of a CopyBarrier that is in phase %u", phase, b->phase);
    seen[thread][b - barriers.data()] = b->over;
}

// MARK: From shared memory

void storeBox(const tensor_map& map, int row, int column, const void* shared, Place place) {
    const Matrix matrix = matrixOf(map, place);
    Box box{matrix, row, column, offsetOf(shared, matrix, place), place, machine.current->thread, {}};
    beginRead(box.offset, matrix.boxBytes(), one, box.writes, place);
    stores[box.thread].boxes.push_back(std::move(box));
}

void commitBoxes() {
    Stores& s = stores[machine.current->thread];
    s.groupEnds.push_back(s.boxes.size());
}

void waitBoxes(size_t pending) {
    Stores& s = stores[machine.current->thread];
    for (; s.groupEnds.size() - s.firstGroup > pending; s.firstGroup++)
        for (; s.first < s.groupEnds[s.firstGroup]; s.first++) finish(s.boxes[s.first]);
    if (s.first == s.boxes.size()) s = {};
}

}  // namespace emu
