// The device's memory and the host memory that it can reach.
#pragma once

#include "faults.h"

#pragma GCC visibility push(hidden)

enum { memory_alignment = 128 };  // ManagedBufferAllocator::m_defaultAlignment; REQUIRED_DATA_ALIGNMENT

/// Device addresses begin here: they are no addresses of the process.
#define DEVICE_BASE ((uint64_t)1 << 48)

/// What work reads or writes. Host addresses are those of the process.
struct range {
  uint64_t address, bytes;
  bool is_host, is_written;
};

bool overlap(const struct range *a, const struct range *b);

/// Where the bytes lie in the process; NULL where they are not inside one live allocation of the device.
void *device_bytes(uint64_t address, uint64_t bytes);

/// Whether the bytes are inside one region that synHostMalloc or synHostMap made known.
bool is_pinned(uint64_t address, uint64_t bytes);

/// In words: what lies at an address of the device.
const char *describe_device_address(uint64_t address);

uint64_t device_bytes_used(void);

/// Frees all memory of the device and of the host side. Returns how many regions there were.
size_t free_all_memory(void);

uint64_t round_up(uint64_t value, uint64_t multiple);

#pragma GCC visibility pop
