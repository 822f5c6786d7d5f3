// What the whole library has one of: its settings, its device, its lock, and what a call begins and ends with.
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include "faults.h"
#include "include/GaudiStub.h"

#pragma GCC visibility push(hidden)

enum { most_modules = 8 };  // MAX_NUM_OF_DEVICES_PER_HOST

struct settings {
  bool is_early, is_taken, is_verbose;
  unsigned modules;  // numbered from 0
  bool is_visible[most_modules];
  synDeviceType type;
  uint64_t memory;
  char version[64], run[512], fail_compile[64];
  uint64_t fail_launch;  // 0: none
  double patience;       // seconds
};

struct device {
  bool is_acquired;
  synModuleId module;
  int lock;
  pid_t process;
  // A launch has failed; somebody who waited was told so, and since then every call is refused.
  bool has_failed, is_terminated;
};

struct library {
  bool is_initialised;
  uint64_t epoch;  // counts synDestroy
  uint64_t launches;
  struct settings settings;
  struct device device;
  struct gaudi_stub_counts counts;
};
extern struct library library;

/// What a call needs before it looks at its arguments.
enum needs { needs_nothing, needs_library, needs_device };

/// A call under way: it has the library's lock. `status` says why it must not go on.
struct call {
  synStatus status;
  const char *outer;
};
struct call begin_call(const char *name, enum needs needs);
void end_call(struct call *call);
#define SCOPED __attribute__((cleanup(end_call)))

/// The name of the call under way, for texts.
const char *current_call(void);

/// The identifier of the one device.
synStatus check_device_identifier(synDeviceId device);

/// Whether the module is one of those that this process may see.
bool is_module(synModuleId module);

/// Gives the device up: its streams, events, memory and communicators, and its lock. Returns how many things were left
/// on it.
size_t release_device(void);

/// Lets others go on for a moment: other threads with the lock, other processes with their work, and other streams with
/// theirs.
void wait_for_others(void);

void read_settings(struct settings *settings);

#pragma GCC visibility pop
