// Memory of the device, and of the host as far as the device can reach it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"
#include "memory.h"
#include "stream.h"

// The device's allocations, and host regions. Both are few.
struct region {
  uint64_t address, bytes;
  void *data;  // of the device: where the bytes are. Of the host: what synHostFree frees, NULL where it was only mapped
};
struct regions {
  struct region *items;
  size_t count, room;
};
static struct regions device, host;
static uint64_t next_address = DEVICE_BASE, used;

uint64_t round_up(uint64_t value, uint64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

static bool ends_inside(const struct region *region, uint64_t address, uint64_t bytes) {
  return address >= region->address && address - region->address <= region->bytes &&
         bytes <= region->bytes - (address - region->address);
}

static struct region *find_around(struct regions *regions, uint64_t address, uint64_t bytes) {
  for (size_t i = 0; i < regions->count; i++)
    if (ends_inside(&regions->items[i], address, bytes)) return &regions->items[i];
  return NULL;
}

static struct region *find_exactly(struct regions *regions, uint64_t address) {
  for (size_t i = 0; i < regions->count; i++)
    if (regions->items[i].address == address) return &regions->items[i];
  return NULL;
}

static void add(struct regions *regions, struct region region) {
  if (regions->count == regions->room) {
    regions->room = regions->room ? 2 * regions->room : 64;
    regions->items = realloc(regions->items, regions->room * sizeof region);
    if (!regions->items) abort();
  }
  regions->items[regions->count++] = region;
}

static void drop(struct regions *regions, struct region *region) {
  free(region->data);
  *region = regions->items[--regions->count];
}

bool overlap(const struct range *a, const struct range *b) {
  return a->is_host == b->is_host && a->address < b->address + b->bytes && b->address < a->address + a->bytes;
}

void *device_bytes(uint64_t address, uint64_t bytes) {
  const struct region *region = find_around(&device, address, bytes);
  return region ? (char *)region->data + (address - region->address) : NULL;
}

bool is_pinned(uint64_t address, uint64_t bytes) { return find_around(&host, address, bytes) != NULL; }

const char *describe_device_address(uint64_t address) {
  static char words[160];
  for (size_t i = 0; i < device.count; i++)
    if (ends_inside(&device.items[i], address, 0)) {
      snprintf(words, sizeof words, "0x%llx is byte %llu of an allocation of %llu", (unsigned long long)address,
               (unsigned long long)(address - device.items[i].address), (unsigned long long)device.items[i].bytes);
      return words;
    }
  const char *what = address >= DEVICE_BASE && address < next_address ? "lies in memory that was freed, or in a gap"
                     : address >= DEVICE_BASE && address >> 56 == 0   ? "is beyond all allocations"
                                                                      : "is no address of the device";
  snprintf(words, sizeof words, "0x%llx %s", (unsigned long long)address, what);
  return words;
}

uint64_t device_bytes_used(void) { return used; }

size_t free_all_memory(void) {
  const size_t count = device.count + host.count;
  while (device.count) drop(&device, &device.items[0]);
  while (host.count) drop(&host, &host.items[0]);
  used = 0;
  return count;
}

// MARK: The device's

// synapse_api_impl.cpp: synFail for any flags.
static synStatus check_flags(uint32_t flags) {
  return flags ? refuse(fault_memory_flags, synFail, "flags %u must be 0", flags) : synSuccess;
}

// DevMemoryAllocScal::allocateMemory. The requested address is a hint, which the library need not take.
EXPORT synStatus synDeviceMalloc(synDeviceId identifier, uint64_t bytes, uint64_t hint, uint32_t flags, uint64_t *out) {
  SCOPED struct call call = begin_call("synDeviceMalloc", needs_device);
  (void)hint;
  synStatus status = call.status;
  if (status || (status = check_device_identifier(identifier)) || (status = check_flags(flags))) return status;
  if ((status = require(out, "the place for the address"))) return status;
  *out = 0;
  if (bytes == 0) return synSuccess;  // and no address
  const uint64_t taken = round_up(bytes, memory_alignment), free_bytes = library.settings.memory - used;
  // ScalMemoryPool::allocateDeviceMemory: not synOutOfDeviceMemory, which nothing returns.
  if (bytes > free_bytes || taken > free_bytes)
    return refuse(fault_device_memory_exhausted, synFail, "%llu bytes are wanted, %llu are free",
                  (unsigned long long)bytes, (unsigned long long)free_bytes);
  void *data = aligned_alloc(memory_alignment, taken);
  if (!data) return refuse(fault_device_memory_exhausted, synOutOfHostMemory, "the stub itself has no memory");
  memset(data, 0xff, taken);
  add(&device, (struct region){next_address, bytes, data});
  *out = next_address;
  next_address += taken + 32 * memory_alignment;  // a gap, so that no run past an end lands in the next
  used += taken;
  return synSuccess;
}

EXPORT synStatus synDeviceFree(synDeviceId identifier, uint64_t address, uint32_t flags) {
  SCOPED struct call call = begin_call("synDeviceFree", needs_library);
  synStatus status = call.status;
  if (status || (status = check_flags(flags))) return status;
  // DeviceManager::deallocateDeviceMemory is content without a device: its memory is gone with it.
  if (!library.device.is_acquired) {
    note(fault_device_not_acquired, "no device is acquired: its memory is gone");
    return synSuccess;
  }
  if ((status = check_device_identifier(identifier))) return status;
  if (address == 0) return synSuccess;
  struct region *region = find_exactly(&device, address);
  if (!region)
    return refuse(fault_device_memory_unknown, synFail, "%s, not the beginning of one",
                  describe_device_address(address));
  if (is_in_use(&(struct range){address, region->bytes, false, true}))
    return refuse(fault_device_memory_in_use, synFail, "work that a stream has not yet done needs it");
  used -= round_up(region->bytes, memory_alignment);
  drop(&device, region);
  return synSuccess;
}

// MARK: The host's

EXPORT synStatus synHostMalloc(synDeviceId identifier, uint64_t bytes, uint32_t flags, void **out) {
  SCOPED struct call call = begin_call("synHostMalloc", needs_device);
  synStatus status = call.status;
  if (status || (status = check_device_identifier(identifier)) || (status = check_flags(flags))) return status;
  if ((status = require(out, "the place for the pointer"))) return status;
  *out = NULL;
  if (bytes == 0) return synSuccess;
  const uint64_t taken = round_up(bytes, 4096);
  void *data = taken >= bytes ? aligned_alloc(4096, taken) : NULL;
  if (!data)
    return refuse(fault_device_memory_exhausted, synOutOfHostMemory, "there are no %llu bytes on the host",
                  (unsigned long long)bytes);
  memset(data, 0xff, taken);
  add(&host, (struct region){(uint64_t)(uintptr_t)data, bytes, data});
  *out = data;
  return synSuccess;
}

EXPORT synStatus synHostFree(synDeviceId identifier, const void *pointer, uint32_t flags) {
  SCOPED struct call call = begin_call("synHostFree", needs_library);
  synStatus status = call.status;
  if (status || (status = check_flags(flags))) return status;
  if (!library.device.is_acquired) {
    note(fault_device_not_acquired, "no device is acquired: its memory is gone");
    return synSuccess;
  }
  if ((status = check_device_identifier(identifier))) return status;
  if (!pointer) return synSuccess;
  struct region *region = find_exactly(&host, (uint64_t)(uintptr_t)pointer);
  // DevMemoryAlloc::deallocateMemory
  if (!region || !region->data)
    return refuse(fault_host_memory_unknown, synInvalidArgument, "%p is not of synHostMalloc, or was freed", pointer);
  if (is_in_use(&(struct range){region->address, region->bytes, true, true}))
    return refuse(fault_host_memory_in_use, synFail, "work that a stream has not yet done needs it");
  drop(&host, region);
  return synSuccess;
}

EXPORT synStatus synHostMap(synDeviceId identifier, uint64_t bytes, const void *pointer) {
  SCOPED struct call call = begin_call("synHostMap", needs_device);
  // DeviceManager::mapBufferToDevice
  if (call.status) return call.status == synFail ? synInvalidArgument : call.status;
  synStatus status = check_device_identifier(identifier);
  if (status || (status = require(pointer, "the buffer"))) return status;
  if (!bytes) return refuse(fault_host_map_overlap, synInvalidArgument, "a buffer of no bytes");
  const struct range mine = {(uint64_t)(uintptr_t)pointer, bytes, true, false};
  // What is mapped already is mapped again with success, and then one unmap undoes both:
  // DevMemoryAlloc::mapBufferToDevice, unmapBufferFromDevice. What overlaps is refused.
  for (size_t i = 0; i < host.count; i++)
    if (overlap(&mine, &(struct range){host.items[i].address, host.items[i].bytes, true, false}))
      return refuse(fault_host_map_overlap, synInvalidArgument, "%llu bytes at %p are in part mapped already",
                    (unsigned long long)bytes, pointer);
  add(&host, (struct region){mine.address, bytes, NULL});
  return synSuccess;
}

EXPORT synStatus synHostUnmap(synDeviceId identifier, const void *pointer) {
  SCOPED struct call call = begin_call("synHostUnmap", needs_device);
  if (call.status) return call.status == synFail ? synInvalidArgument : call.status;
  synStatus status = check_device_identifier(identifier);
  if (status) return status;
  struct region *region = find_exactly(&host, (uint64_t)(uintptr_t)pointer);
  // The real library says synSuccess to a user's request (DevMemoryAlloc::unmapBufferFromDevice), and frees what was
  // allocated.
  if (!region || region->data)
    return refuse(fault_host_memory_unknown, synInvalidArgument, "%p was not mapped by synHostMap", pointer);
  if (is_in_use(&(struct range){region->address, region->bytes, true, true}))
    return refuse(fault_host_memory_in_use, synFail, "work that a stream has not yet done needs it");
  drop(&host, region);
  return synSuccess;
}
