// What the stub thinks of the interface's structures and numbers, and the nodes' rules: for tests that compare.
#include <stdlib.h>
#include <string.h>

#include "library.h"

struct entry {
  const char *name;
  size_t value;
};

#define SIZE(type) {#type, sizeof(type)}
#define OFFSET(type, part) {#type "." #part, offsetof(type, part)}
#define NUMBER(name) {#name, (size_t)(name)}

static const struct entry entries[] = {
    SIZE(synLaunchTensorInfo),
    OFFSET(synLaunchTensorInfo, tensorName),
    OFFSET(synLaunchTensorInfo, pTensorAddress),
    OFFSET(synLaunchTensorInfo, tensorType),
    OFFSET(synLaunchTensorInfo, tensorSize),
    OFFSET(synLaunchTensorInfo, tensorId),
    SIZE(synTensorGeometry),
    OFFSET(synTensorGeometry, sizes),
    OFFSET(synTensorGeometry, dims),
    SIZE(synDeviceInfoV2),
    OFFSET(synDeviceInfoV2, sramBaseAddress),
    OFFSET(synDeviceInfoV2, dramBaseAddress),
    OFFSET(synDeviceInfoV2, sramSize),
    OFFSET(synDeviceInfoV2, dramSize),
    OFFSET(synDeviceInfoV2, tpcEnabledMask),
    OFFSET(synDeviceInfoV2, dramEnabled),
    OFFSET(synDeviceInfoV2, deviceId),
    OFFSET(synDeviceInfoV2, fd),
    OFFSET(synDeviceInfoV2, deviceType),
    OFFSET(synDeviceInfoV2, deviceIndex),
    OFFSET(synDeviceInfoV2, reserved),
    SIZE(hcclUniqueId),
    OFFSET(hcclUniqueId, internal),
    OFFSET(hcclUniqueId, length),
    SIZE(synStatus),
    SIZE(synDataType),
    SIZE(synDeviceType),
    SIZE(synTensorType),
    SIZE(synDmaDir),
    SIZE(synGeometryType),
    SIZE(synDeviceAttribute),
    SIZE(synRecipeAttribute),
    SIZE(synGraphAttribute),
    SIZE(synNodeId),
    SIZE(synDeviceId),
    SIZE(synModuleId),
    SIZE(hcclResult_t),
    SIZE(hcclDataType_t),
    SIZE(hcclRedOp_t),
    NUMBER(largest_rank),
    NUMBER(largest_name_bytes),
    NUMBER(SYN_FLAGS_TENSOR_NAME),
    NUMBER(EVENT_COLLECT_TIME),
    NUMBER(synSuccess),
    NUMBER(synInvalidArgument),
    NUMBER(synOutOfHostMemory),
    NUMBER(synObjectAlreadyInitialized),
    NUMBER(synObjectNotInitialized),
    NUMBER(synNoDeviceFound),
    NUMBER(synDeviceTypeMismatch),
    NUMBER(synDeviceReset),
    NUMBER(synUnsupported),
    NUMBER(synWrongParamsFile),
    NUMBER(synDeviceAlreadyAcquired),
    NUMBER(synNameIsAlreadyUsed),
    NUMBER(synBusy),
    NUMBER(synInvalidTensorDimensions),
    NUMBER(synFail),
    NUMBER(synUninitialized),
    NUMBER(synFailedSectionValidation),
    NUMBER(synSynapseTerminated),
    NUMBER(synInvalidEventHandle),
    NUMBER(synMappingNotFound),
    NUMBER(synInvalidTensorProperties),
    NUMBER(HOST_TO_DRAM),
    NUMBER(DRAM_TO_HOST),
    NUMBER(DRAM_TO_DRAM),
    NUMBER(synDeviceGaudi),
    NUMBER(synDeviceGaudi2),
    NUMBER(synDeviceGaudi3),
    NUMBER(synDeviceTypeInvalid),
    NUMBER(syn_type_int8),
    NUMBER(syn_type_bf16),
    NUMBER(syn_type_float),
    NUMBER(syn_type_int16),
    NUMBER(syn_type_int32),
    NUMBER(syn_type_uint8),
    NUMBER(syn_type_fp16),
    NUMBER(syn_type_uint16),
    NUMBER(syn_type_uint32),
    NUMBER(syn_type_int64),
    NUMBER(syn_type_uint64),
    NUMBER(DATA_TENSOR),
    NUMBER(synGeometryMinSizes),
    NUMBER(synGeometrySizes),
    NUMBER(synGeometryDims),
    NUMBER(DEVICE_ATTRIBUTE_DRAM_SIZE),
    NUMBER(DEVICE_ATTRIBUTE_DRAM_FREE_SIZE),
    NUMBER(DEVICE_ATTRIBUTE_DEVICE_TYPE),
    NUMBER(DEVICE_ATTRIBUTE_ADDRESS_ALIGNMENT_SIZE),
    NUMBER(DEVICE_ATTRIBUTE_MAX_DIMS),
    NUMBER(RECIPE_ATTRIBUTE_WORKSPACE_SIZE),
    NUMBER(RECIPE_ATTRIBUTE_NUM_PERSISTENT_TENSORS),
    NUMBER(RECIPE_ATTRIBUTE_PERSISTENT_TENSORS_SIZE),
    NUMBER(GRAPH_ATTRIBUTE_INFERENCE),
    NUMBER(GRAPH_ATTRIBUTE_QUANTIZATION),
    NUMBER(hcclSuccess),
    NUMBER(hcclNoDeviceFound),
    NUMBER(hcclUnsupported),
    NUMBER(hcclInternalError),
    NUMBER(hcclInvalidArgument),
    NUMBER(hcclInvalidUsage),
    NUMBER(hcclSocketError),
    NUMBER(hcclBusy),
    NUMBER(hcclSum),
    NUMBER(hcclProd),
    NUMBER(hcclMin),
    NUMBER(hcclMax),
    NUMBER(hcclAvg),
    NUMBER(hcclFloat32),
    NUMBER(hcclBfloat16),
};

EXPORT size_t gaudi_stub_layout(const char *name) {
  for (size_t i = 0; name && i < sizeof entries / sizeof *entries; i++)
    if (!strcmp(entries[i].name, name)) return entries[i].value;
  return SIZE_MAX;
}

EXPORT const struct gaudi_stub_rule *gaudi_stub_rules(size_t *count) {
  SCOPED struct call call = begin_call("gaudi_stub_rules", needs_nothing);
  static struct gaudi_stub_rule *rules;
  size_t rows = 0;
  const struct stub_rule *table = stub_rules(&rows);
  if (!rules) {
    rules = calloc(rows + 1, sizeof *rules);
    if (!rules) abort();
    for (size_t i = 0; i < rows; i++) {
      const struct stub_rule *row = &table[i];
      rules[i] = (struct gaudi_stub_rule){
          row->guid, row->inputs_least, row->inputs_most, row->outputs_least, row->outputs_most, {0}, row->source};
      memcpy(rules[i].parameter_bytes, row->parameter_bytes, sizeof row->parameter_bytes);
    }
  }
  if (count) *count = rows;
  return rules;
}
