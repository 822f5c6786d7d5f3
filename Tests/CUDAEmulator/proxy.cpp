#include "proxy.h"

namespace emu {

void fenceProxy() { machine.proxyFence[machine.current->thread] = machine.time += tick; }

void requireFenced(size_t offset, size_t size, const char* what, Place place) {
    if (!checksRaces) return;
    const Machine& m = machine;
    for (size_t word = offset / 4; word < (offset + size) / 4; word++) {
        const uint64_t write = m.sharedWords[word].write;
        // What is in flight is another check's.
        if ((write & ~inFlight) < m.blockStart || write & inFlight || severalOf(write) == byCopies) continue;
        const unsigned thread = threadOf(write);
        if (write < (thread == m.current->thread ? m.proxyFence : m.proxyFenced)[thread]) continue;
        const Place other = placesByNumber[write % places];
        fail(launchFailed, place, "%s shared+%zu, which thread %u wrote in %s:%d: no fenceAsyncProxy and a barrier came since", what, word * 4, thread,
            other.name(), other.line);
    }
}

void beginRead(size_t offset, size_t size, Several who, std::vector<uint64_t>& writes, Place place) {
    touchShared(machine.shared + offset, size, 16, false, place, who);
    requireFenced(offset, size, "reads", place);
    if (!checksRaces) return;
    for (size_t word = offset / 4; word < (offset + size) / 4; word++) writes.push_back(machine.sharedWords[word].write);
}

void endRead(size_t offset, size_t size, Several who, const uint64_t*& writes, const char* what, Place place) {
    touchShared(machine.shared + offset, size, 16, false, place, who);
    if (!checksRaces) return;
    for (size_t word = offset / 4; word < (offset + size) / 4; word++) {
        const uint64_t write = machine.sharedWords[word].write;
        if (write == *writes++) continue;
        const Place other = placesByNumber[write % places];
        fail(launchFailed, place, "race: thread %u writes shared+%zu in %s:%d while this %s reads it", threadOf(write), word * 4, other.name(),
            other.line, what);
    }
}

}  // namespace emu
