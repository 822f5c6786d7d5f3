// What the files of the nodes' half of the stub share. The runtime half sees nothing of it: node.h is the interface.
//
// How the half is cut:
//   node_table.c          the rules (guid, arity, parameter sizes, source) and which family of nodes a guid belongs to
//   node_check.c          what every node is asked first, and the questions that the families ask of tensors
//   node_values.c         bf16, widening and narrowing, parameter copies
//   node_convolution.c    spatial_convolution, dedx, dedw
//   node_gemm.c           gemm
//   node_normalization.c  batch_norm_fwd, _bwd, _inf
//   node_pooling.c        maxpool_2d and avg_pool_2d, both ways
//   node_elementwise.c    add, sub, mult, div, sqrt, sigmoid, relu both ways, reduce_sum, casts
//   node_layout.c         concat, split, reshape, slice
//
// Repositories that comments and `source` strings name:
//   G3   HabanaAI/Intel_Gaudi3_Software     GC = G3's synapse/src/graph_compiler, GT = G3's synapse/tests/gc_tests
//   CORE HabanaAI/SynapseAI_Core            PT = HabanaAI/gaudi-pytorch-bridge
#pragma once

#include "node.h"

#include <stdbool.h>

#pragma GCC visibility push(hidden)

/// synDataType's values (CORE external_includes/synapse_common_types.h; the same in G3 synapse/include).
enum {
  type_int8 = 1 << 0,
  type_bf16 = 1 << 1,
  type_f32 = 1 << 2,
  type_int16 = 1 << 3,
  type_int32 = 1 << 4,
  type_uint8 = 1 << 5,
  type_f16 = 1 << 8,
  type_uint16 = 1 << 9,
  type_uint32 = 1 << 10,
  type_int64 = 1 << 15,
  type_uint64 = 1 << 16,
};

/// A check under way. The first fault stays, and later questions are not asked.
struct node_check {
  const struct stub_node *node;
  enum stub_node_fault fault;
  char *text;
  size_t text_bytes;
};

/// A family of nodes: the guids that are its name, or its name and `_bf16` or `_f32`.
struct node_family {
  const char *name;
  bool typed;  // whether the guid ends in the type of the elements
  void (*check)(struct node_check *check);
  void (*run)(const struct stub_node *node);
};

const struct stub_rule *stub_find_rule(const char *guid);
const struct node_family *stub_find_family(const char *guid);

/// The type that a guid ends in, 0 where it ends in none.
uint32_t stub_guid_type(const char *guid);
const char *stub_type_name(uint32_t type);
size_t stub_type_bytes(uint32_t type);

// node_check.c

/// Keeps the fault, unless there is one, and writes the guid and the text.
void stub_refuse(struct node_check *check, enum stub_node_fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/// Whether nothing is wrong so far.
bool stub_sound(const struct node_check *check);
void stub_expect_input_type(struct node_check *check, uint32_t index, const char *role, uint32_t type);
void stub_expect_output_type(struct node_check *check, uint32_t index, const char *role, uint32_t type);
void stub_expect_input_dims(struct node_check *check, uint32_t index, const char *role, uint32_t dims);
void stub_expect_output_dims(struct node_check *check, uint32_t index, const char *role, uint32_t dims);
void stub_expect_input_sizes(struct node_check *check, uint32_t index, const char *role, uint32_t dims,
                             const uint64_t *sizes);
void stub_expect_output_sizes(struct node_check *check, uint32_t index, const char *role, uint32_t dims,
                              const uint64_t *sizes);
/// `floor((size + before + after - ((kernel - 1) * dilation + 1)) / stride) + 1`, 0 where the window does not fit.
int64_t stub_window_count(int64_t size, int64_t kernel, int64_t stride, int64_t before, int64_t after,
                          int64_t dilation);

// node_values.c

float stub_bf16_to_float(uint16_t bits);
/// Rounds half to even; a NaN stays a (quiet) NaN.
uint16_t stub_float_to_bf16(float value);
uint64_t stub_element_count(const struct stub_tensor *tensor);
/// Memory for that many elements, zeroed. Ends the process where there is none.
void *stub_allocate(uint64_t count, size_t bytes);
/// A copy of a bf16, f32 or uint8 tensor as floats, to be freed.
float *stub_widen(const struct stub_tensor *tensor);
/// Writes floats to a bf16 or f32 tensor.
void stub_narrow(const struct stub_tensor *tensor, const float *values);
/// Copies the node's parameters to a struct; what the node did not give is zero.
void stub_copy_parameters(const struct stub_node *node, void *parameters, size_t bytes);

// The families

void stub_check_convolution(struct node_check *check);
void stub_check_dedx(struct node_check *check);
void stub_check_dedw(struct node_check *check);
void stub_run_convolution(const struct stub_node *node);
void stub_run_dedx(const struct stub_node *node);
void stub_run_dedw(const struct stub_node *node);

void stub_check_gemm(struct node_check *check);
void stub_run_gemm(const struct stub_node *node);

void stub_check_batch_norm_forward(struct node_check *check);
void stub_check_batch_norm_backward(struct node_check *check);
void stub_check_batch_norm_inference(struct node_check *check);
void stub_run_batch_norm_forward(const struct stub_node *node);
void stub_run_batch_norm_backward(const struct stub_node *node);
void stub_run_batch_norm_inference(const struct stub_node *node);

void stub_check_max_pool_forward(struct node_check *check);
void stub_check_max_pool_backward(struct node_check *check);
void stub_check_average_pool_forward(struct node_check *check);
void stub_check_average_pool_backward(struct node_check *check);
void stub_run_max_pool_forward(const struct stub_node *node);
void stub_run_max_pool_backward(const struct stub_node *node);
void stub_run_average_pool_forward(const struct stub_node *node);
void stub_run_average_pool_backward(const struct stub_node *node);

void stub_check_binary(struct node_check *check);
void stub_check_unary(struct node_check *check);
void stub_check_relu(struct node_check *check);
void stub_check_relu_backward(struct node_check *check);
void stub_check_reduce_sum(struct node_check *check);
void stub_run_add(const struct stub_node *node);
void stub_run_subtract(const struct stub_node *node);
void stub_run_multiply(const struct stub_node *node);
void stub_run_divide(const struct stub_node *node);
void stub_run_square_root(const struct stub_node *node);
void stub_run_sigmoid(const struct stub_node *node);
void stub_run_relu(const struct stub_node *node);
void stub_run_relu_backward(const struct stub_node *node);
void stub_run_reduce_sum(const struct stub_node *node);

void stub_check_cast(struct node_check *check);
void stub_run_cast(const struct stub_node *node);

void stub_check_concat(struct node_check *check);
void stub_check_split(struct node_check *check);
void stub_check_reshape(struct node_check *check);
void stub_check_slice(struct node_check *check);
void stub_run_concat(const struct stub_node *node);
void stub_run_split(const struct stub_node *node);
void stub_run_reshape(const struct stub_node *node);
void stub_run_slice(const struct stub_node *node);

#pragma GCC visibility pop
