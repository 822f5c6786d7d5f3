// The binary interface of libSynapse.so and of the hccl functions in it, as far as the stub has them.
//
// Facts only, taken from the headers that released libraries are built with: HabanaAI/Intel_Gaudi3_Software,
// synapse/include/synapse_api_types.h, synapse_common_types.h and hcl/include/hccl_types.h. The older
// HabanaAI/SynapseAI_Core differs: its sizes are unsigned[5] and its launches know no ids.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

// Handles. They are numbers of the stub's own (handles.h), no pointers.
typedef struct gaudi_opaque_tensor *synTensor;
typedef struct gaudi_opaque_graph *synGraphHandle;
typedef struct gaudi_opaque_section *synSectionHandle;
typedef struct gaudi_opaque_recipe *synRecipeHandle;
typedef struct gaudi_opaque_stream *synStreamHandle;
typedef struct gaudi_opaque_event *synEventHandle;
typedef uint32_t synDeviceId;
typedef uint32_t synModuleId;
typedef uint64_t synNodeId;

// synapse_common_types.h
enum {
  largest_rank = 25,         // HABANA_DIM_MAX
  largest_name_bytes = 1024  // ENQUEUE_TENSOR_NAME_MAX_SIZE
};
#define INVALID_MODULE_ID UINT32_MAX
#define TENSOR_INVALID_ID UINT64_MAX
enum { SYN_FLAGS_TENSOR_NAME = 1 };

typedef enum {
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
  synResourceBadUsage = 43,
  last_status = synResourceBadUsage
} synStatus;

typedef enum { HOST_TO_DRAM, DRAM_TO_HOST, DRAM_TO_DRAM } synDmaDir;

typedef enum {
  synDeviceGaudi = 2,
  synDeviceGaudi2 = 4,
  synDeviceGaudi3 = 5,
  synDeviceTypeInvalid = 7,
  synDeviceTypeSize = 8
} synDeviceType;

typedef enum {
  syn_type_na = 0,
  syn_type_int8 = 1,
  syn_type_bf16 = 1 << 1,
  syn_type_float = 1 << 2,
  syn_type_int16 = 1 << 3,
  syn_type_int32 = 1 << 4,
  syn_type_uint8 = 1 << 5,
  syn_type_fp16 = 1 << 8,
  syn_type_uint16 = 1 << 9,
  syn_type_uint32 = 1 << 10,
  syn_type_fp8_143 = 1 << 13,
  syn_type_fp8_152 = 1 << 14,
  syn_type_int64 = 1 << 15,
  syn_type_uint64 = 1 << 16
} synDataType;

typedef enum { DATA_TENSOR = 0, TENSOR_TYPE_INVALID = 7 } synTensorType;

typedef enum { synGeometryMinSizes, synGeometrySizes, synGeometryDims } synGeometryType;

typedef enum {
  DEVICE_ATTRIBUTE_SRAM_BASE_ADDRESS,
  DEVICE_ATTRIBUTE_DRAM_BASE_ADDRESS,
  DEVICE_ATTRIBUTE_SRAM_SIZE,
  DEVICE_ATTRIBUTE_DRAM_SIZE,
  DEVICE_ATTRIBUTE_DRAM_FREE_SIZE,
  DEVICE_ATTRIBUTE_TPC_ENABLED_MASK,
  DEVICE_ATTRIBUTE_DRAM_ENABLED,
  DEVICE_ATTRIBUTE_DEVICE_TYPE,
  DEVICE_ATTRIBUTE_CLK_RATE,
  DEVICE_ATTRIBUTE_MAX_RMW_SIZE,
  DEVICE_ATTRIBUTE_STREAMS_TOTAL_MEM_SIZE,
  DEVICE_ATTRIBUTE_ADDRESS_ALIGNMENT_SIZE,
  DEVICE_ATTRIBUTE_MAX_DIMS
} synDeviceAttribute;

typedef enum {
  RECIPE_ATTRIBUTE_WORKSPACE_SIZE,
  RECIPE_ATTRIBUTE_NUM_PERSISTENT_TENSORS,
  RECIPE_ATTRIBUTE_HOST_MEM_SIZE,
  RECIPE_ATTRIBUTE_NUM_EXTERNAL_TENSORS,
  RECIPE_ATTRIBUTE_PERSISTENT_TENSORS_SIZE,
  RECIPE_ATTRIBUTE_CONST_SECTIONS_SIZE,
  RECIPE_ATTRIBUTE_DEVICE_MEMORY_SIZE,
  RECIPE_ATTRIBUTE_MAX
} synRecipeAttribute;

typedef enum {
  GRAPH_ATTRIBUTE_INFERENCE,
  GRAPH_ATTRIBUTE_QUANTIZATION,
  GRAPH_ATTRIBUTE_BACKOFF_FACTOR,
  GRAPH_ATTRIBUTE_MAX
} synGraphAttribute;

enum { EVENT_COLLECT_TIME = 1 };

typedef struct {
  const char *tensorName;
  uint64_t pTensorAddress;
  synTensorType tensorType;
  uint64_t tensorSize[largest_rank];
  uint64_t tensorId;
} synLaunchTensorInfo;

typedef struct {
  uint64_t sizes[largest_rank];
  uint32_t dims;
} synTensorGeometry;

typedef struct {
  uint64_t sramBaseAddress;
  uint64_t dramBaseAddress;
  uint32_t sramSize;
  uint64_t dramSize;
  uint64_t tpcEnabledMask;
  uint8_t dramEnabled;
  uint32_t deviceId;
  uint32_t fd;
  synDeviceType deviceType;
  uint8_t deviceIndex;
  uint64_t reserved;
} synDeviceInfoV2;

// hccl_types.h
typedef void *hcclComm_t;

typedef struct {
  uint8_t internal[1024];
  size_t length;
} hcclUniqueId;

typedef enum { hcclSum, hcclProd, hcclMin, hcclMax, hcclAvg, hcclOpNone } hcclRedOp_t;

typedef enum {
  hcclSuccess,
  hcclNoDeviceFound,
  hcclUnsupported,
  hcclOutOfMemory,
  hcclUnhandledSynapseError,
  hcclSystemError,
  hcclInternalError,
  hcclInvalidArgument,
  hcclInvalidUsage,
  hcclSocketError,
  hcclLibfabricError,
  hcclTryAgainError,
  hcclBusy,
  hcclNumResults,
  hcclStreamError,
  hcclSynapseTerminated
} hcclResult_t;

typedef enum {
  hcclInt8,
  hcclUint8,
  hcclInt32,
  hcclUint32,
  hcclInt64,
  hcclUint64,
  hcclFloat16,
  hcclFloat32,
  hcclFloat64,
  hcclBfloat16,
  hcclNumTypes
} hcclDataType_t;
