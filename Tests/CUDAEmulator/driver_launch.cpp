// The stand-in driver: modules, functions, launches.
#include <algorithm>

#include "driver.h"

namespace driver {

static Kernel const* findKernel(const std::string& name) {
    for (const Kernel& kernel : kernelTable())
        if (kernel.name == name) return &kernel;
    return nullptr;
}

static int runKernel(const Kernel& kernel, Context* context, dim3 grid, dim3 block, size_t sharedBytes, const void* parameters) {
    emu::machine.counters = {};
    const bool isRight = emu::run({kernel.name, grid, block, sharedBytes, kernel.body, parameters, &context->regions});
    const emu::Counters& c = emu::machine.counters;
    state().counters[kernel.name].add(c);
    if (FILE* log = state().launches) {
        fputs(line(kernel.name, c).c_str(), log);
        fflush(log);
    }
    return isRight ? int(success) : refuse(emu::machine.error, emu::machine.violation);
}

}  // namespace driver

using namespace driver;

// What is inside an image cannot be looked at: it may be of another build, or for another architecture, and a card would notice.
API cuModuleLoadData(void** out, const void* image) {
    CALL(context);
    REQUIRE(out && image, invalidValue, "no image, or no place for the module");
    if (int result = refuseDuringCapture(call.context)) return result;
    REQUIRE(*static_cast<const char*>(image), invalidImage, "the image begins with 0");
    *out = state().modules.add(std::make_shared<Module>(Module{call.context}));
    return success;
}

API cuModuleUnload(void* handle) {
    CALL(release);
    const auto module = state().modules.find(handle);
    if (!module) return invalidHandle;
    const int result = runAll(call.context);
    std::erase_if(state().functions.live, [&](auto& entry) { return entry.second->module == module; });
    state().modules.live.erase(handle);
    return result;
}

API cuModuleGetFunction(void** out, void* handle, const char* name) {
    CALL(context);
    REQUIRE(out && name, invalidValue, "no name, or no place for the function");
    const auto module = state().modules.find(handle);
    if (!module) return invalidHandle;
    const Kernel* kernel = findKernel(name);
    REQUIRE(kernel, notFound, "no kernel has the name " + name);
    for (auto& [known, function] : state().functions.live)
        if (function->module == module && function->kernel == kernel) return *out = known, success;
    *out = state().functions.add(std::make_shared<Function>(Function{call.context, module, kernel}));
    return success;
}

API cuFuncSetAttribute(void* handle, int attribute, int value) {
    CALL(context);
    const auto function = state().functions.find(handle);
    if (!function) return invalidHandle;
    REQUIRE(attribute == 8 || attribute == 9, invalidValue, "this attribute cannot be set");
    if (attribute == 9) {  // how much of the cache should be shared memory, in percent: a wish
        REQUIRE(value >= -1 && value <= 100, invalidValue, "not a percentage");
        return success;
    }
    REQUIRE(value >= 0 && value <= state().architecture.sharedPerBlock, invalidValue, "a block of this device cannot have so much shared memory");
    function->sharedLimit = value;
    return success;
}

API cuFuncGetAttribute(int* value, int attribute, void* handle) {
    CALL(context);
    REQUIRE(value, invalidValue, "no place for it");
    const auto function = state().functions.find(handle);
    if (!function) return invalidHandle;
    const Architecture& a = state().architecture;
    const int version = 10 * a.major + a.minor;
    // Threads of a block at most; static shared, constant and local memory; registers; PTX and binary version; caching; dynamic shared memory; carveout.
    const int values[] = {int(function->kernel->threads), 0, 0, 0, 128, version, version, 0, function->sharedLimit, -1};
    REQUIRE(attribute >= 0 && attribute < 10, invalidValue, "the emulator does not know this attribute");
    *value = values[attribute];
    return success;
}

API cuFuncGetParamInfo(void* handle, size_t index, size_t* offset, size_t* size) {
    CALL(context);
    const auto function = state().functions.find(handle);
    if (!function) return invalidHandle;
    REQUIRE(index == 0 && offset, invalidValue, "it has one parameter");
    *offset = 0;
    if (size) *size = function->kernel->parameterBytes;
    return success;
}

API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, void* handle, int threads, size_t sharedBytes) {
    CALL(context);
    const auto function = state().functions.find(handle);
    if (!function) return invalidHandle;
    REQUIRE(blocks && threads > 0, invalidValue, "no threads, or no place for the number");
    const Architecture& a = state().architecture;
    // A block's shared memory is its own and 1 KiB of the system's. What registers allow is taken to be what the kernel was compiled for.
    const int byShared = int(size_t(a.sharedPerMultiprocessor) / (sharedBytes + 1024)), byThreads = a.threadsPerMultiprocessor / threads;
    const bool fits = unsigned(threads) <= function->kernel->threads && sharedBytes <= size_t(a.sharedPerBlock);
    *blocks = fits ? std::min({byShared, byThreads, function->kernel->blocks}) : 0;
    return success;
}

API cuLaunchKernel(void* handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned sharedBytes, void* streamHandle,
    void** parameters, void** extra) {
    CALL(context);
    const auto function = state().functions.find(handle);
    const auto stream = findStream(call.context, streamHandle);
    if (!function || !stream || function->context != call.context) return invalidHandle;
    const Kernel& kernel = *function->kernel;
    const auto wrong = [&](const std::string& what) { return refuse(invalidValue, "cuLaunchKernel: " + std::string(kernel.name) + ": " + what); };
    if (!parameters || !parameters[0] || extra) return wrong("its parameter comes by the list of parameters");
    if (!gx || !gy || !gz || gx > 0x7fffffff || gy > 65535 || gz > 65535) return wrong("no device can have such a grid");
    if (uint64_t(bx) * by * bz != kernel.threads)
        return wrong("it is compiled for " + std::to_string(kernel.threads) + " threads, not " + std::to_string(uint64_t(bx) * by * bz));
    if (sharedBytes < kernel.sharedBytes)
        return wrong("it uses " + std::to_string(kernel.sharedBytes) + " bytes of shared memory, not " + std::to_string(sharedBytes));
    if (sharedBytes > unsigned(function->sharedLimit))
        return wrong(std::to_string(sharedBytes) + " bytes of shared memory are more than its attribute allows");
    struct alignas(128) Line {  // as a tensor_map is aligned
        char bytes[128];
    };
    auto copied = std::make_shared<std::vector<Line>>((kernel.parameterBytes + 127) / 128);
    memcpy(copied->data(), parameters[0], kernel.parameterBytes);
    Context* context = call.context;
    return enqueue(stream, [=, &kernel] {
        return runKernel(kernel, context, {gx, gy, gz}, {bx, by, bz}, sharedBytes, copied->data());
    });
}
