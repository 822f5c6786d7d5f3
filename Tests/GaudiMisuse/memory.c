// Memory of the device and of the host, and what is copied between them.
#include "rig.h"
#include "subjects.h"

// GAUDI_STUB_MEMORY is 1 MiB.
void misuse_memory(void) {
  begin();
  uint64_t none;
  CHECK(api.synDeviceMalloc(0, 10, 0, 1, &none), refused(synFail, "memory-flags"));
  CHECK(api.synDeviceMalloc(0, 2 << 20, 0, 0, &none), refused(synFail, "device-memory-exhausted"));
  CHECK(api.synDeviceMalloc(0, UINT64_MAX, 0, 0, &none), refused(synFail, "device-memory-exhausted"));
  const uint64_t small = new_device_memory(1000), half = new_device_memory(1 << 19);
  CHECK(api.synDeviceMalloc(0, 1 << 19, 0, 0, &none), refused(synFail, "device-memory-exhausted"));
  CHECK(api.synDeviceFree(0, half, 0), accepted);
  const uint64_t again = new_device_memory(1 << 19);
  CHECK(again != half, returns(true));  // addresses are never used twice
  CHECK(api.synDeviceFree(0, half, 0), refused(synFail, "device-memory-unknown"));
  CHECK(api.synDeviceFree(0, small + 4, 0), refused(synFail, "device-memory-unknown"));
  CHECK(api.synDeviceFree(0, small, 1), refused(synFail, "memory-flags"));
  CHECK(api.synDeviceFree(0, small, 0), accepted);
  CHECK(api.synDeviceFree(0, again, 0), accepted);

  void *host;
  CHECK(api.synHostMalloc(0, 64, 1, &host), refused(synFail, "memory-flags"));
  CHECK(api.synHostMalloc(0, UINT64_MAX, 0, &host), refused(synOutOfHostMemory, "device-memory-exhausted"));
  host = new_host_memory(64);
  char ordinary[64];
  CHECK(api.synHostFree(0, ordinary, 0), refused(synInvalidArgument, "host-memory-unknown"));
  CHECK(api.synHostUnmap(0, ordinary), refused(synInvalidArgument, "host-memory-unknown"));
  CHECK(api.synHostUnmap(0, host), refused(synInvalidArgument, "host-memory-unknown"));
  CHECK(api.synHostFree(0, host, 0), accepted);
  CHECK(api.synHostFree(0, host, 0), refused(synInvalidArgument, "host-memory-unknown"));

  CHECK(api.synHostMap(0, 0, ordinary), refused(synInvalidArgument, "host-map-overlap"));
  CHECK(api.synHostMap(0, sizeof ordinary, ordinary), accepted);
  CHECK(api.synHostMap(0, sizeof ordinary, ordinary), refused(synInvalidArgument, "host-map-overlap"));
  CHECK(api.synHostMap(0, 8, ordinary + 60), refused(synInvalidArgument, "host-map-overlap"));
  CHECK(api.synHostFree(0, ordinary, 0), refused(synInvalidArgument, "host-memory-unknown"));
  CHECK(api.synHostUnmap(0, ordinary), accepted);
  CHECK(api.synHostUnmap(0, ordinary), refused(synInvalidArgument, "host-memory-unknown"));
  end();
}

static uint64_t address_of(const void *pointer) { return (uint64_t)(uintptr_t)pointer; }

static void check_copies(synStreamHandle stream, uint64_t memory, uint64_t other, uint64_t host) {
  const struct {
    const char *what;
    uint64_t from, bytes, to;
    int direction;
    struct expectation expected;
  } copies[] = {
      {"up", host, 1000, memory, HOST_TO_DRAM, accepted},
      {"down", memory, 1000, host, DRAM_TO_HOST, accepted},
      {"across", memory, 1000, other, DRAM_TO_DRAM, accepted},
      {"within, side by side", memory, 500, memory + 500, DRAM_TO_DRAM, accepted},
      {"within, one over the other", memory, 64, memory + 32, DRAM_TO_DRAM,
       refused(synInvalidArgument, "copy-overlap")},
      {"in no direction", host, 64, memory, no_direction, refused(synInvalidArgument, "copy-direction")},
      {"from nowhere", 0, 64, memory, HOST_TO_DRAM, refused(synInvalidArgument, "copy-address")},
      {"to nowhere", memory, 64, 0, DRAM_TO_HOST, refused(synInvalidArgument, "copy-address")},
      {"up, said to be down", host, 64, memory, DRAM_TO_HOST, refused(synInvalidArgument, "copy-wrong-side")},
      {"down, said to be up", memory, 64, host, HOST_TO_DRAM, refused(synInvalidArgument, "copy-wrong-side")},
      {"across, said to be up", memory, 64, other, HOST_TO_DRAM, refused(synInvalidArgument, "copy-wrong-side")},
      {"down, said to be across", memory, 64, host, DRAM_TO_DRAM, refused(synInvalidArgument, "copy-wrong-side")},
      {"past the end of the device's", host, 1001, memory, HOST_TO_DRAM, refused(synInvalidArgument, "copy-range")},
      {"past the end of the host's", host, 1025, other, HOST_TO_DRAM,
       refused(synMappingNotFound, "host-memory-not-pinned")},
  };
  for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
    checking("copy %s", copies[i].what);
    CHECK(api.synMemCopyAsync(stream, copies[i].from, copies[i].bytes, copies[i].to, copies[i].direction),
          copies[i].expected);
  }
  checking("%s", "");
}

static void check_pinning(synStreamHandle stream, uint64_t memory) {
  char ordinary[64] = "";
  const uint64_t from = address_of(ordinary);
  const struct expectation not_pinned = refused(synMappingNotFound, "host-memory-not-pinned");
  CHECK(api.synMemCopyAsync(stream, from, 64, memory, HOST_TO_DRAM), not_pinned);
  CHECK(api.synHostMap(0, sizeof ordinary, ordinary), accepted);
  CHECK(api.synMemCopyAsync(stream, from, 64, memory, HOST_TO_DRAM), accepted);
  CHECK(api.synStreamSynchronize(stream), accepted);
  CHECK(api.synHostUnmap(0, ordinary), accepted);
  CHECK(api.synMemCopyAsync(stream, from, 64, memory, HOST_TO_DRAM), not_pinned);
}

void misuse_copies(void) {
  begin();
  const synStreamHandle stream = new_stream();
  const uint64_t memory = new_device_memory(1000), other = new_device_memory(4096);
  void *host = new_host_memory(1024);
  check_copies(stream, memory, other, address_of(host));
  check_pinning(stream, memory);

  CHECK(api.synMemsetD32Async(memory, 0, 250, stream), accepted);
  CHECK(api.synMemsetD32Async(memory, 0, 251, stream), refused(synInvalidArgument, "memset-range"));
  CHECK(api.synMemsetD32Async(memory, 0, (size_t)1 << 62, stream), refused(synInvalidArgument, "memset-range"));
  CHECK(api.synMemsetD8Async(memory, 0, 1000, stream), accepted);
  CHECK(api.synMemsetD8Async(address_of(host), 0, 1, stream), refused(synInvalidArgument, "memset-range"));

  CHECK(api.synStreamSynchronize(stream), accepted);
  CHECK(api.synDeviceFree(0, memory, 0), accepted);
  CHECK(api.synMemCopyAsync(stream, address_of(host), 4, memory, HOST_TO_DRAM),
        refused(synInvalidArgument, "copy-range"));
  CHECK(api.synMemsetD8Async(memory, 0, 1, stream), refused(synInvalidArgument, "memset-range"));
  CHECK(api.synDeviceFree(0, other, 0), accepted);
  CHECK(api.synHostFree(0, host, 0), accepted);
  CHECK(api.synStreamDestroy(stream), accepted);
  end();
}
