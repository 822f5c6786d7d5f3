// The stand-in driver: memory of devices, pinned memory of the host, copies.
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "driver.h"

namespace driver {

// MARK: Addresses

// Device memory has addresses of its own, so that none is used twice: a stretch of them is reserved, and freed ones are left without memory.
static char* reserveAddresses(size_t bytes) {
    static char *next = nullptr, *end = nullptr;
    for (size_t size = size_t(4) << 40; !next && size >= size_t(64) << 30; size /= 2) {
        void* memory = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) continue;
        next = static_cast<char*>(memory);
        end = next + size;
    }
    if (!next || size_t(end - next) < bytes) return nullptr;
    char* address = next;
    next += bytes;
    return address;
}

// Pages of 0xff that cost nothing before they are written: one file of them, mapped again and again.
static bool mapPoison(char* address, size_t bytes) {
    static constexpr size_t fileBytes = 16 << 20;
    static const int file = [] {
        const int descriptor = memfd_create("poison", MFD_CLOEXEC);
        if (descriptor < 0 || ftruncate(descriptor, fileBytes)) return -1;
        void* page = mmap(nullptr, fileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        if (page == MAP_FAILED) return -1;
        memset(page, 0xff, fileBytes);
        munmap(page, fileBytes);
        return descriptor;
    }();
    if (file < 0 || bytes < fileBytes) {
        if (mprotect(address, bytes, PROT_READ | PROT_WRITE)) return false;
        memset(address, 0xff, bytes);
        return true;
    }
    for (size_t at = 0; at < bytes; at += fileBytes) {
        const size_t part = std::min(fileBytes, bytes - at);
        if (mmap(address + at, part, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, 0) == MAP_FAILED) return false;
    }
    return true;
}

static Memory* memoryAt(Address address) {
    auto& all = state().memories;
    auto after = all.upper_bound(address);
    if (after == all.begin()) return nullptr;
    Memory* memory = std::prev(after)->second.get();
    return address - Address(memory->allocation.base) < memory->allocation.size ? memory : nullptr;
}

static void addRegion(Memory& memory, uintptr_t base, size_t size, const char* name) {
    memory.regions.push_back(std::make_unique<emu::Region>(emu::Region{base, size, &memory.allocation, name}));
    memory.context->regions.insert(memory.regions.back().get());
}
template <class Condition> static void removeRegions(Memory& memory, Condition isOld) {
    std::erase_if(memory.regions, [&](auto& region) {
        if (!isOld(*region)) return false;
        memory.context->regions.remove(region.get());
        return true;
    });
}
static void addWhole(Memory& memory) { addRegion(memory, uintptr_t(memory.allocation.base), memory.allocation.size, "allocation"); }

void freeMemory(Address address) {
    State& s = state();
    Memory& memory = *s.memories.at(address);
    removeRegions(memory, [](auto&) { return true; });
    memory.context->used -= memory.mapped;
    munmap(memory.allocation.words, memory.mapped / 4 * sizeof(emu::Word));
    mmap(memory.allocation.base, memory.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    s.memories.erase(address);
}

bool isInside(Context* context, Address address, size_t bytes) {
    const Memory* memory = memoryAt(address);
    if (!memory || memory->context != context || bytes > memory->allocation.size - (address - Address(memory->allocation.base))) return false;
    if (!memory->divided || bytes == 0 || (address == Address(memory->allocation.base) && bytes == memory->allocation.size)) return true;
    return context->regions.find(address, bytes);
}

int divide(Address address, size_t bytes, const char* name) {
    Memory* memory = memoryAt(address);
    if (!memory || bytes > memory->allocation.size - (address - Address(memory->allocation.base))) return 0;
    if (bytes == 0) {
        removeRegions(*memory, [](auto&) { return true; });
        addWhole(*memory);
        memory->divided = false;
        return 1;
    }
    const bool isFirst = !memory->divided;
    removeRegions(*memory, [&](const emu::Region& r) { return isFirst || (r.base < address + bytes && address < r.base + r.size); });
    addRegion(*memory, uintptr_t(address), bytes, name ? name : "part");
    memory->divided = true;
    return 1;
}

static bool isPinned(const void* p, size_t bytes) {
    auto& all = state().hostMemories;
    auto after = all.upper_bound(const_cast<void*>(p));
    if (after == all.begin()) return false;
    const auto& [base, memory] = *std::prev(after);
    return size_t(static_cast<const char*>(p) - static_cast<char*>(base)) + bytes <= memory.bytes;
}

static bool isCapturing(const std::shared_ptr<Stream>& stream) { return stream->capture != nullptr; }
static void* pointer(Address address) { return reinterpret_cast<void*>(address); }
static const char* const outside = "the device's memory does not have so many bytes there (or they are not in one part of it)";

}  // namespace driver

using namespace driver;

API cuMemGetInfo_v2(size_t* free, size_t* total) {
    CALL(context);
    REQUIRE(free && total, invalidValue, "no place for it");
    *total = state().memory;
    *free = *total - call.context->used;
    return success;
}

API cuMemAlloc_v2(Address* out, size_t bytes) {
    CALL(context);
    REQUIRE(out && bytes, invalidValue, "no bytes, or no place for their address");
    if (int result = refuseDuringCapture(call.context)) return result;
    const size_t page = 64 << 10, mapped = (bytes + page - 1) / page * page;
    if (bytes > state().memory || mapped > state().memory - call.context->used) return outOfMemory;
    char* base = reserveAddresses(mapped + page);
    void* words = mmap(nullptr, mapped / 4 * sizeof(emu::Word), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!base || words == MAP_FAILED || !mapPoison(base, mapped)) return outOfMemory;
    auto memory = std::make_unique<Memory>(Memory{call.context, {base, bytes, static_cast<emu::Word*>(words)}, mapped, false, {}});
    call.context->used += mapped;
    addWhole(*memory);
    *out = Address(base);
    state().memories[*out] = std::move(memory);
    return success;
}

// Waits for everything, as the driver does.
API cuMemFree_v2(Address address) {
    CALL(release);
    const auto found = state().memories.find(address);
    REQUIRE(found != state().memories.end(), invalidValue, "no allocation begins there");
    if (int result = refuseDuringCapture(call.context)) return result;
    const int result = runAll(call.context);
    REQUIRE(state().memories.contains(address), invalidValue, "another thread has freed it meanwhile");
    freeMemory(address);
    return result;
}

API cuMemHostAlloc(void** out, size_t bytes, unsigned) {
    CALL(context);
    REQUIRE(out && bytes, invalidValue, "no bytes, or no place for their address");
    if (int result = refuseDuringCapture(call.context)) return result;
    void* memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!memory) return outOfMemory;
    memset(memory, 0xff, bytes);
    state().hostMemories[memory] = {call.context, bytes};
    *out = memory;
    return success;
}

API cuMemFreeHost(void* p) {
    CALL(release);
    REQUIRE(state().hostMemories.contains(p), invalidValue, "no pinned memory begins there");
    if (int result = refuseDuringCapture(call.context)) return result;
    const int result = runAll(call.context);
    REQUIRE(state().hostMemories.erase(p), invalidValue, "another thread has freed it meanwhile");
    free(p);
    return result;
}

API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* handle) {
    CALL(context);
    const auto stream = findStream(call.context, handle);
    if (!stream) return invalidHandle;
    REQUIRE(from || !bytes, invalidValue, "no source");
    REQUIRE(isInside(call.context, to, bytes), invalidValue, outside);
    if (isPinned(from, bytes) || isCapturing(stream))
        return enqueue(stream, [=] { return memcpy(pointer(to), from, bytes), success; });
    auto staged = std::make_shared<std::vector<char>>(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
    return enqueue(stream, [=] { return memcpy(pointer(to), staged->data(), bytes), success; });
}

API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* handle) {
    CALL(context);
    const auto stream = findStream(call.context, handle);
    if (!stream) return invalidHandle;
    REQUIRE(to || !bytes, invalidValue, "no target");
    REQUIRE(isInside(call.context, from, bytes), invalidValue, outside);
    const bool isLater = isPinned(to, bytes) || isCapturing(stream);
    if (int result = enqueue(stream, [=] { return memcpy(to, pointer(from), bytes), success; })) return result;
    return isLater ? int(success) : runUntil({stream, stream->queued});
}

API cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void* handle) {
    CALL(context);
    const auto stream = findStream(call.context, handle);
    if (!stream) return invalidHandle;
    REQUIRE(isInside(call.context, to, bytes) && isInside(call.context, from, bytes), invalidValue, outside);
    REQUIRE(to + bytes <= from || from + bytes <= to, invalidValue, "source and target overlap");
    return enqueue(stream, [=] { return memcpy(pointer(to), pointer(from), bytes), success; });
}

API cuMemsetD8Async(Address to, unsigned char value, size_t count, void* handle) {
    CALL(context);
    const auto stream = findStream(call.context, handle);
    if (!stream) return invalidHandle;
    REQUIRE(isInside(call.context, to, count), invalidValue, outside);
    return enqueue(stream, [=] { return memset(pointer(to), value, count), success; });
}

API cuMemsetD32Async(Address to, unsigned value, size_t count, void* handle) {
    CALL(context);
    const auto stream = findStream(call.context, handle);
    if (!stream) return invalidHandle;
    REQUIRE(to % 4 == 0 && count < size_t(1) << 60 && isInside(call.context, to, 4 * count), invalidValue, outside);
    return enqueue(stream, [=] { return std::fill_n(static_cast<unsigned*>(pointer(to)), count, value), success; });
}
