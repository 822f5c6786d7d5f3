// Devices: how many there are, who holds them, what they say of themselves.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "communicator.h"
#include "library.h"
#include "memory.h"
#include "stream.h"

synStatus check_device_identifier(synDeviceId device) {
  // The real library has one device a process and mostly does not look at the number.
  if (device == 0) return synSuccess;
  return refuse(fault_device_identifier, synInvalidArgument, "%u is not what synDeviceAcquire gave", device);
}

// MARK: Who holds a module

static void module_path(synModuleId module, char *out, size_t bytes) {
  snprintf(out, bytes, "%s/gaudi-stub-module-%u-%u", library.settings.run, (unsigned)getuid(), module);
}

// A module is held by who has locked its file. The file goes when it is given up; that of a process that was killed
// stays, unlocked, until the module is held and given up again.
static int hold(synModuleId module) {
  char path[600];
  module_path(module, path, sizeof path);
  for (;;) {
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return -1;
    struct stat status;
    if (flock(file, LOCK_EX | LOCK_NB) == 0 && fstat(file, &status) == 0) {
      if (status.st_nlink > 0) return file;
      close(file);  // removed since it was opened
      continue;
    }
    close(file);
    return -1;
  }
}

static void give_up(void) {
  struct device *device = &library.device;
  if (device->lock < 0) return;
  char path[600];
  module_path(device->module, path, sizeof path);
  if (device->process == getpid()) unlink(path);
  close(device->lock);
  device->lock = -1;
}

__attribute__((destructor)) static void give_up_at_end(void) { give_up(); }

// OSAL::acquireDevice and what it calls, osal_linux.cpp.
static synStatus acquire(synDeviceId *out, synDeviceType type, synModuleId wanted) {
  synStatus status = require(out, "the place for the device");
  if (status) return status;
  if (library.device.is_acquired)
    return refuse(fault_device_held, synDeviceAlreadyAcquired, "this process has module %u", library.device.module);
  *out = UINT32_MAX;
  if (access(library.settings.run, W_OK | X_OK))
    return refuse(fault_no_device, synNoDeviceFound, "GAUDI_STUB_RUN, %s: %s", library.settings.run, strerror(errno));
  bool is_there = false;
  for (synModuleId module = 0; module < most_modules; module++) {
    if (!is_module(module) || (wanted != INVALID_MODULE_ID && module != wanted)) continue;
    is_there = true;
    if (type != synDeviceTypeInvalid && type != library.settings.type)
      return refuse(fault_device_type, synDeviceTypeMismatch, "devices here are of type %d, not %d",
                    library.settings.type, type);
    const int lock = library.settings.is_taken ? -1 : hold(module);
    if (lock < 0) continue;
    library.device = (struct device){.is_acquired = true, .module = module, .lock = lock, .process = getpid()};
    *out = 0;
    return synSuccess;
  }
  if (!is_there && wanted != INVALID_MODULE_ID)
    return refuse(fault_no_device, synNoDeviceFound, "there is no module %u", wanted);
  if (!is_there) return refuse(fault_no_device, synNoDeviceFound, "there are no devices");
  // Held by other processes. In these sources that is no status of its own: openByModuleID and openAnyDevice both say
  // this.
  return refuse(fault_device_taken, synNoDeviceFound, "others hold every device that would do");
}

EXPORT synStatus synDeviceAcquire(synDeviceId *out, const char *bus) {
  SCOPED struct call call = begin_call("synDeviceAcquire", needs_library);
  if (call.status) return call.status;
  if (bus && *bus) return refuse(fault_no_device, synNoDeviceFound, "the stub's devices are on no bus %s", bus);
  return acquire(out, synDeviceTypeInvalid, INVALID_MODULE_ID);
}

EXPORT synStatus synDeviceAcquireByDeviceType(synDeviceId *out, synDeviceType type) {
  SCOPED struct call call = begin_call("synDeviceAcquireByDeviceType", needs_library);
  return call.status ? call.status : acquire(out, type, INVALID_MODULE_ID);
}

EXPORT synStatus synDeviceAcquireByModuleId(synDeviceId *out, synModuleId module) {
  SCOPED struct call call = begin_call("synDeviceAcquireByModuleId", needs_library);
  return call.status ? call.status : acquire(out, synDeviceTypeInvalid, module);
}

size_t release_device(void) {
  const size_t left = leave_all_communicators() + forget_all_streams() + free_all_memory();
  give_up();
  library.device.is_acquired = false;
  return left;
}

EXPORT synStatus synDeviceRelease(synDeviceId identifier) {
  SCOPED struct call call = begin_call("synDeviceRelease", needs_library);
  synStatus status = call.status;
  if (status) return status;
  // DeviceManager::releaseDevice
  if (!library.device.is_acquired) return refuse(fault_device_not_acquired, synNoDeviceFound, "no device is acquired");
  if ((status = check_device_identifier(identifier))) return status;
  const size_t left = release_device();
  // DeviceScal::release frees everything and says nothing.
  if (left) note(fault_leaked_by_device, "it had %zu streams, events, communicators and pieces of memory", left);
  return synSuccess;
}

// MARK: Questions

static uint32_t count_modules(void) {
  uint32_t count = 0;
  for (synModuleId module = 0; module < most_modules; module++) count += is_module(module);
  return count;
}

EXPORT synStatus synDeviceGetCount(uint32_t *out) {
  SCOPED struct call call = begin_call("synDeviceGetCount", needs_library);
  synStatus status = call.status;
  if (status || (status = require(out, "the count"))) return status;
  *out = count_modules();
  return synSuccess;
}

EXPORT synStatus synDeviceGetCountByDeviceType(uint32_t *out, synDeviceType type) {
  SCOPED struct call call = begin_call("synDeviceGetCountByDeviceType", needs_library);
  synStatus status = call.status;
  if (status || (status = require(out, "the count"))) return status;
  *out = type == library.settings.type || type == synDeviceTypeSize ? count_modules() : 0;
  return synSuccess;
}

// `count` is what the caller's array holds, and afterwards what is in it.
EXPORT synStatus synDeviceGetModuleIDs(uint32_t *modules, uint32_t *count) {
  SCOPED struct call call = begin_call("synDeviceGetModuleIDs", needs_library);
  synStatus status = call.status;
  if (status || (status = require(modules, "the array")) || (status = require(count, "its length"))) return status;
  if (*count == 0 || *count < count_modules())
    return refuse(fault_device_list_short, synInvalidArgument, "the array has %u places for %u modules", *count,
                  count_modules());
  *count = 0;
  for (synModuleId module = 0; module < most_modules; module++)
    if (is_module(module)) modules[(*count)++] = module;
  return synSuccess;
}

static synStatus say(const char *words, char *out, int bytes) {
  if (bytes <= 0) return refuse(fault_null_argument, synInvalidArgument, "a text of %d bytes", bytes);
  snprintf(out, (size_t)bytes, "%s", words);  // cut off where the room is short, as the real library does
  return synSuccess;
}

EXPORT synStatus synDriverGetVersion(char *out, int bytes) {
  SCOPED struct call call = begin_call("synDriverGetVersion", needs_nothing);  // it has no API_ENTRY_STATUS_TIMED
  if (require(out, "the version")) return synInvalidArgument;
  if (!library.is_initialised) read_settings(&library.settings);
  return say(library.settings.version, out, bytes);
}

EXPORT synStatus synDeviceGetName(char *out, int bytes, synDeviceId identifier) {
  SCOPED struct call call = begin_call("synDeviceGetName", needs_device);
  synStatus status = call.status;
  if (status) return status == synFail ? synNoDeviceFound : status;  // OSAL::getDeviceName
  if ((status = check_device_identifier(identifier)) || (status = require(out, "the name"))) return status;
  const synDeviceType type = library.settings.type;
  return say(type == synDeviceGaudi ? "GAUDI" : type == synDeviceGaudi2 ? "GAUDI2" : "GAUDI3", out, bytes);
}

EXPORT synStatus synDeviceGetMemoryInfo(synDeviceId identifier, uint64_t *free_bytes, uint64_t *total) {
  SCOPED struct call call = begin_call("synDeviceGetMemoryInfo", needs_device);
  synStatus status = call.status;
  if (status || (status = check_device_identifier(identifier))) return status;
  if ((status = require(free_bytes, "the free memory")) || (status = require(total, "the memory"))) return status;
  *total = library.settings.memory;
  *free_bytes = library.settings.memory - device_bytes_used();
  return synSuccess;
}

enum { sram_bytes = 48 << 20, tensor_cores = 24 };
static const uint64_t sram_base = (uint64_t)0x7f << 32;

EXPORT synStatus synDeviceGetInfoV2(synDeviceId identifier, synDeviceInfoV2 *out) {
  SCOPED struct call call = begin_call("synDeviceGetInfoV2", needs_device);
  synStatus status = call.status;
  if (status || (status = check_device_identifier(identifier)) || (status = require(out, "the place for it")))
    return status;
  *out = (synDeviceInfoV2){
      .sramBaseAddress = sram_base,
      .dramBaseAddress = DEVICE_BASE,
      .sramSize = sram_bytes,
      .dramSize = library.settings.memory,
      .tpcEnabledMask = ((uint64_t)1 << tensor_cores) - 1,
      .dramEnabled = 1,
      .deviceId = 0x1020,
      .fd = (uint32_t)library.device.lock,
      .deviceType = library.settings.type,
      .deviceIndex = (uint8_t)library.device.module,
  };
  return synSuccess;
}

// extractDeviceAttributes, device_utils.cpp
static bool attribute(synDeviceAttribute which, uint64_t *out) {
  switch (which) {
    case DEVICE_ATTRIBUTE_SRAM_BASE_ADDRESS: return *out = sram_base, true;
    case DEVICE_ATTRIBUTE_DRAM_BASE_ADDRESS: return *out = DEVICE_BASE, true;
    case DEVICE_ATTRIBUTE_SRAM_SIZE: return *out = sram_bytes, true;
    case DEVICE_ATTRIBUTE_DRAM_SIZE: return *out = library.settings.memory, true;
    case DEVICE_ATTRIBUTE_DRAM_FREE_SIZE: return *out = library.settings.memory - device_bytes_used(), true;
    case DEVICE_ATTRIBUTE_TPC_ENABLED_MASK: return *out = ((uint64_t)1 << tensor_cores) - 1, true;
    case DEVICE_ATTRIBUTE_DRAM_ENABLED: return *out = 1, true;
    case DEVICE_ATTRIBUTE_DEVICE_TYPE: return *out = (uint64_t)library.settings.type, true;
    case DEVICE_ATTRIBUTE_CLK_RATE: return *out = 1600, true;
    case DEVICE_ATTRIBUTE_MAX_RMW_SIZE: return *out = 10 << 20, true;
    case DEVICE_ATTRIBUTE_STREAMS_TOTAL_MEM_SIZE: return *out = 0, true;
    case DEVICE_ATTRIBUTE_ADDRESS_ALIGNMENT_SIZE: return *out = memory_alignment, true;
    case DEVICE_ATTRIBUTE_MAX_DIMS: return *out = 8, true;  // SYN_GAUDI_MAX_TENSOR_DIM
  }
  return false;
}

EXPORT synStatus synDeviceGetAttribute(uint64_t *values, const synDeviceAttribute *attributes, unsigned count,
                                       synDeviceId identifier) {
  SCOPED struct call call = begin_call("synDeviceGetAttribute", needs_device);
  synStatus status = call.status;
  if (status || (status = check_device_identifier(identifier))) return status;
  if ((status = require(values, "the values")) || (status = require(attributes, "the attributes"))) return status;
  for (unsigned i = 0; i < count; i++)
    if (!attribute(attributes[i], &values[i]))
      status = refuse(fault_device_attribute, synUnsupported, "there is no attribute %d", attributes[i]);
  return status;
}
