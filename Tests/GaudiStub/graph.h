// Graphs while they are built.
#pragma once

#include "library.h"

#pragma GCC visibility push(hidden)

enum { most_dimensions = 5 };  // SYN_MAX_TENSOR_DIM; what TPC kernels and node.h take

struct graph_section {
  struct graph *graph;
  synSectionHandle handle;
  bool is_persistent, is_rmw;
  bool is_locked;  // a tensor is in it
};

struct graph_tensor {
  struct graph *graph;
  synTensor handle;
  char *name;         // NULL: none was given
  bool is_name_free;  // the handle was destroyed: another may have the name
  bool has_geometry, is_locked;
  uint32_t type, dims;  // type 0: not set
  uint64_t sizes[most_dimensions];
  struct graph_section *section;  // NULL: in the workspace
  uint64_t offset;
  struct graph_node *producer;
  uint32_t place;  // in the recipe
};

struct graph_node {
  synNodeId identifier;
  size_t number;
  char *guid, *name;
  struct graph_tensor **inputs, **outputs;  // NULL: left out
  uint32_t input_count, output_count;
  void *parameters;
  uint32_t parameter_bytes;
  struct graph_node **blockers;  // by synNodeDependencySet
  size_t blocker_count, blocker_room;
};

struct graph {
  synGraphHandle handle;
  synDeviceType type;
  bool is_compiled;
  struct graph_section **sections;
  struct graph_tensor **tensors;
  struct graph_node **nodes;
  size_t section_count, section_room, tensor_count, tensor_room, node_count, node_room;
};

/// With everything in it, and their handles.
void destroy_graph(struct graph *graph);

/// 0 where the type is none that tensors can have.
uint64_t bytes_of_type(uint32_t type);
uint64_t bytes_of_tensor(const struct graph_tensor *tensor);

/// What messages call a tensor or a node.
const char *name_of_tensor(const struct graph_tensor *tensor);

/// The order in which the nodes can be done, those made last as early as that allows, or those made first where work is
/// done early: what depends on the order in which nodes were made is to be seen. NULL, and a refusal, where there is a
/// cycle.
struct graph_node **order_nodes(const struct graph *graph);

/// Whether tensors that share memory are used one after the other.
synStatus check_sections(const struct graph *graph, struct graph_node *const *order);

/// Room for one more item.
void *make_room(void *items, size_t count, size_t *room, size_t bytes);
char *copy_text(const char *text);

#pragma GCC visibility pop
