// What a block of threads is made of while it runs: fibres, warps, shared memory, and the clock by which accesses are ordered.
#pragma once
#include <stdint.h>

#include <string>
#include <vector>

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emu {

// Where in the kernels an operation stands. As a defaulted argument it is the place of the call.
struct Place {
    const char* file = "";
    int line = 0;
    static constexpr Place here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
    const char* name() const {
        const char* last = file;
        for (const char* c = file; *c; c++)
            if (*c == '/') last = c + 1;
        return last;
    }
    bool operator==(const Place&) const = default;
};

// What CUDA calls the error; the numbers are the driver's.
enum Error : int { illegalAddress = 700, misalignedAddress = 716, launchFailed = 719 };

// A 16-byte copy under way: it happens when its thread waits for it, as late as it may.
struct Copy {
    char* target;
    const char* source;  // null: zeros
    Place place;
};

struct Fibre {
    void* stackPointer;
    unsigned thread;
    bool finished;
    dim3 index;
    const char* waitsAt;
    Place place;
    // Copies [firstCopy...] are under way; group g ends at groupEnds[g]; groups [firstGroup...] are under way.
    std::vector<Copy> copies;
    std::vector<size_t> groupEnds;
    size_t firstCopy, firstGroup;
};

struct Warp {
    unsigned arrived;
    const char* operation;
    Place place;
    void* arguments[32];
};

// Who touched four bytes last, as one number each (memory.h).
struct Word {
    uint64_t write, read;
};

struct Counters {
    uint64_t launches = 0;
    uint64_t bytesRead = 0, bytesWritten = 0;          // global memory, as the threads asked for it: before any cache
    uint64_t distinctRead = 0, distinctWritten = 0;    // of it, each word of four bytes once a launch; a word is not read that was written before
    uint64_t multiplyAdds = 0;                         // inside mma and wgmma
    uint64_t matrixWavefronts = 0, matrixRows = 0;     // ldmatrix: cycles of the banks, and 8-row phases (each at least one cycle, of 128 bytes)
    uint64_t warpgroupBytes = 0;                       // of shared memory that wgmma reads: each operand once for the four warps

    void add(const Counters& other) {
        for (auto n : {&Counters::launches, &Counters::bytesRead, &Counters::bytesWritten, &Counters::distinctRead, &Counters::distinctWritten,
                 &Counters::multiplyAdds, &Counters::matrixWavefronts, &Counters::matrixRows, &Counters::warpgroupBytes})
            this->*n += other.*n;
    }
};

constexpr unsigned maximumThreads = 1024;

struct Machine {
    Fibre* current = nullptr;
    void* mainStack = nullptr;
    std::vector<Fibre> fibres;  // maximumThreads of them from the first launch on
    Warp warps[maximumThreads / 32];
    uint16_t ready[maximumThreads];  // a ring of threads that may go on
    unsigned head = 0, readyCount = 0;
    unsigned threads = 0, finished = 0, atBarrier = 0;
    Place barrierPlace;

    // The clock moves at every launch, block, barrier, syncWarp and fenceAsyncProxy. These are its readings, in units of `tick` (memory.h).
    uint64_t time = 0, launchStart = 0, blockStart = 0, lastBarrier = 0, lastSync[maximumThreads / 32];
    std::vector<uint64_t> blockStarts;  // of this launch: which block an earlier access belongs to
    // Each thread's last fenceAsyncProxy; and its last one before the last barrier, behind which everybody's products see what it wrote.
    uint64_t proxyFence[maximumThreads] = {}, proxyFenced[maximumThreads] = {};

    char* shared = nullptr;
    size_t sharedBytes = 0;
    Word* sharedWords = nullptr;

    const char* kernel = "";
    void (*body)(const void*) = nullptr;
    const void* parameters = nullptr;
    Counters counters;

    Error error = launchFailed;
    std::string violation;  // empty: none in this launch
};
inline Machine machine;

// Switches, set between launches.
inline uint64_t seed = 1;            // decides the order in which fibres run; never 0
inline bool checksRaces = true;      // what happens-before needs; off is faster
inline bool truncatesSums = false;   // mma rounds sums towards zero, as tensor cores may, instead of to nearest

inline unsigned random(unsigned bound) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return unsigned(((seed >> 32) * bound) >> 32);
}

// Ends the launch. Called on a fibre, whose stack is then abandoned: it must own nothing.
[[noreturn]] [[gnu::cold]] [[gnu::format(printf, 3, 4)]] void fail(Error error, Place place, const char* format, ...);

}  // namespace emu
