// Streams, events, and the order of what two streams do.
#include "rig.h"
#include "subjects.h"

void misuse_streams(void) {
  begin();
  synStreamHandle stream;
  synEventHandle event;
  CHECK(api.synStreamCreateGeneric(&stream, 0, 1), refused(synInvalidArgument, "stream-flags"));
  stream = new_stream();
  CHECK(api.synStreamSynchronize(stream), accepted);
  CHECK(api.synStreamSynchronize((synStreamHandle)(uintptr_t)12345), refused(synInvalidArgument, "stream-handle"));
  CHECK(api.synStreamSynchronize(NULL), refused(synInvalidArgument, "stream-handle"));
  CHECK(api.synEventCreate(&event, 0, 0), accepted);
  CHECK(api.synStreamSynchronize((synStreamHandle)event), refused(synInvalidArgument, "stream-handle"));
  CHECK(api.synEventRecord(event, stream), accepted);
  CHECK(api.synEventDestroy(event), accepted);
  CHECK(api.synStreamSynchronize(stream), accepted);
  CHECK(api.synStreamDestroy(stream), accepted);
  CHECK(api.synStreamDestroy(stream), refused(synInvalidArgument, "stream-handle"));
  CHECK(api.synStreamDestroy(NULL), accepted);
  end();
}

void misuse_events(void) {
  begin();
  const synStreamHandle stream = new_stream(), other = new_stream();
  synEventHandle event, timed;
  uint64_t nanoseconds;
  CHECK(api.synEventCreate(&event, 0, 2), refused(synInvalidArgument, "event-flags"));
  CHECK(api.synEventCreate(&event, 0, 0), accepted);
  CHECK(api.synEventCreate(&timed, 0, EVENT_COLLECT_TIME), accepted);

  const struct expectation never = refused(synInvalidArgument, "event-never-recorded");
  CHECK(api.synEventQuery(event), never);
  CHECK(api.synEventSynchronize(event), never);
  CHECK(api.synStreamWaitEvent(other, event, 0), never);
  CHECK(api.synEventElapsedTime(&nanoseconds, timed, NULL), refused(synObjectNotInitialized, "event-never-recorded"));

  CHECK(api.synEventRecord(event, stream), accepted);
  CHECK(api.synEventQuery(event), returns(self.is_early ? synSuccess : synBusy));
  CHECK(api.synEventQuery(event), accepted);
  CHECK(api.synStreamWaitEvent(stream, event, 0), refused(synInvalidArgument, "event-wait-own-stream"));
  CHECK(api.synStreamWaitEvent(other, event, 1), refused(synInvalidArgument, "event-wait-flags"));
  CHECK(api.synStreamWaitEvent(other, event, 0), accepted);
  CHECK(api.synEventElapsedTime(&nanoseconds, event, NULL), refused(synInvalidArgument, "event-without-time"));
  CHECK(api.synEventRecord(timed, stream), accepted);
  CHECK(api.synEventSynchronize(timed), accepted);
  CHECK(api.synEventElapsedTime(&nanoseconds, timed, NULL), accepted);

  CHECK(api.synEventDestroy(event), accepted);
  CHECK(api.synEventDestroy(event), refused(synFail, "event-handle"));
  CHECK(api.synEventQuery(event), refused(synInvalidEventHandle, "event-handle"));
  CHECK(api.synEventQuery((synEventHandle)stream), refused(synInvalidEventHandle, "event-handle"));
  CHECK(api.synEventRecord(event, stream), refused(synInvalidEventHandle, "event-handle"));
  CHECK(api.synStreamWaitEvent(other, event, 0), refused(synInvalidEventHandle, "event-handle"));
  CHECK(api.synEventDestroy(timed), accepted);
  CHECK(api.synDeviceSynchronize(0), accepted);
  CHECK(api.synStreamDestroy(stream), accepted);
  CHECK(api.synStreamDestroy(other), accepted);
  end();
}

// What is refused while something is unfinished. When work is early it is finished at once, and all that is fine:
// then ranks.c shows these kinds, with a sum that waits for another process.
void misuse_order_of_streams(void) {
  begin();
  const struct expectation unordered = self.is_early ? accepted : refused(synFail, "unordered-access");
  const synStreamHandle stream = new_stream(), other = new_stream(), third = new_stream();
  const uint64_t memory = new_device_memory(1000);
  void *host = new_host_memory(1000);
  const uint64_t host_address = (uint64_t)(uintptr_t)host;
  synEventHandle event;
  CHECK(api.synEventCreate(&event, 0, 0), accepted);

  CHECK(api.synMemCopyAsync(stream, host_address, 500, memory, HOST_TO_DRAM), accepted);
  CHECK(api.synMemsetD8Async(memory + 499, 1, 10, other), unordered);
  CHECK(api.synMemsetD8Async(memory + 500, 1, 10, other), accepted);
  CHECK(api.synMemCopyAsync(other, memory, 10, host_address + 600, DRAM_TO_HOST), unordered);
  CHECK(api.synMemCopyAsync(other, memory + 500, 10, host_address + 499, DRAM_TO_HOST), unordered);
  // Both read it: that may be at once.
  CHECK(api.synMemCopyAsync(other, host_address, 10, memory + 600, HOST_TO_DRAM), accepted);

  // An event orders them, and is passed on; so does the host when it waits.
  CHECK(api.synEventRecord(event, stream), accepted);
  CHECK(api.synStreamWaitEvent(other, event, 0), accepted);
  CHECK(api.synMemsetD8Async(memory, 2, 500, other), accepted);
  CHECK(api.synMemsetD8Async(memory, 3, 500, third), unordered);
  CHECK(api.synEventRecord(event, other), accepted);
  CHECK(api.synStreamWaitEvent(third, event, 0), accepted);
  CHECK(api.synMemsetD8Async(memory, 3, 500, third), accepted);
  CHECK(api.synMemsetD8Async(memory, 4, 500, stream), unordered);
  CHECK(api.synStreamSynchronize(third), accepted);
  CHECK(api.synMemsetD8Async(memory, 4, 500, stream), accepted);

  if (!self.is_early) CHECK(api.synStreamDestroy(stream), refused(synBusy, "stream-destroyed-busy"));
  if (!self.is_early) CHECK(api.synDeviceFree(0, memory, 0), refused(synFail, "device-memory-in-use"));
  CHECK(api.synDeviceSynchronize(0), accepted);
  CHECK(api.synMemCopyAsync(stream, memory, 500, host_address, DRAM_TO_HOST), accepted);
  if (!self.is_early) CHECK(api.synHostFree(0, host, 0), refused(synFail, "host-memory-in-use"));
  CHECK(api.synStreamQuery(stream), returns(self.is_early ? synSuccess : synBusy));
  CHECK(api.synStreamQuery(stream), accepted);
  CHECK(((const char *)host)[499], returns(4));

  CHECK(api.synHostFree(0, host, 0), accepted);
  CHECK(api.synDeviceFree(0, memory, 0), accepted);
  CHECK(api.synEventDestroy(event), accepted);
  CHECK(api.synStreamDestroy(stream), accepted);
  CHECK(api.synStreamDestroy(other), accepted);
  CHECK(api.synStreamDestroy(third), accepted);
  end();
}
