// Shared memory as products of warpgroups and bulk copies reach it: past the generic proxy, which a fence orders, and over a time.
#pragma once
#include "memory.h"

namespace emu {

// The current thread's fenceAsyncProxy.
void fenceProxy();

// Ends the launch where the words of [offset, offset + size) hold what a thread has written, other than by a bulk copy, without a fence since: its own
// last one, or, for others than the current thread, the last one that a barrier followed. `what`: reads, overwrites.
void requireFenced(size_t offset, size_t size, const char* what, Place place);

// Reads [offset, offset + size) from now on until `endRead`. The last writes of its words are added to `writes`.
void beginRead(size_t offset, size_t size, Several who, std::vector<uint64_t>& writes, Place place);
// Nobody has written to it meanwhile. `writes`: those of its words, which it moves behind. `what`: product, store.
void endRead(size_t offset, size_t size, Several who, const uint64_t*& writes, const char* what, Place place);

}  // namespace emu
