// Opens libGaudiStub.so as chexnet opens libSynapse.so.
#include "synapse.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct api api;

#define ENTRY(name) {#name, offsetof(struct api, name)}
static const struct {
  const char *name;
  size_t place;
} entries[] = {
    ENTRY(synInitialize),
    ENTRY(synDestroy),
    ENTRY(synConfigurationSet),
    ENTRY(synDriverGetVersion),
    ENTRY(synDeviceGetCount),
    ENTRY(synDeviceGetModuleIDs),
    ENTRY(synDeviceAcquire),
    ENTRY(synDeviceAcquireByDeviceType),
    ENTRY(synDeviceAcquireByModuleId),
    ENTRY(synDeviceRelease),
    ENTRY(synDeviceSynchronize),
    ENTRY(synDeviceGetAttribute),
    ENTRY(synDeviceMalloc),
    ENTRY(synDeviceFree),
    ENTRY(synHostMalloc),
    ENTRY(synHostFree),
    ENTRY(synHostMap),
    ENTRY(synHostUnmap),
    ENTRY(synMemCopyAsync),
    ENTRY(synMemsetD8Async),
    ENTRY(synMemsetD32Async),
    ENTRY(synStreamCreateGeneric),
    ENTRY(synStreamDestroy),
    ENTRY(synStreamQuery),
    ENTRY(synStreamSynchronize),
    ENTRY(synStreamWaitEvent),
    ENTRY(synEventCreate),
    ENTRY(synEventDestroy),
    ENTRY(synEventRecord),
    ENTRY(synEventQuery),
    ENTRY(synEventSynchronize),
    ENTRY(synEventElapsedTime),
    ENTRY(synGraphCreate),
    ENTRY(synGraphDestroy),
    ENTRY(synGraphSetAttribute),
    ENTRY(synGraphCompile),
    ENTRY(synSectionCreate),
    ENTRY(synSectionSetPersistent),
    ENTRY(synSectionSetRMW),
    ENTRY(synSectionDestroy),
    ENTRY(synTensorHandleCreate),
    ENTRY(synTensorSetGeometry),
    ENTRY(synTensorSetDeviceDataType),
    ENTRY(synTensorAssignToSection),
    ENTRY(synTensorDestroy),
    ENTRY(synNodeCreate),
    ENTRY(synNodeCreateWithId),
    ENTRY(synNodeDependencySet),
    ENTRY(synNodeSetDeterministic),
    ENTRY(synRecipeDestroy),
    ENTRY(synRecipeSerialize),
    ENTRY(synRecipeDeSerialize),
    ENTRY(synRecipeGetAttribute),
    ENTRY(synWorkspaceGetSize),
    ENTRY(synTensorRetrieveIds),
    ENTRY(synLaunch),
    ENTRY(hcclGetUniqueId),
    ENTRY(hcclCommInitRank),
    ENTRY(hcclCommGetAsyncError),
    ENTRY(hcclCommFinalize),
    ENTRY(hcclCommDestroy),
    ENTRY(hcclCommAbort),
    ENTRY(hcclGroupStart),
    ENTRY(hcclGroupEnd),
    ENTRY(hcclAllReduce),
    ENTRY(hcclBroadcast),
    ENTRY(gaudi_stub_last_fault),
    ENTRY(gaudi_stub_last_text),
    ENTRY(gaudi_stub_forget),
    ENTRY(gaudi_stub_fault_kinds),
    ENTRY(gaudi_stub_rules),
};

void open_library(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    printf("%s\n", dlerror());
    exit(2);
  }
  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
    void *symbol = dlsym(library, entries[i].name);
    if (!symbol) {
      printf("%s has no %s\n", path, entries[i].name);
      exit(2);
    }
    memcpy((char *)&api + entries[i].place, &symbol, sizeof symbol);
  }
}
