// HCCL's functions, but the collectives themselves: ids, communicators, groups, errors.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "communicator.h"
#include "handles.h"

// MARK: Calls

// What begin_call says, in the words of HCCL. hcclSynapseTerminated and hcclNoDeviceFound are of hccl_types.h.
static hcclResult_t result_of(synStatus status) {
  if (!status) return hcclSuccess;
  return status == synSynapseTerminated ? hcclSynapseTerminated : hcclNoDeviceFound;
}

static hcclResult_t require_hccl(const void *pointer, const char *what) {
  return require(pointer, what) ? hcclInvalidArgument : hcclSuccess;
}

static struct communicator *find(hcclComm_t handle, hcclResult_t *result) {
  struct communicator *communicator = find_handle(handle_of_communicator, handle);
  *result = communicator ? hcclSuccess
                         : refuse_hccl(fault_hccl_communicator, hcclInvalidArgument, "the communicator's handle %s",
                                       describe_handle(handle_of_communicator, handle));
  return communicator;
}

// MARK: Groups

// Between hcclGroupStart and hcclGroupEnd, of this thread.
struct pending {
  struct communicator *communicator;
  synStreamHandle stream;
  struct task task;
  struct range ranges[2];
};
static _Thread_local struct {
  int depth;
  hcclResult_t error;
  hcclComm_t *joined;
  struct pending *pending;
  size_t joined_count, joined_room, pending_count, pending_room;
} group;

void release_communicator(struct communicator *communicator) {
  if (--communicator->references) return;
  leave_meeting(communicator, stage_aborted);
  free(communicator);
}

hcclResult_t submit_collective(struct communicator *communicator, struct stream *stream, const struct task *task) {
  if (!group.depth) return start_collective(communicator, stream, task);
  if (group.pending_count == group.pending_room) {
    group.pending_room = group.pending_room ? 2 * group.pending_room : 16;
    group.pending = realloc(group.pending, group.pending_room * sizeof *group.pending);
    if (!group.pending) abort();
  }
  struct pending *pending = &group.pending[group.pending_count++];
  *pending = (struct pending){communicator, stream->handle, *task, {{0}}};
  memcpy(pending->ranges, task->ranges, task->range_count * sizeof *task->ranges);
  communicator->references++;
  return hcclSuccess;
}

EXPORT hcclResult_t hcclGroupStart(void) {
  SCOPED struct call call = begin_call("hcclGroupStart", needs_library);
  if (call.status) return result_of(call.status);
  group.depth++;
  return hcclSuccess;
}

// MARK: Communicators

EXPORT hcclResult_t hcclGetVersion(int *version) {
  SCOPED struct call call = begin_call("hcclGetVersion", needs_nothing);
  hcclResult_t result = require_hccl(version, "the version");
  if (!result) *version = 2604;  // HCCL_VERSION_CODE, hccl.h
  return result;
}

EXPORT hcclResult_t hcclGetUniqueId(hcclUniqueId *out) {
  SCOPED struct call call = begin_call("hcclGetUniqueId", needs_device);
  hcclResult_t result = result_of(call.status);
  if (result || (result = require_hccl(out, "the id"))) return result;
  *out = (hcclUniqueId){0};
  char path[128];
  new_meeting_path(path, sizeof path);
  if (!*path) return refuse_hccl(fault_hccl_shared_memory, hcclSystemError, "no random numbers, or TMPDIR is too long");
  memcpy(out->internal, path, sizeof path);
  out->length = strlen(path) + 1;
  return hcclSuccess;
}

// Until all have joined.
static hcclResult_t settle(hcclComm_t handle) {
  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (;;) {
    hcclResult_t result;
    struct communicator *communicator = find(handle, &result);  // another thread may have aborted it
    if (!communicator || (result = check_meeting(communicator)) != hcclBusy) return result;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const double waited = (double)(now.tv_sec - begin.tv_sec) + 1e-9 * (double)(now.tv_nsec - begin.tv_nsec);
    if (waited > library.settings.patience)
      return refuse_hccl(fault_hccl_nobody_came, hcclInternalError, "not all of %d ranks came in %.0f seconds",
                         communicator->ranks, waited);
    wait_for_others();
  }
}

static void abandon(hcclComm_t handle) {
  struct communicator *communicator = find_handle(handle_of_communicator, handle);
  if (!communicator) return;
  leave_meeting(communicator, stage_aborted);
  remove_handle(handle);
  release_communicator(communicator);
}

EXPORT hcclResult_t hcclCommInitRank(hcclComm_t *out, int ranks, hcclUniqueId identifier, int rank) {
  SCOPED struct call call = begin_call("hcclCommInitRank", needs_device);
  hcclResult_t result = result_of(call.status);
  if (result || (result = require_hccl(out, "the place for it"))) return result;
  *out = NULL;
  const char *path = (const char *)identifier.internal;
  if (identifier.length == 0 || identifier.length > sizeof identifier.internal ||
      !is_meeting_path(path, identifier.length) || identifier.length > sizeof(((struct communicator *)0)->path))
    return refuse_hccl(fault_hccl_identifier, hcclInvalidArgument, "the id is not of hcclGetUniqueId");
  if (ranks < 1 || ranks > most_ranks || rank < 0 || rank >= ranks)
    return refuse_hccl(fault_hccl_ranks, hcclInvalidArgument, "rank %d of %d", rank, ranks);
  struct communicator *communicator = calloc(1, sizeof *communicator);
  if (!communicator) abort();
  communicator->references = 1;
  communicator->rank = rank;
  communicator->ranks = ranks;
  memcpy(communicator->path, path, identifier.length);
  if ((result = join_meeting(communicator))) {
    free(communicator);
    return result;
  }
  hcclComm_t handle = communicator->handle = add_handle(handle_of_communicator, communicator);
  if (group.depth) {
    if (group.joined_count == group.joined_room) {
      group.joined_room = group.joined_room ? 2 * group.joined_room : 4;
      group.joined = realloc(group.joined, group.joined_room * sizeof *group.joined);
      if (!group.joined) abort();
    }
    *out = group.joined[group.joined_count++] = handle;
    return hcclSuccess;
  }
  if ((result = settle(handle))) abandon(handle);
  else *out = handle;
  return result;
}

struct communicator *find_communicator(hcclComm_t handle, hcclResult_t *result) {
  struct communicator *communicator = find(handle, result);
  if (!communicator) return NULL;
  *result = check_meeting(communicator);
  // Others have yet to come, in a group: then it can be used in that group.
  if (*result == hcclBusy && group.depth) *result = hcclSuccess;
  if (!*result && communicator->is_finalized)
    *result = refuse_hccl(fault_hccl_finalized, hcclInvalidUsage, "the communicator has been finalized");
  return *result ? NULL : communicator;
}

EXPORT hcclResult_t hcclCommGetAsyncError(hcclComm_t handle, hcclResult_t *out) {
  SCOPED struct call call = begin_call("hcclCommGetAsyncError", needs_library);
  hcclResult_t result = result_of(call.status);
  if (result || (result = require_hccl(out, "the place for it"))) return result;
  struct communicator *communicator = find(handle, &result);
  if (!communicator) return result;
  advance_all_streams();
  const hcclResult_t error = check_meeting(communicator);
  *out = error == hcclBusy ? hcclSuccess : error;
  return hcclSuccess;
}

// Waits for what was asked of it.
static hcclResult_t finish_communicator(hcclComm_t handle) {
  for (;;) {
    hcclResult_t result;
    struct communicator *communicator = find(handle, &result);
    if (!communicator) return result;
    if (advance(communicator->last)) return hcclSuccess;
    result = check_meeting(communicator);
    if (result && result != hcclBusy) return result;
    wait_for_others();
  }
}

EXPORT hcclResult_t hcclCommFinalize(hcclComm_t handle) {
  SCOPED struct call call = begin_call("hcclCommFinalize", needs_device);
  hcclResult_t result = result_of(call.status);
  if (result) return result;
  struct communicator *communicator = find_communicator(handle, &result);
  if (!communicator) return result;
  communicator->is_finalized = true;
  if ((result = finish_communicator(handle))) return result;
  leave_meeting(communicator, stage_left);
  return hcclSuccess;
}

EXPORT hcclResult_t hcclCommDestroy(hcclComm_t handle) {
  SCOPED struct call call = begin_call("hcclCommDestroy", needs_library);
  hcclResult_t result = result_of(call.status);
  if (result) return result;
  struct communicator *communicator = find(handle, &result);
  if (!communicator) return result;
  // What is under way would never be done: that is what hcclCommAbort is for.
  result = check_meeting(communicator);
  if (result && result != hcclBusy) return result;
  if ((result = finish_communicator(handle))) return result;
  leave_meeting(communicator, stage_left);
  remove_handle(handle);
  release_communicator(communicator);
  return hcclSuccess;
}

EXPORT hcclResult_t hcclCommAbort(hcclComm_t handle) {
  SCOPED struct call call = begin_call("hcclCommAbort", needs_library);
  hcclResult_t result = result_of(call.status);
  if (result || !find(handle, &result)) return result;
  abandon(handle);
  return hcclSuccess;
}

EXPORT hcclResult_t hcclGroupEnd(void) {
  SCOPED struct call call = begin_call("hcclGroupEnd", needs_library);
  hcclResult_t result = result_of(call.status);
  if (!group.depth) return result ? result : refuse_hccl(fault_hccl_group, hcclInvalidUsage, "no group was begun");
  if (--group.depth) return result;
  for (size_t i = 0; i < group.joined_count; i++) {
    if (!result) result = settle(group.joined[i]);
    if (result) abandon(group.joined[i]);
  }
  for (size_t i = 0; i < group.pending_count; i++) {
    struct pending *pending = &group.pending[i];
    synStatus status = synSuccess;
    struct stream *stream = result ? NULL : find_stream(pending->stream, &status);
    pending->task.ranges = pending->ranges;
    if (stream) result = start_collective(pending->communicator, stream, &pending->task);
    else pending->task.end(pending->task.context);
    if (status) result = hcclStreamError;
    release_communicator(pending->communicator);
  }
  group.joined_count = group.pending_count = 0;
  return result;
}

EXPORT const char *hcclGetErrorString(hcclResult_t result) {
  switch (result) {
    case hcclSuccess: return "success";
    case hcclNoDeviceFound: return "no device found";
    case hcclUnsupported: return "unsupported";
    case hcclOutOfMemory: return "out of memory";
    case hcclUnhandledSynapseError: return "unhandled error of synapse";
    case hcclSystemError: return "system error";
    case hcclInternalError: return "internal error";
    case hcclInvalidArgument: return "invalid argument";
    case hcclInvalidUsage: return "invalid usage";
    case hcclSocketError: return "socket error";
    case hcclLibfabricError: return "libfabric error";
    case hcclTryAgainError: return "try again";
    case hcclBusy: return "busy";
    case hcclNumResults: break;
    case hcclStreamError: return "stream error";
    case hcclSynapseTerminated: return "synapse has terminated";
  }
  return "unknown error";
}

// MARK: The end

static size_t left;
static void leave(void *object, const void *handle) {
  struct communicator *communicator = object;
  leave_meeting(communicator, stage_aborted);
  remove_handle(handle);
  release_communicator(communicator);
  left++;
}

size_t leave_all_communicators(void) {
  left = 0;
  each_handle(handle_of_communicator, leave);
  return left;
}

// A process that ends before everybody has come takes its file with it.
__attribute__((destructor)) static void leave_at_end(void) { leave_all_communicators(); }
