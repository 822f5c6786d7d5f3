// The stand-in for NCCL: ids, communicators, groups, errors.
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <iterator>
#include <utility>

#include "nccl_communicator.h"

namespace nccl {

Group& group() {
    static thread_local Group all;
    return all;
}

int Communicator::state() {
    if (int result = check()) return result;
    isReady = true;
    for (auto& launch : std::exchange(launches, {}))
        if ((error = launch())) return error;
    if (!isFinalizing || !shared) return success;
    if (last.stream && !driver::advance(last)) return inProgress;
    leave(Stage::left);
    return success;
}

int settle(const Handle& communicator) {
    for (;;) {
        if (communicator->isAborted) return driver::refuse(internalError, "NCCL: another thread has aborted the communicator meanwhile");
        if (const int result = communicator->state(); result != inProgress) return result;
        driver::waitForOthers();
    }
}

static Handle find(const std::string& call, void* handle, int& result) {
    const Handle communicator = driver::state().communicators.find(handle);
    if (!communicator) result = driver::refuse(invalidArgument, call + ": no communicator, or one that was destroyed or aborted");
    return communicator;
}

Handle findReady(const std::string& call, void* handle, int& result) {
    const Handle communicator = find(call, handle, result);
    if (!communicator) return nullptr;
    const bool isBusy = !communicator->launches.empty() || (communicator->isFinalizing && communicator->shared);
    const int state = communicator->check();
    if (state && state != inProgress) result = state;
    else if (!communicator->isReady || isBusy)
        result = driver::refuse(invalidArgument, call + ": ncclCommGetAsyncError has not yet said that what was begun is done");
    return result ? nullptr : communicator;
}

int submit(const Handle& communicator, Launch launch) {
    if (communicator->isAborted) return driver::refuse(internalError, "NCCL: another thread has aborted the communicator meanwhile");
    if (communicator->isBlocking) return launch();
    communicator->launches.push_back(std::move(launch));
    return inProgress;
}

// A process that ends before everybody has come takes its file with it.
[[gnu::destructor]] static void leaveAll() {
    const std::unique_lock<std::mutex> lock(driver::state().mutex, std::try_to_lock);
    if (!lock) return;
    for (auto& [handle, communicator] : driver::state().communicators.live)
        if (communicator->process == getpid()) communicator->leave(Stage::aborted);
}

}  // namespace nccl

using namespace driver;
using namespace nccl;

#define EXPORT extern "C" __attribute__((visibility("default")))
// The communicator of a call, which it must be possible to use.
#define READY(handle)                                             \
    CALL(nothing);                                                \
    int result = success;                                         \
    const Handle communicator = findReady(__func__, handle, result); \
    if (!communicator) return result

API ncclGetVersion(int* version) {
    CALL(nothing);
    REQUIRE(version, invalidArgument, "no place for it");
    *version = 22803;
    return success;
}

API ncclGetUniqueId(Id* id) {
    CALL(nothing);
    REQUIRE(id, invalidArgument, "no place for it");
    const std::string path = newPath();
    REQUIRE(!path.empty(), systemError, "no random numbers, or TMPDIR is too long");
    *id = {};
    path.copy(id->path, sizeof id->path - 1);
    return success;
}

API ncclCommInitRankConfig(void** out, int ranks, Id id, int rank, const Config* config) {
    CALL(nothing);
    REQUIRE(out, invalidArgument, "no place for the communicator");
    *out = nullptr;
    const std::string path(id.path, strnlen(id.path, sizeof id.path));
    REQUIRE(path.find("/emulated-nccl-") != std::string::npos && path.size() < sizeof id.path, invalidArgument, "the id is not of ncclGetUniqueId");
    REQUIRE(ranks > 0 && ranks <= mostRanks, invalidArgument, "there must be from 1 to 64 ranks, not " + std::to_string(ranks));
    REQUIRE(rank >= 0 && rank < ranks, invalidArgument, "no rank " + std::to_string(rank) + " is among " + std::to_string(ranks));
    int blocking = undefined;
    if (config) {
        const bool isConfig = config->size >= offsetof(Config, blocking) + sizeof blocking && config->magic == configMagic;
        REQUIRE(isConfig, invalidArgument, "the configuration was not initialized");
        blocking = config->blocking;
    }
    REQUIRE(blocking == undefined || blocking == 0 || blocking == 1, invalidArgument, "blocking is 0 or 1");
    Context* context = currentContext();
    REQUIRE(context && context->retained && !context->error, unhandledCudaError, "no context is current, or it has failed");

    const auto communicator = std::make_shared<Communicator>();
    communicator->context = context;
    communicator->rank = rank;
    communicator->ranks = ranks;
    communicator->isBlocking = blocking != 0;
    communicator->path = path;
    if (int result = communicator->join()) return result;
    void* handle = *out = state().communicators.add(communicator);
    if (group().depth) {
        group().joined.push_back(communicator);
        return success;
    }
    if (!communicator->isBlocking) return inProgress;
    const int result = settle(communicator);
    if (result) {
        communicator->leave(Stage::aborted);
        state().communicators.live.erase(handle);
        *out = nullptr;
    }
    return result;
}

API ncclCommGetAsyncError(void* handle, int* out) {
    CALL(nothing);
    REQUIRE(out, invalidArgument, "no place for it");
    int result = success;
    const Handle communicator = find(__func__, handle, result);
    if (communicator) *out = communicator->state();
    return result;
}

API ncclCommFinalize(void* handle) {
    READY(handle);
    REQUIRE(!communicator->isFinalizing, invalidUsage, "the communicator has been finalized already");
    communicator->isFinalizing = true;
    return communicator->isBlocking ? settle(communicator) : int(inProgress);
}

// Waits for the communicator's sums, of one that blocks or not.
API ncclCommDestroy(void* handle) {
    READY(handle);
    communicator->isFinalizing = true;
    if (int error = settle(communicator)) return error;
    state().communicators.live.erase(handle);
    return success;
}

API ncclCommAbort(void* handle) {
    CALL(nothing);
    int result = success;
    const Handle communicator = find(__func__, handle, result);
    if (!communicator) return result;
    communicator->leave(Stage::aborted);
    state().communicators.live.erase(handle);
    return success;
}

API ncclGroupStart(void) {
    CALL(nothing);
    if (group().depth++ == 0) group() = {1, success, {}, {}};
    return success;
}

API ncclGroupEnd(void) {
    CALL(nothing);
    REQUIRE(group().depth > 0, invalidUsage, "no group was begun");
    if (--group().depth) return success;
    const Group mine = std::exchange(group(), {});
    if (mine.error) return mine.error;
    bool isInProgress = false;
    for (auto& communicator : mine.joined) {
        isInProgress |= !communicator->isBlocking;
        if (!communicator->isBlocking) continue;
        if (int result = settle(communicator)) return result;
    }
    for (auto& [communicator, launch] : mine.launches) {
        const int result = submit(communicator, launch);
        if (result && result != inProgress) return result;
        isInProgress |= result == inProgress;
    }
    return isInProgress ? int(inProgress) : int(success);
}

static int answer(int* out, int value) {
    if (!out) return refuse(invalidArgument, "NCCL: no place for the answer");
    *out = value;
    return success;
}
API ncclCommCount(void* handle, int* out) {
    READY(handle);
    return answer(out, communicator->ranks);
}
API ncclCommUserRank(void* handle, int* out) {
    READY(handle);
    return answer(out, communicator->rank);
}
API ncclCommCuDevice(void* handle, int* out) {
    READY(handle);
    return answer(out, communicator->context->device);
}

EXPORT const char* ncclGetErrorString(int result) {
    static const char* const texts[] = {
        "no error", "unhandled cuda error", "unhandled system error", "internal error", "invalid argument", "invalid usage",
        "remote process exited or there was a network error", "NCCL operation in progress",
    };
    return result >= 0 && size_t(result) < std::size(texts) ? texts[result] : "unknown result code";
}

EXPORT const char* ncclGetLastError(void*) {
    const std::lock_guard<std::mutex> lock(state().mutex);
    static std::string& kept = *new std::string;
    kept = state().violation;
    return kept.c_str();
}
