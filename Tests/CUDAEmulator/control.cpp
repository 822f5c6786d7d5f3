// What tests tell the emulator, and ask it.
#include "CUDAEmulator.h"

#include <stdio.h>

#include "nccl_communicator.h"

namespace driver {

template <class T> static void list(std::string& text, const char* kind, const Handles<T>& handles, Context* only) {
    for (auto& [handle, value] : handles.live) {
        char line[96];
        snprintf(line, sizeof line, "%s\t%p\t0\n", kind, handle);
        if (!only || value->context == only) text += line;
    }
}

// As emulator_counters has it.
std::string line(const std::string& kernel, const emu::Counters& c) {
    std::string text = kernel;
    for (uint64_t n : {c.launches, c.bytesRead, c.bytesWritten, c.distinctRead, c.distinctWritten, c.multiplyAdds, c.matrixWavefronts, c.matrixRows,
             c.warpgroupBytes})
        text += "\t" + std::to_string(n);
    return text + "\n";
}

// Of one context, or of all.
std::string live(Context* only) {
    const State& s = state();
    std::string text;
    char line[96];
    for (auto& [address, memory] : s.memories) {
        snprintf(line, sizeof line, "device memory\t0x%llx\t%zu\n", address, memory->allocation.size);
        if (!only || memory->context == only) text += line;
    }
    for (auto& [address, memory] : s.hostMemories) {
        snprintf(line, sizeof line, "pinned memory\t%p\t%zu\n", address, memory.bytes);
        if (!only || memory.context == only) text += line;
    }
    list(text, "module", s.modules, only);
    list(text, "stream", s.streams, only);
    list(text, "event", s.events, only);
    list(text, "graph", s.graphs, only);
    list(text, "executable graph", s.executables, only);
    list(text, "communicator", s.communicators, only);
    return text;
}

}  // namespace driver

using namespace driver;

#define EXPORT extern "C" __attribute__((visibility("default")))
#define LOCK const std::lock_guard<std::mutex> lock(state().mutex)
// Keeps the text that a function gave last.
#define KEEP(value)                 \
    static std::string& kept = *new std::string; \
    kept = value;                   \
    return kept.c_str()

EXPORT const char* emulator_violation(void) {
    LOCK;
    KEEP(state().violation);
}

EXPORT void emulator_reset(void) {
    LOCK;
    State& s = state();
    s.violation.clear();
    s.leaked.clear();
    s.failures.clear();
    s.counters.clear();
    for (auto& context : s.contexts) context->error = success;
    emu::plant("");
    emu::recordSites(true);
    emu::recordSites(false);
}

EXPORT void emulator_seed(uint64_t seed) {
    LOCK;
    emu::seed = seed * 2 + 1;
}

EXPORT void emulator_truncate_sums(int on) {
    LOCK;
    emu::truncatesSums = on;
}

EXPORT void emulator_record_sites(int on) {
    LOCK;
    emu::recordSites(on);
}

EXPORT const char* emulator_sites(void) {
    LOCK;
    KEEP(emu::recordedSites());
}

EXPORT int emulator_plant(const char* site) {
    LOCK;
    return emu::plant(site ? site : "");
}

EXPORT int emulator_divide(uint64_t address, size_t bytes, const char* name) {
    LOCK;
    return divide(address, bytes, name);
}

EXPORT const char* emulator_counters(void) {
    LOCK;
    std::string text;
    for (auto& [kernel, counters] : state().counters) text += line(kernel, counters);
    KEEP(text);
}

EXPORT void emulator_fail(const char* call, int result, int after) {
    LOCK;
    state().failures.push_back({call, result, after});
}

EXPORT const char* emulator_live(void) {
    LOCK;
    KEEP(state().leaked + live(nullptr));
}
