#include "stream.h"

#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "handles.h"

struct work {
  struct work *next;
  uint64_t position;
  struct task task;
  struct range ranges[];
};

static struct stream *all;
static size_t numbers;

// MARK: Order between streams

static uint64_t position_in(const struct order *order, size_t number) {
  return number < order->count ? order->positions[number] : 0;
}

void raise_order(struct order *order, size_t number, uint64_t position) {
  if (number >= order->count) {
    order->positions = realloc(order->positions, (number + 1) * sizeof *order->positions);
    if (!order->positions) abort();
    memset(order->positions + order->count, 0, (number + 1 - order->count) * sizeof *order->positions);
    order->count = number + 1;
  }
  if (order->positions[number] < position) order->positions[number] = position;
}

void join_order(struct order *order, const struct order *other) {
  for (size_t number = 0; number < other->count; number++) raise_order(order, number, other->positions[number]);
}

// On the device nothing orders the streams but events and the host: what two of them do to one place at once is a race.
static synStatus check_order(const struct stream *stream, const struct task *task) {
  for (const struct stream *other = all; other; other = other->next) {
    if (other == stream) continue;
    const uint64_t ordered = position_in(&stream->before, other->number);
    for (const struct work *work = other->first; work; work = work->next) {
      if (work->position <= ordered) continue;
      for (size_t i = 0; i < task->range_count; i++)
        for (size_t j = 0; j < work->task.range_count; j++) {
          const struct range *mine = &task->ranges[i], *theirs = &work->ranges[j];
          if ((mine->is_written || theirs->is_written) && overlap(mine, theirs))
            return refuse(fault_unordered_access, synFail,
                          "it %s %s memory at 0x%llx that work of another stream %s, and nothing orders the two",
                          mine->is_written ? "writes" : "reads", mine->is_host ? "host" : "device",
                          (unsigned long long)theirs->address, theirs->is_written ? "writes" : "reads");
        }
    }
  }
  return synSuccess;
}

// MARK: Work

synStatus enqueue(struct stream *stream, const struct task *task) {
  const synStatus status = check_order(stream, task);
  if (status) {
    task->end(task->context);
    return status;
  }
  const size_t bytes = task->range_count * sizeof(struct range);
  struct work *work = malloc(sizeof *work + bytes);
  if (!work) abort();
  *work = (struct work){.position = ++stream->queued, .task = *task};
  if (bytes) memcpy(work->ranges, task->ranges, bytes);
  work->task.ranges = NULL;
  if (stream->last) stream->last->next = work;
  else stream->first = work;
  stream->last = work;
  if (library.settings.is_early) advance(end_of(stream));
  return synSuccess;
}

static void drop_first(struct stream *stream) {
  struct work *work = stream->first;
  stream->first = work->next;
  if (!work->next) stream->last = NULL;
  stream->done++;
  work->task.end(work->task.context);
  free(work);
}

struct marker end_of(struct stream *stream) { return (struct marker){stream, stream->queued}; }

bool advance(struct marker marker) {
  struct stream *stream = marker.stream;
  if (!stream) return true;
  while (stream->done < marker.position) {
    // A device that has failed does nothing more.
    if (!library.device.has_failed && stream->first->task.run(stream->first->task.context) == progress_pending)
      return false;
    drop_first(stream);
  }
  return true;
}

void advance_all_streams(void) {
  for (struct stream *stream = all; stream; stream = stream->next) advance(end_of(stream));
}

synStatus tell_failure(void) {
  if (!library.device.has_failed) return synSuccess;
  library.device.is_terminated = true;
  return refuse(fault_launch_failed, synDeviceReset, "a launch has failed");
}

synStatus finish(struct marker marker) {
  const uint64_t epoch = library.epoch;
  while (!advance(marker)) {
    wait_for_others();
    if (library.epoch != epoch)
      return refuse(fault_device_not_acquired, synFail, "another thread has given the device up meanwhile");
  }
  return tell_failure();
}

bool is_in_use(const struct range *range) {
  for (const struct stream *stream = all; stream; stream = stream->next)
    for (const struct work *work = stream->first; work; work = work->next)
      for (size_t i = 0; i < work->task.range_count; i++)
        if (overlap(range, &work->ranges[i])) return true;
  return false;
}

// MARK: Streams

struct stream *find_stream(synStreamHandle handle, synStatus *status) {
  struct stream *stream = find_handle(handle_of_stream, handle);
  // DeviceCommon::loadAndValidateStream; VERIFY_IS_NULL_POINTER.
  *status = stream ? synSuccess
                   : refuse(fault_stream_handle, synInvalidArgument, "the stream's handle %s",
                            describe_handle(handle_of_stream, handle));
  return stream;
}

static size_t alive;
static void end_event_or_stream(void *object, const void *handle) {
  (void)object;
  remove_handle(handle);
  alive++;
}
static void end_event(void *object, const void *handle) {
  end_event_or_stream(object, handle);
  free_event(object);
}

size_t forget_all_streams(void) {
  alive = 0;
  each_handle(handle_of_event, end_event);
  each_handle(handle_of_stream, end_event_or_stream);
  while (all) {
    struct stream *stream = all;
    all = stream->next;
    while (stream->first) drop_first(stream);
    free(stream->before.positions);
    free(stream);
  }
  library.epoch++;
  return alive;
}

EXPORT synStatus synStreamCreateGeneric(synStreamHandle *out, synDeviceId identifier, uint32_t flags) {
  SCOPED struct call call = begin_call("synStreamCreateGeneric", needs_device);
  synStatus status = call.status;
  if (status || (status = check_device_identifier(identifier)) || (status = require(out, "the place for it")))
    return status;
  // Nobody gives flags, and what they would mean is written nowhere.
  if (flags) return refuse(fault_stream_flags, synInvalidArgument, "flags %u must be 0", flags);
  struct stream *stream = calloc(1, sizeof *stream);
  if (!stream) abort();
  stream->number = numbers++;
  stream->next = all;
  all = stream;
  *out = stream->handle = add_handle(handle_of_stream, stream);
  return synSuccess;
}

EXPORT synStatus synStreamDestroy(synStreamHandle handle) {
  SCOPED struct call call = begin_call("synStreamDestroy", needs_device);
  if (call.status) return call.status;
  if (!handle) return synSuccess;  // synSingleton::destroyStream
  synStatus status;
  struct stream *stream = find_stream(handle, &status);
  if (!stream) return status;
  // As the header says. StreamsContainer::destroyStream waits instead.
  if (stream->done < stream->queued)
    return refuse(fault_stream_destroyed_busy, synBusy, "%llu pieces of work are not done",
                  (unsigned long long)(stream->queued - stream->done));
  remove_handle(handle);  // the object stays: events may point to it
  return synSuccess;
}

EXPORT synStatus synStreamSynchronize(synStreamHandle handle) {
  SCOPED struct call call = begin_call("synStreamSynchronize", needs_device);
  synStatus status = call.status;
  if (status) return status;
  struct stream *stream = find_stream(handle, &status);
  return stream ? finish(end_of(stream)) : status;
}

EXPORT synStatus synStreamQuery(synStreamHandle handle) {
  SCOPED struct call call = begin_call("synStreamQuery", needs_device);
  synStatus status = call.status;
  if (status) return status;
  struct stream *stream = find_stream(handle, &status);
  if (!stream || (status = tell_failure())) return status;
  if (stream->done == stream->queued) return synSuccess;
  advance_all_streams();
  return synBusy;
}

EXPORT synStatus synDeviceSynchronize(synDeviceId identifier) {
  SCOPED struct call call = begin_call("synDeviceSynchronize", needs_device);
  synStatus status = call.status;
  if (status || (status = check_device_identifier(identifier))) return status;
  const uint64_t epoch = library.epoch;
  for (struct stream *stream = all; stream; stream = stream->next) {
    if ((status = finish(end_of(stream)))) return status;
    if (library.epoch != epoch) break;
  }
  return tell_failure();
}
