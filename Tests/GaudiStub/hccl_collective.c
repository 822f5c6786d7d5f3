// hcclAllReduce and hcclBroadcast.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "communicator.h"
#include "memory.h"

enum { broadcast = 16 };  // and the root

// Work of a stream, done a chunk at a time as far as the other ranks let it.
struct collective {
  struct communicator *communicator;
  struct marker before;  // the communicator's collectives happen one after another
  const char *from;      // NULL: a broadcast's, of another rank
  char *to;
  uint64_t count;
  size_t bytes;  // of an element
  hcclDataType_t type;
  int kind;       // a reduction, or broadcast + root
  uint64_t done;  // bytes
  bool has_begun, is_in_step, has_written;
};

static size_t bytes_of(hcclDataType_t type) {
  switch (type) {
    case hcclInt8:
    case hcclUint8: return 1;
    case hcclFloat16:
    case hcclBfloat16: return 2;
    case hcclInt32:
    case hcclUint32:
    case hcclFloat32: return 4;
    case hcclInt64:
    case hcclUint64:
    case hcclFloat64: return 8;
    case hcclNumTypes: break;
  }
  return 0;
}

// MARK: Arithmetic

static float from_bf16(uint16_t bits) {
  const uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

static uint16_t to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (value != value) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float load(const struct collective *work, int rank, size_t index) {
  const char *chunk = chunk_of(work->communicator, rank);
  if (work->type == hcclBfloat16) return from_bf16(((const uint16_t *)(const void *)chunk)[index]);
  return ((const float *)(const void *)chunk)[index];
}

static float reduce(int kind, float a, float b) {
  switch (kind) {
    case hcclMin: return b < a || b != b ? b : a;
    case hcclMax: return b > a || b != b ? b : a;
  }
  return a + b;
}

// In the order of ranks, so that everyone has the same bits.
static void take(const struct collective *work, size_t part) {
  char *to = work->to + work->done;
  if (work->kind >= broadcast) {
    memcpy(to, chunk_of(work->communicator, work->kind - broadcast), part);
    return;
  }
  for (size_t i = 0; i < part / work->bytes; i++) {
    float value = load(work, 0, i);
    for (int rank = 1; rank < work->communicator->ranks; rank++) value = reduce(work->kind, value, load(work, rank, i));
    if (work->type == hcclBfloat16) ((uint16_t *)(void *)to)[i] = to_bf16(value);
    else ((float *)(void *)to)[i] = value;
  }
}

// MARK: Steps

static void report_disagreement(const struct collective *work) {
  struct communicator *communicator = work->communicator;
  char text[240];
  int used = snprintf(text, sizeof text,
                      "in collective %llu ranks do not agree:", (unsigned long long)communicator->collectives);
  for (int rank = 0; rank < communicator->ranks && used < (int)sizeof text; rank++) {
    const struct member *member = &communicator->meeting->members[rank];
    used += snprintf(text + used, sizeof text - (size_t)used, " rank %d has %llu of type %d, %s %d;", rank,
                     (unsigned long long)member->count, member->type, member->kind >= broadcast ? "root" : "reduction",
                     member->kind % broadcast);
  }
  fail_meeting(communicator, fault_hccl_disagreement, hcclInvalidUsage, text);
}

static bool have_all_taken(const struct communicator *communicator) {
  for (int rank = 0; rank < communicator->ranks; rank++)
    if (communicator->meeting->members[rank].taken < communicator->step - 1) return false;
  return true;
}

static bool have_all_written(const struct communicator *communicator) {
  for (int rank = 0; rank < communicator->ranks; rank++)
    if (communicator->meeting->members[rank].written < communicator->step) return false;
  return true;
}

static bool do_all_agree(const struct collective *work) {
  for (int rank = 0; rank < work->communicator->ranks; rank++) {
    const struct member *member = &work->communicator->meeting->members[rank];
    if (member->count != work->count || member->type != (int)work->type || member->kind != work->kind) return false;
  }
  return true;
}

static bool step(struct collective *work) {
  struct communicator *communicator = work->communicator;
  struct member *mine = &communicator->meeting->members[communicator->rank];
  const uint64_t rest = work->count * work->bytes - work->done;
  const size_t part = rest < chunk_bytes ? (size_t)rest : chunk_bytes;
  if (!work->is_in_step) communicator->step++;
  work->is_in_step = true;
  if (!work->has_written) {
    if (!have_all_taken(communicator)) return false;
    if (work->from) memcpy(chunk_of(communicator, communicator->rank), work->from + work->done, part);
    mine->count = work->count;
    mine->type = (int)work->type;
    mine->kind = work->kind;
    mine->written = communicator->step;
    work->has_written = true;
  }
  if (!have_all_written(communicator)) return false;
  if (!do_all_agree(work)) {
    report_disagreement(work);
    return false;
  }
  take(work, part);
  mine->taken = communicator->step;
  work->is_in_step = work->has_written = false;
  work->done += part;
  return true;
}

// After an error it waits, as work of the network does, until its communicator is aborted; then it ends without a
// result.
static enum progress run(void *context) {
  struct collective *work = context;
  struct communicator *communicator = work->communicator;
  if (!advance(work->before)) return progress_pending;
  if (!work->has_begun && !communicator->is_aborted) communicator->collectives++;
  work->has_begun = true;
  do {
    if (communicator->is_aborted || !communicator->meeting) return progress_done;
    if (communicator->error || communicator->meeting->error || !step(work)) return progress_pending;
  } while (work->done < work->count * work->bytes);
  library.counts.collectives++;
  return progress_done;
}

static void end(void *context) {
  struct collective *work = context;
  release_communicator(work->communicator);
  free(work);
}

hcclResult_t start_collective(struct communicator *communicator, struct stream *stream, const struct task *task) {
  struct collective *work = task->context;
  work->before = communicator->last;
  if (enqueue(stream, task)) return hcclInvalidUsage;
  communicator->last = end_of(stream);
  return hcclSuccess;
}

// MARK: Calls

static hcclResult_t check_buffer(const void *pointer, uint64_t count, size_t bytes, const char *which) {
  const uint64_t address = (uint64_t)(uintptr_t)pointer;
  if (count > (uint64_t)1 << 56 || !device_bytes(address, count * bytes))
    return refuse_hccl(fault_hccl_buffer, hcclInvalidArgument, "%llu elements of %zu bytes in the %s buffer: %s",
                       (unsigned long long)count, bytes, which, describe_device_address(address));
  if (address % bytes)
    return refuse_hccl(fault_hccl_buffer, hcclInvalidArgument, "the %s buffer is not aligned as its type is", which);
  return hcclSuccess;
}

static hcclResult_t submit(struct collective asked, const void *from, void *to, hcclComm_t handle,
                           synStreamHandle stream_handle) {
  hcclResult_t result;
  struct communicator *communicator = find_communicator(handle, &result);
  if (!communicator) return result;
  synStatus status;
  struct stream *stream = find_stream(stream_handle, &status);
  if (!stream) return refuse_hccl(fault_hccl_stream, hcclStreamError, "the stream is none of the device");
  if (asked.kind >= broadcast && asked.kind - broadcast >= communicator->ranks)
    return refuse_hccl(fault_hccl_root, hcclInvalidArgument, "there is no root %d among %d ranks",
                       asked.kind - broadcast, communicator->ranks);
  const bool needs_source = asked.kind < broadcast || asked.kind - broadcast == communicator->rank;
  if (needs_source && (result = check_buffer(from, asked.count, asked.bytes, "sending"))) return result;
  if ((result = check_buffer(to, asked.count, asked.bytes, "receiving"))) return result;
  const uint64_t source = (uint64_t)(uintptr_t)from, target = (uint64_t)(uintptr_t)to,
                 bytes = asked.count * asked.bytes;
  const struct range ranges[] = {{target, bytes, false, true}, {source, bytes, false, false}};
  if (needs_source && source != target && overlap(&ranges[0], &ranges[1]))
    return refuse_hccl(fault_hccl_buffer_overlap, hcclInvalidArgument, "the buffers overlap and are not the same");

  struct collective *work = malloc(sizeof *work);
  if (!work) abort();
  *work = asked;
  work->communicator = communicator;
  work->from = needs_source ? device_bytes(source, bytes) : NULL;
  work->to = device_bytes(target, bytes);
  communicator->references++;
  return submit_collective(communicator, stream, &(struct task){run, end, work, ranges, needs_source ? 2 : 1});
}

static hcclResult_t begin(const struct call *call) {
  if (!call->status) return hcclSuccess;
  return call->status == synSynapseTerminated ? hcclSynapseTerminated : hcclNoDeviceFound;
}

EXPORT hcclResult_t hcclAllReduce(const void *from, void *to, size_t count, hcclDataType_t type, hcclRedOp_t reduction,
                                  hcclComm_t communicator, synStreamHandle stream) {
  SCOPED struct call call = begin_call("hcclAllReduce", needs_device);
  if (call.status) return begin(&call);
  // hcclAvg and hcclProd are in the header, and HCCL has neither.
  if (reduction != hcclSum && reduction != hcclMin && reduction != hcclMax)
    return refuse_hccl(fault_hccl_reduction, hcclUnsupported, "reduction %d", reduction);
  if (type != hcclFloat32 && type != hcclBfloat16)
    return refuse_hccl(fault_hccl_data_type, hcclUnsupported, "the stub reduces float and bfloat16 only, not type %d",
                       type);
  return submit((struct collective){.count = count, .bytes = bytes_of(type), .type = type, .kind = (int)reduction},
                from, to, communicator, stream);
}

EXPORT hcclResult_t hcclBroadcast(const void *from, void *to, size_t count, hcclDataType_t type, int root,
                                  hcclComm_t communicator, synStreamHandle stream) {
  SCOPED struct call call = begin_call("hcclBroadcast", needs_device);
  if (call.status) return begin(&call);
  if (!bytes_of(type)) return refuse_hccl(fault_hccl_data_type, hcclInvalidArgument, "there is no type %d", type);
  if (root < 0 || root >= most_ranks)
    return refuse_hccl(fault_hccl_root, hcclInvalidArgument, "there is no root %d", root);
  return submit((struct collective){.count = count, .bytes = bytes_of(type), .type = type, .kind = broadcast + root},
                from, to, communicator, stream);
}
