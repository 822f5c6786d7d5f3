// Copies and memsets.
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "stream.h"

// One of both: bytes from somewhere, or a pattern.
struct transfer {
  char *to;
  const char *from;  // NULL: a pattern
  uint64_t bytes;
  char pattern[4];
  size_t pattern_bytes;
};

static enum progress transfer(void *context) {
  const struct transfer *work = context;
  if (work->from) {
    memcpy(work->to, work->from, work->bytes);
    library.counts.bytes_copied += work->bytes;
    return progress_done;
  }
  for (uint64_t i = 0; i < work->bytes; i++) work->to[i] = work->pattern[i % work->pattern_bytes];
  return progress_done;
}

static synStatus put(struct stream *stream, struct transfer transfer_now, const struct range *ranges, size_t count) {
  struct transfer *kept = malloc(sizeof *kept);
  if (!kept) abort();
  *kept = transfer_now;
  return enqueue(stream, &(struct task){transfer, free, kept, ranges, count});
}

static synStatus check_device_side(uint64_t address, uint64_t bytes, const char *which) {
  if (device_bytes(address, bytes)) return synSuccess;
  if (address < DEVICE_BASE)
    return refuse(fault_copy_wrong_side, synInvalidArgument, "the %s is to be the device's, and %s", which,
                  describe_device_address(address));
  return refuse(fault_copy_range, synInvalidArgument, "the %s, %llu bytes: %s", which, (unsigned long long)bytes,
                describe_device_address(address));
}

static synStatus check_host_side(uint64_t address, uint64_t bytes, const char *which) {
  if (address >= DEVICE_BASE)
    return refuse(fault_copy_wrong_side, synInvalidArgument, "the %s is to be the host's, and is 0x%llx", which,
                  (unsigned long long)address);
  if (is_pinned(address, bytes)) return synSuccess;
  // QueueCopyScal::memcopy
  return refuse(fault_host_memory_not_pinned, synMappingNotFound,
                "the %s, %llu bytes at 0x%llx, is not inside memory of synHostMalloc or synHostMap", which,
                (unsigned long long)bytes, (unsigned long long)address);
}

EXPORT synStatus synMemCopyAsync(synStreamHandle handle, uint64_t from, uint64_t bytes, uint64_t to,
                                 synDmaDir direction) {
  SCOPED struct call call = begin_call("synMemCopyAsync", needs_device);
  synStatus status = call.status;
  if (status) return status;
  struct stream *stream = find_stream(handle, &status);
  if (!stream) return status;
  if (direction != HOST_TO_DRAM && direction != DRAM_TO_HOST && direction != DRAM_TO_DRAM)
    return refuse(fault_copy_direction, synInvalidArgument, "there is no direction %d", direction);
  if (bytes == 0) return synSuccess;  // synSingleton::memcpyAsync
  if (!from || !to) return refuse(fault_copy_address, synInvalidArgument, "an address is 0");
  const bool is_from_host = direction == HOST_TO_DRAM, is_to_host = direction == DRAM_TO_HOST;
  status = is_from_host ? check_host_side(from, bytes, "source") : check_device_side(from, bytes, "source");
  if (status) return status;
  status = is_to_host ? check_host_side(to, bytes, "target") : check_device_side(to, bytes, "target");
  if (status) return status;
  const struct range ranges[] = {{from, bytes, is_from_host, false}, {to, bytes, is_to_host, true}};
  if (overlap(&ranges[0], &ranges[1]))
    return refuse(fault_copy_overlap, synInvalidArgument, "source and target overlap");
  return put(stream,
             (struct transfer){
                 .to = is_to_host ? (char *)(uintptr_t)to : device_bytes(to, bytes),
                 .from = is_from_host ? (const char *)(uintptr_t)from : device_bytes(from, bytes),
                 .bytes = bytes,
             },
             ranges, 2);
}

static synStatus set(synStreamHandle handle, uint64_t address, const void *value, size_t value_bytes, size_t count) {
  synStatus status;
  struct stream *stream = find_stream(handle, &status);
  if (!stream || count == 0) return status;
  const uint64_t bytes = (uint64_t)count * value_bytes;
  void *to = bytes / value_bytes == count ? device_bytes(address, bytes) : NULL;
  if (!to)
    return refuse(fault_memset_range, synInvalidArgument, "%zu elements of %zu bytes: %s", count, value_bytes,
                  describe_device_address(address));
  struct transfer pattern = {.to = to, .bytes = bytes, .pattern_bytes = value_bytes};
  memcpy(pattern.pattern, value, value_bytes);
  return put(stream, pattern, &(struct range){address, bytes, false, true}, 1);
}

EXPORT synStatus synMemsetD8Async(uint64_t address, unsigned char value, size_t count, synStreamHandle stream) {
  SCOPED struct call call = begin_call("synMemsetD8Async", needs_device);
  return call.status ? call.status : set(stream, address, &value, sizeof value, count);
}

EXPORT synStatus synMemsetD32Async(uint64_t address, uint32_t value, size_t count, synStreamHandle stream) {
  SCOPED struct call call = begin_call("synMemsetD32Async", needs_device);
  return call.status ? call.status : set(stream, address, &value, sizeof value, count);
}
