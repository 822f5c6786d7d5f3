// One node of a graph, as the two halves of the stub see it: api_node.c asks whether it is allowed, launch.c has it
// computed.
#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/// What a node is given or makes. Sizes are fastest first: NHWC is (C, W, H, N). Elements are dense. An input that was
/// left out (NULL) has `dims` 0.
struct stub_tensor {
  const char *name;
  uint32_t type;  // synDataType
  uint32_t dims;
  uint64_t sizes[5];
  void *data;  // NULL while the graph is built
};

struct stub_node {
  const char *guid;
  uint32_t input_count, output_count;
  const struct stub_tensor *inputs, *outputs;
  const void *parameters;
  uint32_t parameter_bytes;
};

/// The kinds of misuse that a node can show. The names are what tests ask for (`stub_fault_name`).
enum stub_node_fault {
  stub_node_fine,
  stub_unknown_guid,
  stub_input_count,
  stub_output_count,
  stub_missing_input,
  stub_parameter_bytes,
  stub_parameter_value,
  stub_input_type,
  stub_output_type,
  stub_input_shape,
  stub_output_shape,
};

/// Whether the graph compiler would take the node; what is wrong is written to `text`.
enum stub_node_fault stub_check_node(const struct stub_node *node, char *text, size_t text_bytes);

/// Computes the outputs of a node that `stub_check_node` takes.
void stub_run_node(const struct stub_node *node);

/// A row of the stub's own table of nodes, for the test that compares it with the lowering's.
struct stub_rule {
  const char *guid;
  uint32_t inputs_least, inputs_most, outputs_least, outputs_most;
  uint32_t parameter_bytes[3];  // the sizes that are taken, 0: none; unused entries repeat the first
  const char *source;           // the public source that the row was read from
};

/// The table, and how many rows it has.
const struct stub_rule *stub_rules(size_t *count);

#pragma GCC visibility pop
