// What NCCL takes by value or by its layout (nccl.h of NCCL 2.14; later versions read as much of a configuration as its size says).
#pragma once
#include <stddef.h>

typedef struct nccl_unique_id {
    char bytes[128];
} nccl_unique_id;

typedef struct nccl_config {
    size_t size;
    unsigned magic, version;  // 0xcafebeef; 21400 for 2.14.0
    int blocking;
} nccl_config;
