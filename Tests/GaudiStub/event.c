#define _GNU_SOURCE
#include "event.h"

#include <stdlib.h>
#include <time.h>

#include "handles.h"

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void release_stamp(void *context) {
  struct stamp *stamp = context;
  if (stamp && --stamp->references == 0) free(stamp);
}

void free_event(struct event *event) {
  release_stamp(event->stamp);
  free(event->order.positions);
  free(event);
}

// DeviceCommon::loadAndValidateEvent
static struct event *find_event(synEventHandle handle, synStatus otherwise, synStatus *status) {
  struct event *event = find_handle(handle_of_event, handle);
  *status =
      event ? synSuccess
            : refuse(fault_event_handle, otherwise, "the event's handle %s", describe_handle(handle_of_event, handle));
  return event;
}

// DeviceScal::eventQuery and synchronizeEvent: an event without a stream. (The header would have it be done.)
static synStatus check_recorded(const struct event *event, synStatus otherwise) {
  return event->marker.stream ? synSuccess : refuse(fault_event_never_recorded, otherwise, "it was never recorded");
}

EXPORT synStatus synEventCreate(synEventHandle *out, synDeviceId identifier, uint32_t flags) {
  SCOPED struct call call = begin_call("synEventCreate", needs_device);
  synStatus status = call.status;
  if (status || (status = check_device_identifier(identifier)) || (status = require(out, "the place for it")))
    return status;
  if (flags & ~(uint32_t)EVENT_COLLECT_TIME)
    return refuse(fault_event_flags, synInvalidArgument, "flags 0x%x: only EVENT_COLLECT_TIME is one", flags);
  struct event *event = calloc(1, sizeof *event);
  if (!event) abort();
  event->has_time = flags & EVENT_COLLECT_TIME;
  *out = add_handle(handle_of_event, event);
  return synSuccess;
}

EXPORT synStatus synEventDestroy(synEventHandle handle) {
  SCOPED struct call call = begin_call("synEventDestroy", needs_device);
  synStatus status = call.status;
  if (status || (status = require(handle, "the event"))) return status;
  struct event *event = find_event(handle, synFail, &status);  // ScalEventsPool::destroyEvent
  if (!event) return status;
  remove_handle(handle);
  free_event(event);
  return synSuccess;
}

static enum progress reach(void *context) {
  struct stamp *stamp = context;
  stamp->nanoseconds = now();
  return progress_done;
}

EXPORT synStatus synEventRecord(synEventHandle event_handle, synStreamHandle stream_handle) {
  SCOPED struct call call = begin_call("synEventRecord", needs_device);
  synStatus status = call.status;
  if (status) return status;
  struct stream *stream = find_stream(stream_handle, &status);
  if (!stream) return status;
  struct event *event = find_event(event_handle, synInvalidEventHandle, &status);
  if (!event) return status;
  struct stamp *stamp = malloc(sizeof *stamp);
  if (!stamp) abort();
  *stamp = (struct stamp){.references = 2};
  release_stamp(event->stamp);
  event->stamp = stamp;
  enqueue(stream, &(struct task){.run = reach, .end = release_stamp, .context = stamp});
  event->marker = end_of(stream);
  free(event->order.positions);
  event->order = (struct order){0};
  join_order(&event->order, &stream->before);
  raise_order(&event->order, stream->number, event->marker.position);
  return synSuccess;
}

static enum progress wait(void *context) {
  return advance(*(struct marker *)context) ? progress_done : progress_pending;
}

EXPORT synStatus synStreamWaitEvent(synStreamHandle stream_handle, synEventHandle event_handle, uint32_t flags) {
  SCOPED struct call call = begin_call("synStreamWaitEvent", needs_device);
  synStatus status = call.status;
  if (status) return status;
  struct stream *stream = find_stream(stream_handle, &status);
  if (!stream) return status;
  struct event *event = find_event(event_handle, synInvalidEventHandle, &status);
  if (!event) return status;
  if (flags) return refuse(fault_event_wait_flags, synInvalidArgument, "flags %u must be 0", flags);
  if ((status = check_recorded(event, synInvalidArgument))) return status;
  // "eventHandle needs to be registered to other stream than streamHandle", synapse_api.h.
  if (event->marker.stream == stream)
    return refuse(fault_event_wait_own_stream, synInvalidArgument, "the event was recorded in this very stream");
  struct marker *marker = malloc(sizeof *marker);
  if (!marker) abort();
  *marker = event->marker;
  enqueue(stream, &(struct task){.run = wait, .end = free, .context = marker});
  join_order(&stream->before, &event->order);
  return synSuccess;
}

EXPORT synStatus synEventQuery(synEventHandle handle) {
  SCOPED struct call call = begin_call("synEventQuery", needs_device);
  synStatus status = call.status;
  if (status) return status;
  struct event *event = find_event(handle, synInvalidEventHandle, &status);
  if (!event || (status = check_recorded(event, synInvalidArgument)) || (status = tell_failure())) return status;
  if (event->marker.stream->done >= event->marker.position) return synSuccess;
  advance_all_streams();
  return synBusy;
}

EXPORT synStatus synEventSynchronize(synEventHandle handle) {
  SCOPED struct call call = begin_call("synEventSynchronize", needs_device);
  synStatus status = call.status;
  if (status) return status;
  struct event *event = find_event(handle, synInvalidEventHandle, &status);
  if (!event || (status = check_recorded(event, synInvalidArgument))) return status;
  return finish(event->marker);
}

// ScalEvent::getTime
static synStatus time_of(const struct event *event, uint64_t *out) {
  if (!event->has_time)
    return refuse(fault_event_without_time, synInvalidArgument, "it was made without EVENT_COLLECT_TIME");
  synStatus status = check_recorded(event, synObjectNotInitialized);
  if (status || (status = tell_failure())) return status;
  if (event->marker.stream->done < event->marker.position) {
    advance_all_streams();
    return synBusy;
  }
  *out = event->stamp->nanoseconds;
  return synSuccess;
}

EXPORT synStatus synEventElapsedTime(uint64_t *nanoseconds, synEventHandle from, synEventHandle to) {
  SCOPED struct call call = begin_call("synEventElapsedTime", needs_device);
  synStatus status = call.status;
  if (status || (status = require(nanoseconds, "the place for the time"))) return status;
  const struct event *first = find_event(from, synFail, &status);
  if (!first) return status;
  const struct event *last = to ? find_event(to, synFail, &status) : NULL;
  if (status) return status;
  uint64_t begin, end = 0;
  if ((status = time_of(first, &begin)) || (last && (status = time_of(last, &end)))) return status;
  *nanoseconds = last ? end - begin : begin;
  return synSuccess;
}
