// What many subjects begin with: a device, memory, small graphs. Each step is right use, and checked.
#pragma once

#include "checks.h"

/// The library and the module of this process's rank.
void begin(void);
/// The latter alone.
void begin_device(void);
/// Gives both up again; nothing may be left.
void end(void);

synStreamHandle new_stream(void);
uint64_t new_device_memory(uint64_t bytes);
void *new_host_memory(uint64_t bytes);

synGraphHandle new_graph(void);
synSectionHandle new_section(synGraphHandle graph);

/// A tensor of floats in one dimension; in no section where that is NULL.
synTensor new_tensor(synGraphHandle graph, const char *name, synSectionHandle section, uint64_t offset, uint64_t size);
/// In a section of its own: so its memory is given at the launch.
synTensor new_persistent_tensor(synGraphHandle graph, const char *name, uint64_t size);

/// What synNodeCreateWithId says to relu, and to a node of two inputs.
int create_relu(synGraphHandle graph, synTensor from, synTensor to);
int create_binary(synGraphHandle graph, const char *guid, synTensor first, synTensor second, synTensor to,
                  synNodeId *identifier);

/// Persistent a, b and y of `small_size` floats, with y = relu(a + b): the sum lies in the workspace.
synGraphHandle new_small_graph(int device_type);
synRecipeHandle new_small_recipe(int device_type);
enum { small_size = 100, small_tensors = 3 };
