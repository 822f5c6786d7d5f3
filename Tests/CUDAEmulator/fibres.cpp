#include "bulk.h"
#include "warpgroups.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

namespace emu {

void fail(Error error, Place place, const char* format, ...) {
    char what[512], text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(text, sizeof text, "%s, block (%u,%u,%u) thread %u, %s:%d: %s", machine.kernel, blockIdx.x, blockIdx.y, blockIdx.z,
        machine.current->thread, place.name(), place.line, what);
    machine.error = error;
    machine.violation = text;
    resumeMain();
    abort();
}

static void entry() {
    machine.body(machine.parameters);
    Fibre& self = *machine.current;
    if (self.firstCopy < self.copies.size())
        fail(launchFailed, self.copies[self.firstCopy].place, "the kernel ends with this asynchronous copy still in flight");
    requireNoProducts();
    requireNoBoxes();
    self.finished = true;
    machine.finished++;
    suspend("the end", {});
    abort();
}

// A stack overflow ends at a page that cannot be touched. Tops are spread over the sets of the cache.
static constexpr size_t stackBytes = 256 << 10, guardBytes = 64 << 10, spread = 320;

void prepareFibre(unsigned thread) {
    static char* stacks = nullptr;
    if (!stacks) {
        const size_t bytes = maximumThreads * stackBytes;
        void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) {
            perror("the emulator's stacks");
            abort();
        }
        stacks = static_cast<char*>(memory);
        for (unsigned t = 0; t < maximumThreads; t++) mprotect(stacks + t * stackBytes, guardBytes, PROT_NONE);
    }
    char* top = stacks + (thread + 1) * stackBytes - thread % 64 * spread;
#if defined(__x86_64__)
    void** frame = reinterpret_cast<void**>(top - 16) - 6;  // six registers, then where to go; at entry the stack is 8 off 16
    memset(frame, 0, 8 * sizeof(void*));
    frame[6] = reinterpret_cast<void*>(entry);
#else
    void** frame = reinterpret_cast<void**>(top - 160);
    memset(frame, 0, 160);
    frame[11] = reinterpret_cast<void*>(entry);  // x30
#endif
    machine.fibres[thread].stackPointer = frame;
}

}  // namespace emu
