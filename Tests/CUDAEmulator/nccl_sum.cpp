// The stand-in for NCCL: ncclAllReduce.
#include <algorithm>

#include "nccl_communicator.h"

namespace nccl {

namespace {

// Work of a stream, done a chunk at a time as far as the other ranks let it.
struct Sum {
    Handle handle;
    const char* from;
    char* to;
    size_t count;
    int type;
    size_t done = 0;  // bytes
    bool hasBegun = false, isInStep = false, hasWritten = false;

    int run();

private:
    template <class T> void add(size_t bytes) const;
    void reportDifference() const;
};

std::string name(uint64_t count, int type) { return std::to_string(count) + (type == float32 ? " of type float" : " of type double"); }

}  // namespace

// In the order of ranks, so that everyone has the same bits.
template <class T> void Sum::add(size_t bytes) const {
    Shared& shared = *handle->shared;
    T* sums = reinterpret_cast<T*>(to + done);
    const size_t n = bytes / sizeof(T);
    memcpy(sums, shared.chunk(0), bytes);
    for (int rank = 1; rank < handle->ranks; rank++) {
        const T* more = reinterpret_cast<const T*>(shared.chunk(rank));
        for (size_t i = 0; i < n; i++) sums[i] += more[i];
    }
}

void Sum::reportDifference() const {
    const Member* members = handle->shared->members;
    std::string text = "in sum " + std::to_string(handle->sums) + " ranks do not agree:";
    for (int rank = 0; rank < handle->ranks; rank++)
        text += (rank ? ", rank " : " rank ") + std::to_string(rank) + " has " + name(members[rank].count, members[rank].type);
    handle->failAll(invalidUsage, text);
}

// After an error it waits, as a kernel of NCCL's does, until its communicator is aborted; then it ends without a result.
int Sum::run() {
    Communicator& c = *handle;
    const size_t bytes = count * (type == float32 ? 4 : 8);
    if (!hasBegun && !c.isAborted) c.sums++;
    hasBegun = true;
    do {
        if (c.isAborted) return success;
        if (c.shared->error) return driver::notYet;
        Member* members = c.shared->members;
        Member& mine = members[c.rank];
        const size_t part = std::min(chunkBytes, bytes - done);
        if (!isInStep) c.step++;
        isInStep = true;
        const auto all = [&](auto holds) { return std::all_of(members, members + c.ranks, holds); };
        if (!hasWritten) {
            if (!all([&](const Member& m) { return m.taken.load() >= c.step - 1; })) return driver::notYet;
            memcpy(c.shared->chunk(c.rank), from + done, part);
            mine.count = count;
            mine.type = type;
            mine.written = c.step;
            hasWritten = true;
        }
        if (!all([&](const Member& m) { return m.written.load() >= c.step; })) return driver::notYet;
        if (!all([&](const Member& m) { return m.count == count && m.type == type; })) return reportDifference(), driver::notYet;
        if (type == float32) add<float>(part);
        else add<double>(part);
        mine.taken = c.step;
        isInStep = hasWritten = false;
        done += part;
    } while (done < bytes);
    return success;
}

}  // namespace nccl

using namespace driver;
using namespace nccl;

API ncclAllReduce(const void* from, void* to, size_t count, int type, int reduction, void* handle, void* streamHandle) {
    CALL(nothing);
    const auto refused = [&](int result, const std::string& why) { return group().error = refuse(result, "ncclAllReduce: " + why); };
    int result = success;
    const Handle communicator = findReady("ncclAllReduce", handle, result);
    if (!communicator) return group().error = result;
    if (communicator->isFinalizing) return refused(invalidUsage, "the communicator has been finalized");
    if (type != float32 && type != float64) return refused(invalidArgument, "the emulator adds up float and double only");
    if (reduction != nccl::sum && !(reduction == average && communicator->ranks == 1))
        return refused(invalidArgument, "the emulator knows no other reduction than ncclSum");
    Context* context = currentContext();
    if (context != communicator->context) return refused(invalidUsage, "the current device is not the communicator's");
    if (context->error) return refused(unhandledCudaError, "the context has failed: " + std::to_string(context->error));
    const auto stream = findStream(context, streamHandle);
    if (!stream) return refused(invalidArgument, "no stream of the communicator's device");
    if (stream->capture) return refused(invalidUsage, "the stream is capturing, and the emulator has no sums inside graphs");

    const size_t size = type == float32 ? 4 : 8, bytes = count * size;
    const Address source = Address(from), target = Address(to);
    if (source % size || target % size) return refused(invalidArgument, "the buffers are not aligned as their type is");
    if (count > size_t(1) << 60 || !isInside(context, source, bytes) || !isInside(context, target, bytes))
        return refused(invalidArgument, "the device's memory does not have " + name(count, type) + " there (or they are not in one part of it)");
    if (source != target && source < target + bytes && target < source + bytes)
        return refused(invalidArgument, "the buffers overlap and are not the same");

    auto work = std::make_shared<Sum>(Sum{communicator, static_cast<const char*>(from), static_cast<char*>(to), count, type});
    Launch launch = [=] {
        if (stream->capture) return refuse(invalidUsage, "ncclAllReduce: the stream began to capture before the sum was in it");
        std::vector<driver::Marker> before;
        if (communicator->last.stream) before.push_back(communicator->last);
        if (enqueue(stream, [work] { return work->run(); }, before)) return refuse(unhandledCudaError, "ncclAllReduce: the stream takes no work");
        communicator->last = {stream, stream->queued};
        return int(success);
    };
    if (group().depth == 0) return submit(communicator, std::move(launch));
    group().launches.emplace_back(communicator, std::move(launch));
    return success;
}
