// The part of libSynapse's binary interface that the misuse is made of, and the library that was opened.
//
// Declared anew, under the names of Intel's public headers (HabanaAI/Intel_Gaudi3_Software, synapse_api.h,
// synapse_common_types.h, hccl_types.h), so that neither the stub's understanding of it nor that of chexnet is shared.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../GaudiStub/include/GaudiStub.h"

typedef struct misused_tensor *synTensor;
typedef struct misused_graph *synGraphHandle;
typedef struct misused_section *synSectionHandle;
typedef struct misused_recipe *synRecipeHandle;
typedef struct misused_stream *synStreamHandle;
typedef struct misused_event *synEventHandle;
typedef uint64_t synNodeId;
typedef void *hcclComm_t;
typedef struct {
  uint8_t internal[1024];
  size_t length;
} hcclUniqueId;

enum {  // synStatus
  synSuccess = 0,
  synInvalidArgument = 1,
  synOutOfHostMemory = 3,
  synObjectAlreadyInitialized = 5,
  synObjectNotInitialized = 6,
  synNoDeviceFound = 8,
  synDeviceTypeMismatch = 9,
  synDeviceReset = 17,
  synUnsupported = 18,
  synWrongParamsFile = 19,
  synDeviceAlreadyAcquired = 20,
  synNameIsAlreadyUsed = 21,
  synBusy = 22,
  synInvalidTensorDimensions = 25,
  synFail = 26,
  synUninitialized = 28,
  synFailedSectionValidation = 30,
  synSynapseTerminated = 31,
  synInvalidEventHandle = 33,
  synMappingNotFound = 34,
  synInvalidTensorProperties = 39,
};
enum { HOST_TO_DRAM, DRAM_TO_HOST, DRAM_TO_DRAM, no_direction = 7 };
enum { synDeviceGaudi = 2, no_device_type = 3, synDeviceGaudi2 = 4, synDeviceGaudi3 = 5 };
enum {  // synDataType
  syn_type_bf16 = 1 << 1,
  syn_type_float = 1 << 2,
  no_data_type = 3,
  syn_type_int16 = 1 << 3,
  syn_type_int32 = 1 << 4,
  syn_type_uint8 = 1 << 5,
};
enum { DATA_TENSOR = 0, SHAPE_TENSOR = 1 };
enum { synGeometryMinSizes, synGeometrySizes };
enum { DEVICE_ATTRIBUTE_DRAM_SIZE = 3, no_device_attribute = 99 };
enum { RECIPE_ATTRIBUTE_NUM_PERSISTENT_TENSORS = 1, no_recipe_attribute = 7 };
enum { GRAPH_ATTRIBUTE_INFERENCE = 0, GRAPH_ATTRIBUTE_BACKOFF_FACTOR = 2 };
enum { EVENT_COLLECT_TIME = 1, SYN_FLAGS_TENSOR_NAME = 1 };

enum {  // hcclResult_t
  hcclSuccess,
  hcclNoDeviceFound,
  hcclUnsupported,
  hcclSystemError = 5,
  hcclInternalError,
  hcclInvalidArgument,
  hcclInvalidUsage,
  hcclSocketError,
  hcclStreamError = 14,
};
enum { hcclSum, hcclProd, hcclMin, hcclMax, hcclAvg };
enum { hcclInt32 = 2, hcclFloat32 = 7, hcclBfloat16 = 9, no_hccl_type = 10 };

enum { largest_rank = 25 };
typedef struct {
  uint64_t sizes[largest_rank];
  uint32_t dims;
} synTensorGeometry;
typedef struct {
  const char *tensorName;
  uint64_t pTensorAddress;
  int tensorType;
  uint64_t tensorSize[largest_rank];
  uint64_t tensorId;
} synLaunchTensorInfo;

/// Enumerations are passed as the int that they are.
struct api {
  int (*synInitialize)(void);
  int (*synDestroy)(void);
  int (*synConfigurationSet)(const char *name, const char *value);
  int (*synDriverGetVersion)(char *out, int bytes);

  int (*synDeviceGetCount)(uint32_t *out);
  int (*synDeviceGetModuleIDs)(uint32_t *modules, uint32_t *count);
  int (*synDeviceAcquire)(uint32_t *device, const char *bus);
  int (*synDeviceAcquireByDeviceType)(uint32_t *device, int type);
  int (*synDeviceAcquireByModuleId)(uint32_t *device, uint32_t module);
  int (*synDeviceRelease)(uint32_t device);
  int (*synDeviceSynchronize)(uint32_t device);
  int (*synDeviceGetAttribute)(uint64_t *values, const int *attributes, unsigned count, uint32_t device);

  int (*synDeviceMalloc)(uint32_t device, uint64_t bytes, uint64_t hint, uint32_t flags, uint64_t *out);
  int (*synDeviceFree)(uint32_t device, uint64_t address, uint32_t flags);
  int (*synHostMalloc)(uint32_t device, uint64_t bytes, uint32_t flags, void **out);
  int (*synHostFree)(uint32_t device, const void *pointer, uint32_t flags);
  int (*synHostMap)(uint32_t device, uint64_t bytes, const void *pointer);
  int (*synHostUnmap)(uint32_t device, const void *pointer);
  int (*synMemCopyAsync)(synStreamHandle stream, uint64_t from, uint64_t bytes, uint64_t to, int direction);
  int (*synMemsetD8Async)(uint64_t address, unsigned char value, size_t count, synStreamHandle stream);
  int (*synMemsetD32Async)(uint64_t address, uint32_t value, size_t count, synStreamHandle stream);

  int (*synStreamCreateGeneric)(synStreamHandle *out, uint32_t device, uint32_t flags);
  int (*synStreamDestroy)(synStreamHandle stream);
  int (*synStreamQuery)(synStreamHandle stream);
  int (*synStreamSynchronize)(synStreamHandle stream);
  int (*synStreamWaitEvent)(synStreamHandle stream, synEventHandle event, uint32_t flags);
  int (*synEventCreate)(synEventHandle *out, uint32_t device, uint32_t flags);
  int (*synEventDestroy)(synEventHandle event);
  int (*synEventRecord)(synEventHandle event, synStreamHandle stream);
  int (*synEventQuery)(synEventHandle event);
  int (*synEventSynchronize)(synEventHandle event);
  int (*synEventElapsedTime)(uint64_t *nanoseconds, synEventHandle from, synEventHandle to);

  int (*synGraphCreate)(synGraphHandle *out, int type);
  int (*synGraphDestroy)(synGraphHandle graph);
  int (*synGraphSetAttribute)(synGraphHandle graph, const int *attributes, const uint64_t *values, uint32_t count);
  int (*synGraphCompile)(synRecipeHandle *out, synGraphHandle graph, const char *name, const char *log);
  int (*synSectionCreate)(synSectionHandle *out, uint64_t descriptor, synGraphHandle graph);
  int (*synSectionSetPersistent)(synSectionHandle section, bool is_persistent);
  int (*synSectionSetRMW)(synSectionHandle section, bool is_rmw);
  int (*synSectionDestroy)(synSectionHandle section);
  int (*synTensorHandleCreate)(synTensor *out, synGraphHandle graph, int kind, const char *name);
  int (*synTensorSetGeometry)(synTensor tensor, const synTensorGeometry *geometry, int kind);
  int (*synTensorSetDeviceDataType)(synTensor tensor, int type);
  int (*synTensorAssignToSection)(synTensor tensor, synSectionHandle section, uint64_t offset);
  int (*synTensorDestroy)(synTensor tensor);
  int (*synNodeCreate)(synGraphHandle graph, const synTensor *inputs, const synTensor *outputs, uint32_t input_count,
                       uint32_t output_count, const void *parameters, unsigned parameter_bytes, const char *guid,
                       const char *name, const char **input_layouts, const char **output_layouts);
  int (*synNodeCreateWithId)(synGraphHandle graph, const synTensor *inputs, const synTensor *outputs,
                             uint32_t input_count, uint32_t output_count, const void *parameters,
                             unsigned parameter_bytes, const char *guid, const char *name, synNodeId *identifier,
                             const char **input_layouts, const char **output_layouts);
  int (*synNodeDependencySet)(synGraphHandle graph, const synNodeId *blocking, const synNodeId *blocked,
                              uint32_t blocking_count, uint32_t blocked_count);
  int (*synNodeSetDeterministic)(synGraphHandle graph, synNodeId identifier, bool is_deterministic);

  int (*synRecipeDestroy)(synRecipeHandle recipe);
  int (*synRecipeSerialize)(synRecipeHandle recipe, const char *path);
  int (*synRecipeDeSerialize)(synRecipeHandle *out, const char *path);
  int (*synRecipeGetAttribute)(uint64_t *values, const int *attributes, unsigned count, synRecipeHandle recipe);
  int (*synWorkspaceGetSize)(uint64_t *out, synRecipeHandle recipe);
  int (*synTensorRetrieveIds)(synRecipeHandle recipe, const char **names, uint64_t *identifiers, uint32_t count);
  int (*synLaunch)(synStreamHandle stream, const synLaunchTensorInfo *tensors, uint32_t count, uint64_t workspace,
                   synRecipeHandle recipe, uint32_t flags);

  int (*hcclGetUniqueId)(hcclUniqueId *out);
  int (*hcclCommInitRank)(hcclComm_t *out, int ranks, hcclUniqueId identifier, int rank);
  int (*hcclCommGetAsyncError)(hcclComm_t communicator, int *out);
  int (*hcclCommFinalize)(hcclComm_t communicator);
  int (*hcclCommDestroy)(hcclComm_t communicator);
  int (*hcclCommAbort)(hcclComm_t communicator);
  int (*hcclGroupStart)(void);
  int (*hcclGroupEnd)(void);
  int (*hcclAllReduce)(const void *from, void *to, size_t count, int type, int reduction, hcclComm_t communicator,
                       synStreamHandle stream);
  int (*hcclBroadcast)(const void *from, void *to, size_t count, int type, int root, hcclComm_t communicator,
                       synStreamHandle stream);

  __typeof__(gaudi_stub_last_fault) *gaudi_stub_last_fault;
  __typeof__(gaudi_stub_last_text) *gaudi_stub_last_text;
  __typeof__(gaudi_stub_forget) *gaudi_stub_forget;
  __typeof__(gaudi_stub_fault_kinds) *gaudi_stub_fault_kinds;
  __typeof__(gaudi_stub_rules) *gaudi_stub_rules;
};
extern struct api api;

/// Opens the library. Where it cannot be opened, or lacks a function, that is printed and the process ends.
void open_library(const char *path);
