// The library's life: synInitialize, synDestroy, settings, the lock.
#define _GNU_SOURCE
#include "library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "communicator.h"
#include "handles.h"
#include "memory.h"
#include "recipe.h"
#include "stream.h"

struct library library;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local const char *current = "";

const char *current_call(void) { return current; }

struct call begin_call(const char *name, enum needs needs) {
  pthread_mutex_lock(&mutex);
  struct call call = {synSuccess, current};
  current = name;
  if (needs == needs_nothing) return call;
  // synSingleton::getInstance throws it, syn_singleton.cpp.
  if (!library.is_initialised)
    call.status = refuse(fault_not_initialised, synUninitialized, "synInitialize was not called");
  // synSingleton::preApiCallExecution: after a failure of the device has been collected, nothing works any more.
  else if (library.device.is_terminated)
    call.status = refuse(fault_after_device_failure, synSynapseTerminated, "the device has failed");
  // The same function logs such a call as critical, and what it does is not defined.
  else if (library.device.is_acquired && library.device.process != getpid())
    call.status =
        refuse(fault_used_after_fork, synFail, "the device was acquired by the process that this is a fork of");
  else if (needs == needs_device && !library.device.is_acquired)
    call.status = refuse(fault_device_not_acquired, synFail, "no device is acquired");
  return call;
}

void end_call(struct call *call) {
  current = call->outer;
  pthread_mutex_unlock(&mutex);
}

void wait_for_others(void) {
  advance_all_streams();
  pthread_mutex_unlock(&mutex);
  nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
  pthread_mutex_lock(&mutex);
}

// MARK: Settings

static uint64_t number(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void text(const char *name, const char *otherwise, char *out, size_t bytes) {
  const char *value = getenv(name);
  snprintf(out, bytes, "%s", value && *value ? value : otherwise);
}

void read_settings(struct settings *settings) {
  *settings = (struct settings){0};
  settings->is_early = number("GAUDI_STUB_EARLY", 0) != 0;
  settings->is_taken = number("GAUDI_STUB_TAKEN", 0) != 0;
  settings->is_verbose = number("GAUDI_STUB_VERBOSE", 0) != 0;
  const uint64_t modules = number("GAUDI_STUB_DEVICES", 1);
  settings->modules = modules < most_modules ? (unsigned)modules : most_modules;
  settings->type = (synDeviceType)number("GAUDI_STUB_TYPE", synDeviceGaudi2);
  settings->memory = number("GAUDI_STUB_MEMORY", (uint64_t)4 << 30);
  settings->fail_launch = number("GAUDI_STUB_FAIL_LAUNCH", 0);
  settings->patience = (double)number("GAUDI_STUB_PATIENCE", 60);
  text("GAUDI_STUB_VERSION", "1.21.0.stub", settings->version, sizeof settings->version);
  text("GAUDI_STUB_RUN", "/dev/shm", settings->run, sizeof settings->run);
  text("GAUDI_STUB_FAIL_COMPILE", "", settings->fail_compile, sizeof settings->fail_compile);
  // gaudi-pytorch-bridge, device.cpp: it "restricts the application to only the listed devices".
  const char *visible = getenv("HABANA_VISIBLE_MODULES");
  for (unsigned module = 0; module < settings->modules; module++)
    settings->is_visible[module] = !visible || !*visible || !strcmp(visible, "all");
  while (visible && *visible) {
    char *end;
    const unsigned long module = strtoul(visible, &end, 10);
    if (end == visible) break;
    if (module < settings->modules) settings->is_visible[module] = true;
    visible = *end == ',' ? end + 1 : end;
  }
}

bool is_module(synModuleId module) { return module < library.settings.modules && library.settings.is_visible[module]; }

// MARK: Life

EXPORT synStatus synInitialize(void) {
  SCOPED struct call call = begin_call("synInitialize", needs_nothing);
  // It succeeds unless HABANA_DISABLE_DOUBLE_SYN_INITIALIZE is set, which it is not (habana_global_conf.cpp); but one
  // synDestroy ends both.
  if (library.is_initialised) {
    note(fault_initialised_twice, "synDestroy was not called since the last time");
    return synSuccess;
  }
  read_settings(&library.settings);
  library.is_initialised = true;
  library.launches = 0;
  library.device = (struct device){.lock = -1};
  return synSuccess;
}

static size_t describe(char *out, size_t bytes, size_t used, size_t count, const char *what) {
  if (!count || used >= bytes) return used;
  return used + (size_t)snprintf(out + used, bytes - used, "%s%zu %s", used ? ", " : "", count, what);
}

EXPORT synStatus synDestroy(void) {
  SCOPED struct call call = begin_call("synDestroy", needs_nothing);
  // HABANA_DISABLE_DOUBLE_SYN_DESTROY is set by default (habana_global_conf.cpp).
  if (!library.is_initialised) return refuse(fault_not_initialised, synUninitialized, "synInitialize was not called");
  char left[400] = "";
  size_t used = 0;
  used = describe(left, sizeof left, used, count_handles(handle_of_graph), "graphs");
  used = describe(left, sizeof left, used, count_handles(handle_of_recipe), "recipes");
  if (library.device.is_acquired) {
    used = describe(left, sizeof left, used, 1, "device");
    used = describe(left, sizeof left, used, release_device(), "things on it");
  }
  // The real library frees all this and says nothing (synSingleton::_destroy). After a failure nobody could free
  // anything.
  if (used && !library.device.is_terminated) note(fault_leaked, "there are still %s", left);
  forget_all_handles();
  library.is_initialised = false;
  library.epoch++;
  return synSuccess;
}

// Names that libraries of this family are known to be asked for; hl_gcfg refuses all others
// (GlobalConfManager::setGlobalConf).
static const char *const configurations[] = {
    "ENABLE_PROFILER",
    "GRAPH_VISUALIZATION",
    "PROFILE_PRECISION",
    "DUMP_PRE_GRAPHS",
    "DUMP_POST_GRAPHS",
    "ENABLE_EXPERIMENTAL_FLAGS",
    "CREATE_USED_CONFIGS_FILE",
    "SYNAPSE_DATA_TYPE_SELECTION",
    "DISABLE_TENSORS_PINNING",
    "HABANA_DISABLE_DOUBLE_SYN_INITIALIZE",
    "HABANA_DISABLE_DOUBLE_SYN_DESTROY",
    "ENABLE_RAGGED_SOFTMAX_OPT",
};

EXPORT synStatus synConfigurationSet(const char *name, const char *value) {
  SCOPED struct call call = begin_call("synConfigurationSet", needs_library);
  if (call.status) return call.status;
  if (require(name, "the name") || require(value, "the value")) return synInvalidArgument;
  for (size_t i = 0; i < sizeof configurations / sizeof *configurations; i++)
    if (!strcmp(name, configurations[i])) return synSuccess;
  return refuse(fault_configuration, synInvalidArgument, "there is no setting %s that anybody may change", name);
}

// statusToString, syn_singleton.cpp: at most 55 characters each (STATUS_DESCRIPTION_MAX_SIZE). In words of our own.
static const char *brief(synStatus status) {
  switch (status) {
    case synSuccess: return "success";
    case synInvalidArgument: return "invalid argument";
    case synOutOfHostMemory: return "out of host memory";
    case synObjectAlreadyInitialized: return "object already initialized";
    case synObjectNotInitialized: return "object not initialized";
    case synNoDeviceFound: return "no device found";
    case synDeviceTypeMismatch: return "device of another type";
    case synDeviceReset: return "device is being reset";
    case synUnsupported: return "unsupported";
    case synWrongParamsFile: return "wrong recipe file";
    case synDeviceAlreadyAcquired: return "device already acquired";
    case synNameIsAlreadyUsed: return "name is already used";
    case synBusy: return "busy";
    case synInvalidTensorDimensions: return "invalid dimensions of a tensor";
    case synFail: return "failed";
    case synUninitialized: return "not initialized";
    case synFailedSectionValidation: return "sections are not valid";
    case synSynapseTerminated: return "terminated after a failure";
    case synInvalidEventHandle: return "invalid event";
    case synMappingNotFound: return "no mapping of an address";
    case synInvalidTensorProperties: return "invalid properties of a tensor";
    case synResourceBadUsage: return "bad use of a resource";
  }
  return (unsigned)status <= last_status ? "another status" : NULL;
}

EXPORT synStatus synStatusGetBriefDescription(synStatus status, char *out, size_t bytes) {
  SCOPED struct call call = begin_call("synStatusGetBriefDescription", needs_nothing);
  if (require(out, "the description")) return synInvalidArgument;
  const char *words = brief(status);
  if (!words || !bytes) return synFail;
  snprintf(out, bytes, "%s", words);
  return synSuccess;
}

EXPORT void gaudi_stub_counters(struct gaudi_stub_counts *counts) {
  SCOPED struct call call = begin_call("gaudi_stub_counters", needs_nothing);
  if (counts) *counts = library.counts;
}
