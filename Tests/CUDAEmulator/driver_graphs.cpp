// The stand-in driver: graphs, captured from streams.
#include <algorithm>

#include "driver.h"

namespace driver {

// Whatever order its dependencies allow may be the one.
static int runGraph(const Graph& graph) {
    std::vector<size_t> missing(graph.nodes.size()), ready;
    std::vector<std::vector<size_t>> next(graph.nodes.size());
    for (size_t n = 0; n < graph.nodes.size(); n++) {
        missing[n] = graph.nodes[n].after.size();
        for (size_t earlier : graph.nodes[n].after) next[earlier].push_back(n);
        if (!missing[n]) ready.push_back(n);
    }
    while (!ready.empty()) {
        std::swap(ready[emu::random(unsigned(ready.size()))], ready.back());
        const size_t n = ready.back();
        ready.pop_back();
        if (int result = graph.nodes[n].work()) return result;
        for (size_t later : next[n])
            if (--missing[later] == 0) ready.push_back(later);
    }
    return success;
}

// Whether everything that was captured comes before the end of the stream that began.
static bool isJoined(const Capture& capture) {
    std::vector<bool> isReached(capture.graph->nodes.size());
    std::vector<size_t> open = capture.origin->tails;
    while (!open.empty()) {
        const size_t n = open.back();
        open.pop_back();
        if (isReached[n]) continue;
        isReached[n] = true;
        for (size_t earlier : capture.graph->nodes[n].after) open.push_back(earlier);
    }
    return std::find(isReached.begin(), isReached.end(), false) == isReached.end();
}

}  // namespace driver

using namespace driver;

API cuStreamBeginCapture_v2(void* handle, int mode) {
    CALL(context);
    REQUIRE(mode >= 0 && mode <= 2, invalidValue, "no such mode");
    REQUIRE(handle, captureUnsupported, "the default stream cannot capture");
    const auto stream = findStream(call.context, handle);
    if (!stream) return invalidHandle;
    REQUIRE(!stream->capture, invalidValue, "the stream is capturing already");
    stream->capture = std::make_shared<Capture>();
    stream->capture->graph->context = call.context;
    stream->capture->origin = stream.get();
    stream->capture->streams = {stream};
    stream->capture->mode = mode;
    stream->capture->thread = std::this_thread::get_id();
    stream->tails.clear();
    return success;
}

API cuStreamEndCapture(void* handle, void** out) {
    CALL(context);
    REQUIRE(out, invalidValue, "no place for the graph");
    *out = nullptr;
    const auto stream = findStream(call.context, handle);
    if (!stream) return invalidHandle;
    const auto capture = stream->capture;
    REQUIRE(capture, invalidValue, "the stream does not capture");
    REQUIRE(capture->origin == stream.get(), captureUnmatched, "another stream began this capture");
    if (capture->mode != 2 && capture->thread != std::this_thread::get_id()) return captureWrongThread;
    const bool joined = isJoined(*capture);
    capture->hasEnded = true;
    for (auto& taking : capture->streams) {
        taking->capture = nullptr;
        taking->tails.clear();
    }
    capture->streams.clear();
    if (capture->isInvalid) return captureInvalidated;
    REQUIRE(joined, captureUnjoined, "work of another stream does not come before the end");
    *out = state().graphs.add(capture->graph);
    return success;
}

API cuGraphInstantiateWithFlags(void** out, void* handle, unsigned long long) {
    CALL(context);
    REQUIRE(out, invalidValue, "no place for it");
    const auto graph = state().graphs.find(handle);
    if (!graph) return invalidHandle;
    *out = state().executables.add(std::make_shared<Graph>(*graph));
    return success;
}

API cuGraphLaunch(void* handle, void* streamHandle) {
    CALL(context);
    const auto graph = state().executables.find(handle);
    const auto stream = findStream(call.context, streamHandle);
    if (!graph || !stream || graph->context != call.context) return invalidHandle;
    REQUIRE(!stream->capture, notSupported, "the emulator has no graphs inside graphs");
    return enqueue(stream, [graph] { return runGraph(*graph); });
}

API cuGraphExecDestroy(void* handle) {
    CALL(release);
    return destroy(state().executables, call.context, handle);
}

API cuGraphDestroy(void* handle) {
    CALL(release);
    return destroy(state().graphs, call.context, handle);
}
