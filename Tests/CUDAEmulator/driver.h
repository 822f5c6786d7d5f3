// The stand-in driver's own state. One mutex: the machine that runs kernels is one.
#pragma once
#include <stdio.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "launch.h"

namespace nccl {
struct Communicator;
}

namespace driver {

// CUresult, as the driver's documentation numbers it.
enum Result : int {
    success = 0, invalidValue = 1, outOfMemory = 2, notInitialized = 3, noDevice = 100, invalidDevice = 101, invalidImage = 200,
    invalidContext = 201, invalidHandle = 400, notFound = 500, notReady = 600, contextIsDestroyed = 709, notSupported = 801,
    captureUnsupported = 900, captureInvalidated = 901, captureUnmatched = 903, captureUnjoined = 904, captureIsolation = 905,
    captureImplicit = 906, capturedEvent = 907, captureWrongThread = 908,
};

using Address = unsigned long long;

// What a device of a compute capability can do.
struct Architecture {
    int major, minor;
    int sharedPerBlock, sharedPerMultiprocessor, threadsPerMultiprocessor;
};

struct Context {
    int device = 0;
    unsigned retained = 0;
    int error = 0;  // sticky
    size_t used = 0;
    emu::Regions regions;
};

struct Kernel {
    const char* name;
    unsigned threads;
    int blocks;
    size_t sharedBytes, parameterBytes;
    void (*body)(const void*);
};
const std::vector<Kernel>& kernelTable();

struct Memory {
    Context* context;
    emu::Allocation allocation;
    size_t mapped;
    bool divided = false;
    std::vector<std::unique_ptr<emu::Region>> regions;
};
struct HostMemory {
    Context* context;
    size_t bytes;
};

struct Module {
    Context* context;
};
struct Function {
    Context* context;
    std::shared_ptr<Module> module;
    const Kernel* kernel;
    int sharedLimit = 48 << 10;  // without an attribute that asks for more
};

// MARK: Streams

struct Stream;
// So much of a stream must be done.
struct Marker {
    std::shared_ptr<Stream> stream;
    uint64_t count = 0;
};
// Gives an error of the driver's, or `notYet`: it waits for another process, and is to be called again.
using Work = std::function<int()>;
constexpr int notYet = -1;
struct Operation {
    Work work;
    std::vector<Marker> after;
};

struct Node {
    Work work;
    std::vector<size_t> after;
};
struct Graph {
    Context* context = nullptr;
    std::vector<Node> nodes;
};
struct Capture {
    std::shared_ptr<Graph> graph = std::make_shared<Graph>();
    Stream* origin = nullptr;
    std::vector<std::shared_ptr<Stream>> streams;  // that take part
    int mode = 0;
    std::thread::id thread;
    bool isInvalid = false, hasEnded = false;
};

struct Stream {
    Context* context = nullptr;
    bool waitsForDefault = true;  // not CU_STREAM_NON_BLOCKING
    std::deque<Operation> queue;
    uint64_t queued = 0, done = 0;
    std::shared_ptr<Capture> capture;
    std::vector<size_t> tails;  // of the capture: the nodes that the next one comes after
};
struct Event {
    Context* context = nullptr;
    bool hasTime = true;
    Marker marker;                             // no stream: never recorded
    std::shared_ptr<double> milliseconds;      // when it happened
    std::shared_ptr<Capture> capture;          // where it was recorded in one
    std::vector<size_t> nodes;
};

// MARK: Handles

// Never used twice, so that one that was destroyed is always noticed.
template <class T> struct Handles {
    std::map<void*, std::shared_ptr<T>> live;

    void* add(std::shared_ptr<T> value);
    std::shared_ptr<T> find(void* handle) const {
        const auto i = live.find(handle);
        return i == live.end() ? nullptr : i->second;
    }
};

struct Failure {
    std::string call;
    int result, after;
};

struct State {
    std::mutex mutex;
    bool isInitialized = false, runsEarly = false;
    Architecture architecture{9, 0, 232448, 233472, 2048};
    size_t memory = size_t(4) << 30;
    int multiprocessors = 132;
    std::vector<std::unique_ptr<Context>> contexts;  // primary ones, one a device
    uintptr_t nextHandle = 0x10000;
    std::map<Address, std::unique_ptr<Memory>> memories;
    std::map<void*, HostMemory> hostMemories;
    Handles<Module> modules;
    Handles<Function> functions;
    Handles<Stream> streams;
    Handles<Event> events;
    Handles<Graph> graphs, executables;
    Handles<nccl::Communicator> communicators;
    std::map<Context*, std::shared_ptr<Stream>> defaults;
    std::vector<std::shared_ptr<Stream>> orphans;  // destroyed with work to do
    std::vector<Failure> failures;
    std::map<std::string, emu::Counters> counters;
    FILE* launches = nullptr;  // where each launch's counters are written, if anywhere
    std::string violation, leaked;
};
State& state();

template <class T> void* Handles<T>::add(std::shared_ptr<T> value) {
    void* handle = reinterpret_cast<void*>(state().nextHandle += 16);
    live[handle] = std::move(value);
    return handle;
}

template <class T> int destroy(Handles<T>& handles, Context* context, void* handle) {
    const auto found = handles.find(handle);
    if (!found || found->context != context) return invalidHandle;
    handles.live.erase(handle);
    return context->error;
}

// MARK: Calls

// release: of a context that may have failed, so that what is given back then is not taken for a leak.
enum class Needs { nothing, initialization, context, release };

// Every function of the API begins with one: it takes the lock, fails where it was told to, and knows whether to go on.
struct Call {
    std::lock_guard<std::mutex> lock;
    Context* context = nullptr;  // the thread's, alive, where it is needed
    int result = success;        // other than success: return it
    Call(const char* name, Needs needs);
};
Context*& currentContext();

// Says why, and gives the number back.
int refuse(int result, const std::string& why);

// 900, and the end of a capture that does not allow calls like this one; otherwise success.
int refuseDuringCapture(Context* context);

std::shared_ptr<Stream> findStream(Context* context, void* handle);
// Puts work behind what the stream has to do, and behind `after`, or into the graph it captures.
int enqueue(const std::shared_ptr<Stream>& stream, Work work, std::vector<Marker> after = {});
// Runs what can be run of it now; true where all of it is done.
bool advance(const Marker& marker);
// A moment of waiting for other processes: the work of all streams goes on as far as it can, as it would on a device, and the mutex is given away.
void waitForOthers();
// They wait so until all of it is done: what was looked up before may be gone then.
int runUntil(Marker marker);
int runAll(Context* context);
void endContext(Context* context);
void freeMemory(Address address);
// Whether [address, address + bytes) is in one allocation; where that is divided, in one part or all of it.
bool isInside(Context* context, Address address, size_t bytes);

std::string line(const std::string& kernel, const emu::Counters& counters);
std::string live(Context* only);
int divide(Address address, size_t bytes, const char* name);

}  // namespace driver

#define API extern "C" __attribute__((visibility("default"))) int
#define CALL(needs)                       \
    Call call(__func__, Needs::needs);    \
    if (call.result) return call.result
#define REQUIRE(condition, result, why) \
    if (!(condition)) return refuse(result, std::string(__func__) + ": " + why)
