// The stand-in driver: devices, contexts, errors.
#include <stdlib.h>

#include <algorithm>

#include "nccl_communicator.h"

namespace driver {

State& state() {
    static State& all = *new State;  // never destroyed: a program may end while it is in use
    return all;
}

Context*& currentContext() {
    static thread_local Context* context = nullptr;
    return context;
}

int refuse(int result, const std::string& why) {
    state().violation = why;
    return result;
}

static int injected(const std::string& name) {
    auto& failures = state().failures;
    for (auto f = failures.begin(); f != failures.end(); f++) {
        if ((f->call != name && f->call + "_v2" != name) || --f->after > 0) continue;
        const int result = f->result;
        failures.erase(f);
        return result;
    }
    return success;
}

Call::Call(const char* name, Needs needs) : lock(state().mutex) {
    if ((result = injected(name)) || needs == Needs::nothing) return;
    if (!state().isInitialized) {
        result = notInitialized;
        return;
    }
    if (needs == Needs::initialization) return;
    context = currentContext();
    if (!context) result = invalidContext;
    else if (!context->retained) result = contextIsDestroyed;
    else if (needs == Needs::context) result = context->error;
}

static const Architecture architectures[] = {
    {7, 5, 65536, 65536, 1024},   {8, 0, 166912, 167936, 2048}, {8, 6, 101376, 102400, 1536},  {8, 9, 101376, 102400, 1536},
    {9, 0, 232448, 233472, 2048}, {10, 0, 232448, 233472, 2048}, {12, 0, 101376, 102400, 1536},
};

// The devices that CUDA_VISIBLE_DEVICES leaves.
static size_t visibleDevices(size_t all) {
    const char* text = getenv("CUDA_VISIBLE_DEVICES");
    if (!text) return all;
    std::set<unsigned long> seen;
    for (;;) {
        char* end;
        const unsigned long index = strtoul(text, &end, 10);
        if (end == text || (*end && *end != ',') || index >= all) break;
        if (!seen.insert(index).second) return 0;  // one named twice: none is visible
        if (!*end) break;
        text = end + 1;
    }
    return seen.size();
}

static bool readEnvironment() {
    State& s = state();
    if (const char* bytes = getenv("CUDA_EMULATOR_MEMORY")) s.memory = strtoull(bytes, nullptr, 0);
    if (const char* count = getenv("CUDA_EMULATOR_MULTIPROCESSORS")) s.multiprocessors = atoi(count);
    if (s.multiprocessors < 1) return false;
    if (const char* path = getenv("CUDA_EMULATOR_LAUNCHES"))
        if (!(s.launches = fopen(path, "a"))) return false;
    if (const char* seed = getenv("CUDA_EMULATOR_SEED")) emu::seed = strtoull(seed, nullptr, 0) * 2 + 1;
    if (const char* races = getenv("CUDA_EMULATOR_RACES")) emu::checksRaces = atoi(races);
    if (const char* early = getenv("CUDA_EMULATOR_EARLY")) s.runsEarly = atoi(early);
    if (const char* capability = getenv("CUDA_EMULATOR_CAPABILITY")) {
        const auto isAsked = [&](const Architecture& a) { return std::to_string(a.major) + "." + std::to_string(a.minor) == capability; };
        const auto found = std::find_if(std::begin(architectures), std::end(architectures), isAsked);
        if (found == std::end(architectures)) return false;
        s.architecture = *found;
    }
    if (const char* failure = getenv("CUDA_EMULATOR_FAIL")) {
        const std::string text = failure;
        const size_t first = text.find(':'), second = text.find(':', first + 1);
        if (second == std::string::npos) return false;
        s.failures.push_back({text.substr(0, first), atoi(text.c_str() + first + 1), atoi(text.c_str() + second + 1)});
    }
    const char* devices = getenv("CUDA_EMULATOR_DEVICES");
    for (size_t d = 0, all = visibleDevices(devices ? strtoul(devices, nullptr, 10) : 1); d < all; d++) {
        s.contexts.push_back(std::make_unique<Context>());
        s.contexts.back()->device = int(d);
    }
    return true;
}

// The default stream of a context, and then everything else that it still has, ends with it.
void endContext(Context* context) {
    State& s = state();
    if (!context->error) {
        const std::string left = live(context);
        for (size_t at = 0; at < left.size(); at = left.find('\n', at) + 1) s.leaked += "leaked " + left.substr(at, left.find('\n', at) + 1 - at);
    }
    for (auto& [handle, communicator] : s.communicators.live)
        if (communicator->context == context) communicator->leave(nccl::Stage::aborted);
    const auto drop = [&](auto& handles) { std::erase_if(handles.live, [&](auto& entry) { return entry.second->context == context; }); };
    for (auto& [handle, stream] : s.streams.live)
        if (stream->context == context) stream->queue.clear(), stream->capture = nullptr;
    // Another thread may be waiting for one of these.
    for (auto& stream : s.orphans)
        if (stream->context == context) stream->queue.clear();
    if (const auto found = s.defaults.find(context); found != s.defaults.end()) found->second->queue.clear();
    drop(s.modules), drop(s.functions), drop(s.streams), drop(s.events), drop(s.graphs), drop(s.executables), drop(s.communicators);
    std::erase_if(s.orphans, [&](auto& stream) { return stream->context == context; });
    s.defaults.erase(context);
    std::vector<Address> addresses;
    for (auto& [address, memory] : s.memories)
        if (memory->context == context) addresses.push_back(address);
    for (Address address : addresses) freeMemory(address);
    for (auto i = s.hostMemories.begin(); i != s.hostMemories.end();) {
        if (i->second.context != context) {
            i++;
            continue;
        }
        free(i->first);
        i = s.hostMemories.erase(i);
    }
    context->error = success;
}

static bool isDevice(int device) { return device >= 0 && size_t(device) < state().contexts.size(); }

}  // namespace driver

using namespace driver;

API cuInit(unsigned flags) {
    CALL(nothing);
    REQUIRE(flags == 0, invalidValue, "flags must be 0");
    if (!state().isInitialized) {
        REQUIRE(readEnvironment(), invalidValue, "an environment variable of the emulator is not understood");
        if (state().contexts.empty()) return noDevice;
        state().isInitialized = true;
    }
    return success;
}

API cuDriverGetVersion(int* version) {
    CALL(nothing);
    REQUIRE(version, invalidValue, "no place for it");
    *version = 13000;
    return success;
}

API cuDeviceGetCount(int* count) {
    CALL(initialization);
    REQUIRE(count, invalidValue, "no place for it");
    *count = int(state().contexts.size());
    return success;
}

API cuDeviceGet(int* device, int ordinal) {
    CALL(initialization);
    REQUIRE(device, invalidValue, "no place for it");
    if (!isDevice(ordinal)) return invalidDevice;
    *device = ordinal;
    return success;
}

API cuDeviceGetName(char* name, int length, int device) {
    CALL(initialization);
    REQUIRE(name && length > 0, invalidValue, "no place for it");
    if (!isDevice(device)) return invalidDevice;
    strncpy(name, "CUDA emulator", size_t(length));
    name[length - 1] = 0;
    return success;
}

API cuDeviceGetAttribute(int* value, int attribute, int device) {
    CALL(initialization);
    REQUIRE(value, invalidValue, "no place for it");
    if (!isDevice(device)) return invalidDevice;
    const Architecture& a = state().architecture;
    const std::map<int, int> values = {
        {1, 1024}, {2, 1024}, {3, 1024}, {4, 64},          // threads of a block, and its x, y, z
        {5, 0x7fffffff}, {6, 65535}, {7, 65535},           // a grid's x, y, z
        {8, 48 << 10}, {97, a.sharedPerBlock},             // shared memory of a block, and for those that ask
        {9, 64 << 10}, {10, 32}, {12, 65536}, {82, 65536}, // constant memory, warp, registers of a block and of a multiprocessor
        {13, 1'980'000}, {16, state().multiprocessors}, {36, 2'619'000},       // clock in kHz, multiprocessors, the memory's clock in kHz
        {37, 5120}, {38, 50 << 20}, {39, a.threadsPerMultiprocessor},  // memory bus in bits, L2 in bytes
        {17, 0}, {18, 0}, {19, 1}, {20, 0}, {31, 1}, {32, 1}, {33, 1 + device}, {34, 0}, {40, 3}, {41, 1}, {50, 0},
        {75, a.major}, {76, a.minor}, {81, a.sharedPerMultiprocessor}, {106, 32}, {111, 1024},
    };
    const auto found = values.find(attribute);
    REQUIRE(found != values.end(), invalidValue, "the emulator does not know attribute " + std::to_string(attribute));
    *value = found->second;
    return success;
}

API cuDeviceTotalMem_v2(size_t* bytes, int device) {
    CALL(initialization);
    REQUIRE(bytes, invalidValue, "no place for it");
    if (!isDevice(device)) return invalidDevice;
    *bytes = state().memory;
    return success;
}

API cuDevicePrimaryCtxRetain(void** context, int device) {
    CALL(initialization);
    REQUIRE(context, invalidValue, "no place for it");
    if (!isDevice(device)) return invalidDevice;
    Context* primary = state().contexts[size_t(device)].get();
    if (primary->error) return primary->error;
    primary->retained++;
    *context = primary;
    return success;
}

API cuDevicePrimaryCtxRelease_v2(int device) {
    CALL(initialization);
    if (!isDevice(device)) return invalidDevice;
    Context* primary = state().contexts[size_t(device)].get();
    REQUIRE(primary->retained, invalidContext, "it is not retained");
    if (--primary->retained == 0) endContext(primary);
    return success;
}

API cuDevicePrimaryCtxReset_v2(int device) {
    CALL(initialization);
    if (!isDevice(device)) return invalidDevice;
    endContext(state().contexts[size_t(device)].get());
    return success;
}

API cuCtxSetCurrent(void* context) {
    CALL(initialization);
    const auto& all = state().contexts;
    const bool isKnown = std::any_of(all.begin(), all.end(), [&](auto& c) { return c.get() == context; });
    REQUIRE(!context || isKnown, invalidContext, "it is no context");
    currentContext() = static_cast<Context*>(context);
    return success;
}

API cuCtxGetCurrent(void** context) {
    CALL(initialization);
    REQUIRE(context, invalidValue, "no place for it");
    *context = currentContext();
    return success;
}

API cuCtxSynchronize(void) {
    CALL(context);
    if (int result = refuseDuringCapture(call.context)) return result;
    return runAll(call.context);
}

namespace {
struct ErrorText {
    int number;
    const char *name, *text;
};
const ErrorText errors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {709, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"},
    {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
    {905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
    {906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
    {907, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
    {908, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture sequence from another thread"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};
}  // namespace

static int describe(int error, const char** out, const char* ErrorText::*field) {
    if (!out) return invalidValue;
    *out = nullptr;
    for (const ErrorText& e : errors)
        if (e.number == error) *out = e.*field;
    return *out ? success : invalidValue;
}
API cuGetErrorName(int error, const char** name) { return describe(error, name, &ErrorText::name); }
API cuGetErrorString(int error, const char** text) { return describe(error, text, &ErrorText::text); }
