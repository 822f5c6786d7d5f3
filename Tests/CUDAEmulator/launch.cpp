#include "launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bulk.h"
#include "warpgroups.h"

namespace emu {

static constexpr size_t mostShared = 256 << 10;

static void* reserve(size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory != MAP_FAILED) return memory;
    perror("the emulator's shared memory");
    abort();
}

// For blocks that end before all threads do: who waits where.
static void reportDeadlock(unsigned block) {
    const Machine& m = machine;
    unsigned first = 0;
    while (m.fibres[first].finished) first++;
    const Fibre& f = m.fibres[first];
    char text[512];
    snprintf(text, sizeof text, "%s, block %u: deadlock: thread %u waits at %s, %s:%d; %u of %u threads have ended", m.kernel, block, first, f.waitsAt,
        f.place.name(), f.place.line, m.finished, m.threads);
    machine.violation = text;
    machine.error = launchFailed;
}

static void runBlock(unsigned block) {
    Machine& m = machine;
    m.blockStart = m.lastBarrier = m.time += tick;
    m.blockStarts.push_back(m.blockStart);
    memset(m.shared, 0xff, m.sharedBytes);
    for (unsigned w = 0; w < m.threads / 32; w++) {
        m.warps[w].arrived = 0;
        m.lastSync[w] = m.time;
    }
    m.finished = m.atBarrier = m.head = m.readyCount = 0;
    forgetWarpgroups();
    forgetBulkCopies();
    for (unsigned t = 0; t < m.threads; t++) {
        Fibre& f = m.fibres[t];
        f.thread = t;
        f.index = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
        f.finished = false;
        f.copies.clear();
        f.groupEnds.clear();
        f.firstCopy = f.firstGroup = 0;
        prepareFibre(t);
    }
    makeBlockReady(~0u);
    resume(takeReady());
    if (m.violation.empty() && m.finished < m.threads) reportDeadlock(block);
}

bool run(const Launch& launch) {
    Machine& m = machine;
    if (!m.shared) {
        m.shared = static_cast<char*>(reserve(mostShared));
        m.sharedWords = static_cast<Word*>(reserve(mostShared / 4 * sizeof(Word)));
        m.fibres.resize(maximumThreads);
    }
    m.violation.clear();
    m.kernel = launch.kernel;
    m.body = launch.body;
    m.parameters = launch.parameters;
    m.threads = launch.block.x * launch.block.y * launch.block.z;
    m.sharedBytes = launch.sharedBytes;
    if (m.threads == 0 || m.threads > maximumThreads || m.threads % 32 || m.sharedBytes > mostShared) {
        m.violation = "a block needs a multiple of 32 threads, at most 1024, and at most 256 KiB of shared memory";
        m.error = launchFailed;
        return false;
    }
    if (m.time >> 62) {
        fputs("the emulator's clock has run out\n", stderr);
        abort();
    }
    m.launchStart = m.time += tick;
    m.blockStarts.clear();
    m.counters.launches++;
    regions = launch.regions;
    blockDim = launch.block;
    gridDim = launch.grid;
    beginFaults();
    const uint64_t blocks = uint64_t(gridDim.x) * gridDim.y * gridDim.z;
    for (uint64_t b = 0; b < blocks && m.violation.empty(); b++) {
        blockIdx = {unsigned(b % gridDim.x), unsigned(b / gridDim.x % gridDim.y), unsigned(b / gridDim.x / gridDim.y)};
        runBlock(unsigned(b));
    }
    return m.violation.empty();
}

}  // namespace emu
