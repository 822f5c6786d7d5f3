// Nodes that go element by element, and the sum along one dim. All tensors have the guid's type, but for casts, whose
// guids name two.
#include "node_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t size_at(const struct stub_tensor *tensor, uint32_t dim) {
  return dim < tensor->dims ? tensor->sizes[dim] : 1;
}

/// Sizes of 1 are repeated, and so are dims that one of the two has not: recorded graphs give (1) with 2 to 4 dims (GT
/// tf_vidar_test.cpp, uneven_perforation_test.cpp), and GC passes/add_mme_bias.cpp gives add_fwd (K) with (K, W, H, N).
void stub_check_binary(struct node_check *check) {
  const struct stub_tensor *left = &check->node->inputs[0];
  const struct stub_tensor *right = &check->node->inputs[1];
  const uint32_t type = stub_guid_type(check->node->guid);
  stub_expect_input_type(check, 0, "left", type);
  stub_expect_input_type(check, 1, "right", type);
  stub_expect_output_type(check, 0, "result", type);
  const uint32_t dims = left->dims > right->dims ? left->dims : right->dims;
  uint64_t sizes[5];
  for (uint32_t dim = 0; dim < dims; ++dim) {
    const uint64_t one = size_at(left, dim);
    const uint64_t other = size_at(right, dim);
    if (one != other && one != 1 && other != 1) {
      stub_refuse(check, stub_input_shape, "inputs have the sizes %llu and %llu in dim %u, expected equals or a 1",
                  (unsigned long long)one, (unsigned long long)other, dim);
    }
    sizes[dim] = one > other ? one : other;
  }
  if (stub_sound(check)) {
    stub_expect_output_sizes(check, 0, "result", dims, sizes);
  }
}

void stub_check_unary(struct node_check *check) {
  const uint32_t type = stub_guid_type(check->node->guid);
  stub_expect_input_type(check, 0, "x", type);
  stub_expect_output_type(check, 0, "y", type);
  stub_expect_output_sizes(check, 0, "y", check->node->inputs[0].dims, check->node->inputs[0].sizes);
}

/// ns_ReluKernel::ParamsV2; its first 4 bytes are Params (perf_lib_layer_params.h; V2 in G3 only).
static void check_relu_parameters(struct node_check *check) {
  float given[2];
  stub_copy_parameters(check->node, given, sizeof given);
  if (given[0] != 0 || given[1] != 0) {
    stub_refuse(check, stub_parameter_value, "threshold is %g and replacement %g, the stub knows 0 and 0",
                (double)given[0], (double)given[1]);
  }
}

void stub_check_relu(struct node_check *check) {
  stub_check_unary(check);
  check_relu_parameters(check);
}

void stub_check_relu_backward(struct node_check *check) {
  const struct stub_node *node = check->node;
  const uint32_t type = stub_guid_type(node->guid);
  stub_expect_input_type(check, 0, "dy", type);
  stub_expect_input_type(check, 1, "y", type);
  stub_expect_output_type(check, 0, "dx", type);
  stub_expect_input_sizes(check, 1, "y", node->inputs[0].dims, node->inputs[0].sizes);
  stub_expect_output_sizes(check, 0, "dx", node->inputs[0].dims, node->inputs[0].sizes);
  check_relu_parameters(check);
}

/// ns_Reduction::Params: the dim. The summed dim stays, with the size 1 (GT const_tensor_test.cpp).
void stub_check_reduce_sum(struct node_check *check) {
  const struct stub_tensor *x = &check->node->inputs[0];
  const uint32_t type = stub_guid_type(check->node->guid);
  uint32_t axis;
  stub_copy_parameters(check->node, &axis, sizeof axis);
  stub_expect_input_type(check, 0, "x", type);
  stub_expect_output_type(check, 0, "y", type);
  if (axis >= x->dims) {
    stub_refuse(check, stub_parameter_value, "reductionDimension is %u, x has %u dims", axis, x->dims);
    return;
  }
  uint64_t sizes[5];
  for (uint32_t dim = 0; dim < x->dims; ++dim) {
    sizes[dim] = dim == axis ? 1 : x->sizes[dim];
  }
  stub_expect_output_sizes(check, 0, "y", x->dims, sizes);
}

static float sum_of(float left, float right) {
  return left + right;
}

static float difference_of(float left, float right) {
  return left - right;
}

static float product_of(float left, float right) {
  return left * right;
}

static float quotient_of(float left, float right) {
  return left / right;
}

static void run_binary(const struct stub_node *node, float (*operation)(float, float)) {
  const struct stub_tensor *result = &node->outputs[0];
  const uint64_t count = stub_element_count(result);
  // How far one step along a dim of the result goes in each input: 0 where the input repeats.
  uint64_t steps[2][5];
  for (uint32_t input = 0; input < 2; ++input) {
    uint64_t step = 1;
    for (uint32_t dim = 0; dim < 5; ++dim) {
      const uint64_t size = size_at(&node->inputs[input], dim);
      steps[input][dim] = size == 1 ? 0 : step;
      step *= size;
    }
  }
  float *left = stub_widen(&node->inputs[0]);
  float *right = stub_widen(&node->inputs[1]);
  float *values = stub_allocate(count, sizeof *values);
  for (uint64_t index = 0; index < count; ++index) {
    uint64_t rest = index;
    uint64_t places[2] = {0, 0};
    for (uint32_t dim = 0; dim < result->dims; ++dim) {
      const uint64_t coordinate = rest % result->sizes[dim];
      rest /= result->sizes[dim];
      places[0] += coordinate * steps[0][dim];
      places[1] += coordinate * steps[1][dim];
    }
    values[index] = operation(left[places[0]], right[places[1]]);
  }
  stub_narrow(result, values);
  free(values);
  free(right);
  free(left);
}

void stub_run_add(const struct stub_node *node) {
  run_binary(node, sum_of);
}

void stub_run_subtract(const struct stub_node *node) {
  run_binary(node, difference_of);
}

void stub_run_multiply(const struct stub_node *node) {
  run_binary(node, product_of);
}

void stub_run_divide(const struct stub_node *node) {
  run_binary(node, quotient_of);
}

static float sigmoid_of(float value) {
  return 1 / (1 + expf(-value));
}

static float root_of(float value) {
  return sqrtf(value);
}

/// A NaN is not below 0, and so passes.
static float relu_of(float value) {
  return value <= 0 ? 0 : value;
}

static void run_unary(const struct stub_node *node, float (*operation)(float)) {
  const uint64_t count = stub_element_count(&node->inputs[0]);
  float *values = stub_widen(&node->inputs[0]);
  for (uint64_t index = 0; index < count; ++index) {
    values[index] = operation(values[index]);
  }
  stub_narrow(&node->outputs[0], values);
  free(values);
}

void stub_run_square_root(const struct stub_node *node) {
  run_unary(node, root_of);
}

void stub_run_sigmoid(const struct stub_node *node) {
  run_unary(node, sigmoid_of);
}

void stub_run_relu(const struct stub_node *node) {
  run_unary(node, relu_of);
}

void stub_run_relu_backward(const struct stub_node *node) {
  const uint64_t count = stub_element_count(&node->inputs[0]);
  float *dy = stub_widen(&node->inputs[0]);
  float *y = stub_widen(&node->inputs[1]);
  for (uint64_t index = 0; index < count; ++index) {
    dy[index] = y[index] <= 0 ? 0 : dy[index];
  }
  stub_narrow(&node->outputs[0], dy);
  free(y);
  free(dy);
}

void stub_run_reduce_sum(const struct stub_node *node) {
  const struct stub_tensor *x = &node->inputs[0];
  uint32_t axis;
  stub_copy_parameters(node, &axis, sizeof axis);
  uint64_t inner = 1;
  for (uint32_t dim = 0; dim < axis; ++dim) {
    inner *= x->sizes[dim];
  }
  const uint64_t size = x->sizes[axis];
  const uint64_t count = stub_element_count(&node->outputs[0]);
  float *values = stub_widen(x);
  float *sums = stub_allocate(count, sizeof *sums);
  for (uint64_t index = 0; index < count; ++index) {
    const float *first = values + index / inner * inner * size + index % inner;
    double sum = 0;
    for (uint64_t step = 0; step < size; ++step) {
      sum += (double)first[step * inner];
    }
    sums[index] = (float)sum;
  }
  stub_narrow(&node->outputs[0], sums);
  free(sums);
  free(values);
}

/// CastF32RoundMode_t (perf_lib_layer_params.h, CORE and G3 alike). 3 (SR) rounds at random.
enum { round_half_to_even = 0, round_default = 5, round_last = 6, round_flush = 8 };

/// ns_CastKernel::ParamsV2; its first 4 bytes are Params. No parameters mean the default (G3
/// synapse/src/eager/lib/node_info/const_tensor_optimizer.cpp getRoundingMode, which also has the default round half to
/// even).
struct cast_parameters {
  uint32_t mode;
  uint32_t seed;
};

static uint32_t source_type(const char *guid) {
  if (strncmp(guid, "cast_u8_", 8) == 0) {
    return type_uint8;
  }
  return strncmp(guid, "cast_bf16_", 10) == 0 ? type_bf16 : type_f32;
}

void stub_check_cast(struct node_check *check) {
  const struct stub_node *node = check->node;
  const uint32_t from = source_type(node->guid);
  const uint32_t to = stub_guid_type(node->guid);
  struct cast_parameters given = {round_default, 0};
  if (node->parameter_bytes > 0) {
    stub_copy_parameters(node, &given, sizeof given);
  }
  const bool known = given.mode <= round_last || given.mode == round_flush;
  // From bf16 and uint8 nothing is lost, so there every way of rounding is the same.
  if (!known || (from == type_f32 && given.mode != round_half_to_even && given.mode != round_default)) {
    stub_refuse(check, stub_parameter_value, "round_mode is %u, the stub knows 0 (half to even) and 5 (default)",
                given.mode);
  }
  stub_expect_input_type(check, 0, "x", from);
  stub_expect_output_type(check, 0, "y", to);
  stub_expect_output_sizes(check, 0, "y", node->inputs[0].dims, node->inputs[0].sizes);
}

void stub_run_cast(const struct stub_node *node) {
  float *values = stub_widen(&node->inputs[0]);
  stub_narrow(&node->outputs[0], values);
  free(values);
}
