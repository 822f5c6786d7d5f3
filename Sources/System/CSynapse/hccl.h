// What HCCL takes by its layout: HabanaAI/Intel_Gaudi3_Software, hcl/include/hccl_types.h, read for the facts alone; its use: HabanaAI/hccl_demo (Apache-2.0).
#pragma once
#include <stdint.h>

/// hcclUniqueId: 1024 bytes, and how many of them count. Passed by value.
typedef struct hccl_unique_id {
    uint64_t bytes[128];
    uint64_t length;
} hccl_unique_id;
