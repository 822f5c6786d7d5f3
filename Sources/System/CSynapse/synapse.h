// What libSynapse takes by its layout. Numbers and layouts are those of release 1.19 (November 2024), read from public sources for the facts alone:
//   [api]    HabanaAI/Intel_Gaudi3_Software, synapse/include/synapse_api.h, synapse_api_types.h and synapse_common_types.h
//   [bridge] HabanaAI/gaudi-pytorch-bridge 1.19 (Apache-2.0), backend/synapse_helpers: how each is used
//   [core]   HabanaAI/SynapseAI_Core (MIT), external_includes: the same functions, of an older release whose sizes are uint32_t[5]
// Every function answers a synStatus, an int, 0 where it has done what it was asked.
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// HABANA_DIM_MAX.
enum { synapse_most_dimensions = 25 };

/// synTensorGeometry: sizes with the fastest first.
typedef struct synapse_geometry {
    uint64_t sizes[25];
    uint32_t dimensions;
} synapse_geometry;

/// synLaunchTensorInfo: where a persistent tensor is in a launch. The sizes are read of tensors of changing sizes alone.
typedef struct synapse_launch_tensor {
    const char* name;
    uint64_t address;
    int32_t kind;  // synTensorType: 0, DATA_TENSOR
    uint64_t sizes[25];
    uint64_t identifier;
} synapse_launch_tensor;

/// synDeviceInfoV2.
typedef struct synapse_device_info {
    uint64_t sram_base, dram_base;
    uint32_t sram_bytes;
    uint64_t dram_bytes, tpc_mask;
    uint8_t has_dram;
    uint32_t identifier, file;
    int32_t type;  // synDeviceType
    uint8_t index;
    uint64_t reserved;
} synapse_device_info;
