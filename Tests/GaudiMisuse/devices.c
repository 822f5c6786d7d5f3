// The library's life, and devices: which there are, who holds them, what they say.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"
#include "subjects.h"

void misuse_library(void) {
  uint32_t device, count = 0;
  synGraphHandle graph;
  CHECK(api.synDeviceAcquire(&device, NULL), refused(synUninitialized, "not-initialised"));
  CHECK(api.synGraphCreate(&graph, synDeviceGaudi2), refused(synUninitialized, "not-initialised"));
  CHECK(api.hcclGroupStart(), refused(hcclNoDeviceFound, "not-initialised"));
  CHECK(api.synDestroy(), refused(synUninitialized, "not-initialised"));
  // The version may be asked for at any time.
  char version[64];
  CHECK(api.synDriverGetVersion(version, sizeof version), accepted);
  CHECK(api.synDriverGetVersion(version, 0), refused(synInvalidArgument, "null-argument"));

  CHECK(api.synInitialize(), accepted);
  CHECK(api.synInitialize(), noted("initialised-twice"));
  CHECK(api.synDeviceGetCount(NULL), refused(synInvalidArgument, "null-argument"));
  CHECK(api.synGraphCreate(NULL, synDeviceGaudi2), refused(synInvalidArgument, "null-argument"));
  CHECK(api.synDeviceGetCount(&count), accepted);
  CHECK(count, returns(1));
  CHECK(api.synConfigurationSet("NO_SUCH_THING", "1"), refused(synInvalidArgument, "configuration"));
  CHECK(api.synConfigurationSet("ENABLE_PROFILER", "1"), accepted);
  CHECK(api.synDestroy(), accepted);
  CHECK(api.synDestroy(), refused(synUninitialized, "not-initialised"));

  // What is left behind is named, whatever it is.
  CHECK(api.synInitialize(), accepted);
  graph = new_graph();
  CHECK(api.synDestroy(), noted("leaked"));
  CHECK(api.synInitialize(), accepted);
  CHECK(api.synGraphDestroy(graph), refused(synFail, "graph-handle"));
  new_small_recipe(synDeviceGaudi2);
  CHECK(api.synDestroy(), noted("leaked"));
  begin();
  CHECK(api.synDestroy(), noted("leaked"));
  CHECK(api.synInitialize(), accepted);
  graph = new_graph();
  CHECK(api.synGraphDestroy(graph), accepted);
  CHECK(api.synDestroy(), accepted);
}

static void check_answers(void) {
  uint64_t values[2] = {0};
  const int attributes[] = {DEVICE_ATTRIBUTE_DRAM_SIZE, no_device_attribute};
  CHECK(api.synDeviceGetAttribute(values, attributes, 2, 0), refused(synUnsupported, "device-attribute"));
  CHECK(api.synDeviceGetAttribute(values, attributes, 1, 0), accepted);
  CHECK((int64_t)values[0], returns((int64_t)4 << 30));
  uint32_t modules[8], count = 0;
  CHECK(api.synDeviceGetModuleIDs(modules, &count), refused(synInvalidArgument, "device-list-short"));
  count = 8;
  CHECK(api.synDeviceGetModuleIDs(modules, &count), accepted);
  CHECK(count, returns(1));
}

void misuse_devices(void) {
  uint32_t device = 9;
  uint64_t address;
  CHECK(api.synInitialize(), accepted);
  CHECK(api.synDeviceAcquireByModuleId(&device, 3), refused(synNoDeviceFound, "no-device"));
  CHECK(api.synDeviceAcquire(&device, "0000:17:00.0"), refused(synNoDeviceFound, "no-device"));
  CHECK(api.synDeviceAcquireByDeviceType(&device, synDeviceGaudi3), refused(synDeviceTypeMismatch, "device-type"));
  CHECK(api.synDeviceRelease(0), refused(synNoDeviceFound, "device-not-acquired"));
  CHECK(api.synDeviceMalloc(0, 10, 0, 0, &address), refused(synFail, "device-not-acquired"));
  CHECK(api.synDeviceFree(0, 0, 0), noted("device-not-acquired"));
  CHECK(api.synHostFree(0, NULL, 0), noted("device-not-acquired"));

  CHECK(api.synDeviceAcquireByDeviceType(&device, synDeviceGaudi2), accepted);
  CHECK(device, returns(0));
  CHECK(api.synDeviceAcquire(&device, NULL), refused(synDeviceAlreadyAcquired, "device-held"));
  CHECK(api.synDeviceSynchronize(1), refused(synInvalidArgument, "device-identifier"));
  CHECK(api.synDeviceMalloc(1, 10, 0, 0, &address), refused(synInvalidArgument, "device-identifier"));
  CHECK(api.synDeviceSynchronize(0), accepted);
  check_answers();

  synStreamHandle stream = new_stream();
  CHECK(api.synDeviceRelease(0), noted("leaked-by-device"));
  CHECK(api.synStreamQuery(stream), refused(synFail, "device-not-acquired"));
  CHECK(api.synDeviceAcquire(&device, ""), accepted);
  CHECK(api.synStreamQuery(stream), refused(synInvalidArgument, "stream-handle"));
  stream = new_stream();
  CHECK(api.synStreamDestroy(stream), accepted);
  end();
}

// Two processes, two modules (GAUDI_STUB_DEVICES).
void misuse_devices_of_others(void) {
  uint32_t device;
  if (self.rank == 0) begin();
  else CHECK(api.synInitialize(), accepted);
  meet();
  if (self.rank == 1) {
    CHECK(api.synDeviceAcquireByModuleId(&device, 0), refused(synNoDeviceFound, "device-taken"));
    CHECK(api.synDeviceAcquire(&device, NULL), accepted);  // the other module
    CHECK(api.synDeviceRelease(0), accepted);
  }
  meet();
  if (self.rank == 0) end();
  meet();
  if (self.rank == 0) return;
  CHECK(api.synDeviceAcquireByModuleId(&device, 0), accepted);
  end();
}

// GAUDI_STUB_TAKEN
void misuse_taken_devices(void) {
  uint32_t device;
  CHECK(api.synInitialize(), accepted);
  CHECK(api.synDeviceAcquireByModuleId(&device, 2), refused(synNoDeviceFound, "device-taken"));
  CHECK(api.synDeviceAcquire(&device, NULL), refused(synNoDeviceFound, "device-taken"));
  CHECK(api.synDestroy(), accepted);
}

// GAUDI_STUB_DEVICES=4, HABANA_VISIBLE_MODULES=1,3
void misuse_hidden_devices(void) {
  uint32_t device, count = 0;
  CHECK(api.synInitialize(), accepted);
  CHECK(api.synDeviceGetCount(&count), accepted);
  CHECK(count, returns(2));
  CHECK(api.synDeviceAcquireByModuleId(&device, 2), refused(synNoDeviceFound, "no-device"));
  CHECK(api.synDeviceAcquireByModuleId(&device, 3), accepted);
  end();
}

// GAUDI_STUB_DEVICES=0, at first
void misuse_no_devices(void) {
  uint32_t device, count = 1;
  CHECK(api.synInitialize(), accepted);
  CHECK(api.synDeviceGetCount(&count), accepted);
  CHECK(count, returns(0));
  CHECK(api.synDeviceAcquire(&device, NULL), refused(synNoDeviceFound, "no-device"));
  CHECK(api.synDestroy(), accepted);
  unsetenv("GAUDI_STUB_DEVICES");
  begin();
  end();
  setenv("GAUDI_STUB_RUN", "/no/such/folder", 1);
  CHECK(api.synInitialize(), accepted);
  CHECK(api.synDeviceAcquire(&device, NULL), refused(synNoDeviceFound, "no-device"));
  CHECK(api.synDestroy(), accepted);
}

static void fork_and_wait(void (*in_the_fork)(void)) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    in_the_fork();
    fflush(stdout);
    _exit(0);  // without the library's destructors, which are the parent's
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) fail("a fork ended with status 0x%x", (unsigned)status);
}

static void use_the_parents_device(void) {
  uint64_t address;
  CHECK(api.synDeviceMalloc(0, 10, 0, 0, &address), refused(synFail, "used-after-fork"));
  CHECK(api.synDeviceRelease(0), refused(synFail, "used-after-fork"));
}

void misuse_after_fork(void) {
  // Before anything was acquired a fork is a process like another.
  fork_and_wait(begin);
  begin();
  fork_and_wait(use_the_parents_device);
  const uint64_t address = new_device_memory(10);
  CHECK(api.synDeviceFree(0, address, 0), accepted);
  end();
}
