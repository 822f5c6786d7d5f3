// Recipes: compiled graphs.
#pragma once

#include "graph.h"

#pragma GCC visibility push(hidden)

struct recipe_tensor {
  char *name;  // of intermediate ones, for messages
  uint32_t type, dims;
  uint64_t sizes[most_dimensions];
  uint64_t bytes;
  uint32_t section;  // of persistent ones
  uint64_t offset;   // in the section, or in the workspace
  bool is_written;   // by a node
};

#define no_tensor UINT32_MAX

struct recipe_node {
  char *guid;
  uint32_t input_count, output_count;
  uint32_t *tensors;  // the inputs, then the outputs; no_tensor: left out
  void *parameters;
  uint32_t parameter_bytes;
};

struct recipe {
  unsigned references;  // its handle, and launches that are not yet done
  synDeviceType type;
  char *name;
  uint64_t workspace;
  uint32_t section_count, persistent_count, tensor_count, node_count;
  struct recipe_tensor *tensors;  // the persistent ones first: an index among them is the lower part of an id
  struct recipe_node *nodes;      // in the order in which they are done
};

/// NULL, and a refusal, where the graph cannot be compiled.
struct recipe *compile(const struct graph *graph, const char *name);

struct recipe *find_recipe(synRecipeHandle handle, synStatus *status);
void release_recipe(struct recipe *recipe);

synStatus write_recipe(const struct recipe *recipe, const char *path);
/// NULL and a status where the file is not one of this library's.
struct recipe *read_recipe(const char *path, synStatus *status);

#pragma GCC visibility pop
