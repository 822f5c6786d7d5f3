// The stand-in driver: streams and events.
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "driver.h"

namespace driver {

// MARK: Running

static double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * double(t.tv_sec) + 1e-6 * double(t.tv_nsec);
}

// In the order of the stream, and behind what each piece of work was told to wait for. After an error nothing runs.
bool advance(const Marker& marker) {
    Stream& stream = *marker.stream;
    while (stream.done < marker.count && !stream.queue.empty()) {
        Operation& operation = stream.queue.front();
        for (const Marker& earlier : operation.after)
            if (!advance(earlier)) return false;
        if (!stream.context->error) {
            const int result = operation.work();
            if (result == notYet) return false;
            stream.context->error = result;
        }
        stream.queue.pop_front();
        stream.done++;
    }
    return true;
}

int runUntil(Marker marker) {
    while (!advance(marker)) waitForOthers();
    return marker.stream->context->error;
}

static Marker endOf(const std::shared_ptr<Stream>& stream) { return {stream, stream->queued}; }

static std::vector<std::shared_ptr<Stream>> streamsOf(Context* context) {
    std::vector<std::shared_ptr<Stream>> all;
    for (auto& [handle, stream] : state().streams.live)
        if (stream->context == context) all.push_back(stream);
    for (auto& stream : state().orphans)
        if (stream->context == context) all.push_back(stream);
    if (auto found = state().defaults.find(context); found != state().defaults.end()) all.push_back(found->second);
    return all;
}

int runAll(Context* context) {
    for (auto& stream : streamsOf(context)) runUntil(endOf(stream));
    std::erase_if(state().orphans, [](auto& stream) { return stream->queue.empty(); });
    return context->error;
}

void waitForOthers() {
    for (auto& context : state().contexts)
        for (auto& stream : streamsOf(context.get())) advance(endOf(stream));
    state().mutex.unlock();
    usleep(100);
    state().mutex.lock();
}

// 0 is the default stream, which waits for all streams that were not created CU_STREAM_NON_BLOCKING, as they do for it.
std::shared_ptr<Stream> findStream(Context* context, void* handle) {
    if (handle) {
        auto stream = state().streams.find(handle);
        return stream && stream->context == context ? stream : nullptr;
    }
    auto& stream = state().defaults[context];
    if (!stream) {
        stream = std::make_shared<Stream>();
        stream->context = context;
    }
    return stream;
}

int enqueue(const std::shared_ptr<Stream>& stream, Work work, std::vector<Marker> after) {
    if (Capture* capture = stream->capture.get()) {
        if (capture->isInvalid) return captureInvalidated;
        capture->graph->nodes.push_back({std::move(work), stream->tails});
        stream->tails = {capture->graph->nodes.size() - 1};
        return success;
    }
    Operation operation{std::move(work), std::move(after)};
    const auto defaults = state().defaults.find(stream->context);
    if (defaults != state().defaults.end() && stream->waitsForDefault) {
        if (defaults->second != stream) operation.after.push_back(endOf(defaults->second));
        else
            for (auto& other : streamsOf(stream->context)) {
                if (other == stream || !other->waitsForDefault) continue;
                if (other->capture) {
                    other->capture->isInvalid = true;
                    return captureImplicit;
                }
                operation.after.push_back(endOf(other));
            }
    }
    stream->queue.push_back(std::move(operation));
    stream->queued++;
    if (state().runsEarly && emu::random(2)) advance(endOf(stream));
    return success;
}

int refuseDuringCapture(Context* context) {
    int result = success;
    for (auto& stream : streamsOf(context)) {
        Capture* capture = stream->capture.get();
        if (!capture || capture->mode == 2 || (capture->mode == 1 && capture->thread != std::this_thread::get_id())) continue;
        capture->isInvalid = true;
        result = captureUnsupported;
    }
    return result ? refuse(result, "a stream is capturing, and this call is not allowed then") : success;
}

static void join(std::vector<size_t>& tails, const std::vector<size_t>& more) {
    for (size_t node : more)
        if (std::find(tails.begin(), tails.end(), node) == tails.end()) tails.push_back(node);
}

}  // namespace driver

using namespace driver;

// MARK: Streams

API cuStreamCreate(void** out, unsigned flags) {
    CALL(context);
    REQUIRE(out && flags <= 1, invalidValue, "flags are 0 or CU_STREAM_NON_BLOCKING");
    auto stream = std::make_shared<Stream>();
    stream->context = call.context;
    stream->waitsForDefault = flags == 0;
    *out = state().streams.add(stream);
    return success;
}

API cuStreamDestroy_v2(void* handle) {
    CALL(release);
    const auto stream = state().streams.find(handle);
    if (!stream || stream->context != call.context) return invalidHandle;
    if (stream->capture) stream->capture->isInvalid = true;
    if (!stream->queue.empty()) state().orphans.push_back(stream);
    return destroy(state().streams, call.context, handle);
}

API cuStreamSynchronize(void* handle) {
    CALL(context);
    const auto stream = findStream(call.context, handle);
    if (!stream) return invalidHandle;
    if (stream->capture) {
        stream->capture->isInvalid = true;
        return refuse(captureUnsupported, "cuStreamSynchronize: the stream is capturing");
    }
    if (!handle)
        for (auto& other : streamsOf(call.context))
            if (other->waitsForDefault && !other->capture) runUntil(endOf(other));
    return runUntil(endOf(stream));
}

// A question is also the time in which what can be run is run, so that asking again and again ends.
API cuStreamQuery(void* handle) {
    CALL(context);
    const auto stream = findStream(call.context, handle);
    if (!stream) return invalidHandle;
    if (stream->capture) {
        stream->capture->isInvalid = true;
        return refuse(captureUnsupported, "cuStreamQuery: the stream is capturing");
    }
    bool isDone = advance(endOf(stream));
    if (!handle)
        for (auto& other : streamsOf(call.context))
            if (other->waitsForDefault && !other->capture) isDone &= advance(endOf(other));
    if (call.context->error) return call.context->error;
    return isDone ? int(success) : int(notReady);
}

API cuStreamWaitEvent(void* handle, void* eventHandle, unsigned) {
    CALL(context);
    const auto stream = findStream(call.context, handle);
    const auto event = state().events.find(eventHandle);
    if (!stream || !event) return invalidHandle;
    if (event->capture) {
        if (event->capture->hasEnded) return refuse(capturedEvent, "cuStreamWaitEvent: the event was recorded in a capture that has ended");
        if (stream->capture && stream->capture != event->capture) return captureIsolation;
        if (!stream->capture) {
            stream->capture = event->capture;
            stream->tails.clear();
            event->capture->streams.push_back(stream);
        }
        join(stream->tails, event->nodes);
        return success;
    }
    if (!event->marker.stream) return success;
    if (stream->capture) {
        stream->capture->isInvalid = true;
        return refuse(captureIsolation, "cuStreamWaitEvent: a capturing stream cannot wait for an event from outside");
    }
    return enqueue(stream, [] { return success; }, {event->marker});
}

// MARK: Events

API cuEventCreate(void** out, unsigned flags) {
    CALL(context);
    REQUIRE(out && flags < 8, invalidValue, "unknown flags");
    auto event = std::make_shared<Event>();
    event->context = call.context;
    event->hasTime = !(flags & 2);  // CU_EVENT_DISABLE_TIMING
    *out = state().events.add(event);
    return success;
}

API cuEventDestroy_v2(void* handle) {
    CALL(release);
    return destroy(state().events, call.context, handle);
}

API cuEventRecord(void* eventHandle, void* handle) {
    CALL(context);
    const auto event = state().events.find(eventHandle);
    const auto stream = findStream(call.context, handle);
    if (!event || !stream || event->context != call.context) return invalidHandle;
    if (stream->capture) {
        event->capture = stream->capture;
        event->nodes = stream->tails;
        return success;
    }
    auto time = std::make_shared<double>(0);
    if (int result = enqueue(stream, [time] { return *time = now(), success; })) return result;
    event->capture = nullptr;
    event->milliseconds = time;
    event->marker = endOf(stream);
    return success;
}

API cuEventSynchronize(void* handle) {
    CALL(context);
    const auto event = state().events.find(handle);
    if (!event) return invalidHandle;
    if (event->capture) return refuse(capturedEvent, "cuEventSynchronize: the event was recorded in a capture");
    return event->marker.stream ? runUntil(event->marker) : int(success);
}

API cuEventQuery(void* handle) {
    CALL(context);
    const auto event = state().events.find(handle);
    if (!event) return invalidHandle;
    if (event->capture) return refuse(capturedEvent, "cuEventQuery: the event was recorded in a capture");
    if (!event->marker.stream) return success;
    const bool isDone = advance(event->marker);
    if (int result = event->marker.stream->context->error) return result;
    return isDone ? int(success) : int(notReady);
}

API cuEventElapsedTime(float* milliseconds, void* from, void* to) {
    CALL(context);
    const auto first = state().events.find(from), last = state().events.find(to);
    if (!first || !last || !first->hasTime || !last->hasTime || !first->marker.stream || !last->marker.stream) return invalidHandle;
    REQUIRE(milliseconds, invalidValue, "no place for it");
    if (first->marker.stream->done < first->marker.count || last->marker.stream->done < last->marker.count) return notReady;
    *milliseconds = float(*last->milliseconds - *first->milliseconds);
    return success;
}
