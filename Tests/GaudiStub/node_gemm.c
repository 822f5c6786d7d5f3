// gemm: y = a b, each of the two turned first where asked. Fastest first, a is (common, height) and b (width, common).
#include "node_internal.h"

#include <stdlib.h>

/// synGEMMParams (G3 synapse/include/synapse_common_types.hpp).
struct gemm_parameters {
  uint8_t transpose_a, transpose_b;
};

static void check_flat(struct node_check *check, const struct stub_tensor *tensor, const char *role,
                       enum stub_node_fault fault) {
  // GC habana_nodes.cpp GEMMNode::validateNodeLayout looks at dims 0 and 1 only; GT tpc_bn_test.cpp full_bn_gemm_bn
  // gives gemm tensors of 4 dims, of which the last two are 1.
  if (tensor->dims < 2) {
    stub_refuse(check, fault, "%s has %u dims, expected 2", role, tensor->dims);
  }
  for (uint32_t dim = 2; dim < tensor->dims; ++dim) {
    if (tensor->sizes[dim] != 1) {
      stub_refuse(check, fault, "%s has the size %llu in dim %u, expected 1", role,
                  (unsigned long long)tensor->sizes[dim], dim);
    }
  }
}

void stub_check_gemm(struct node_check *check) {
  const struct stub_node *node = check->node;
  struct gemm_parameters given;
  stub_copy_parameters(node, &given, sizeof given);
  if (given.transpose_a > 1 || given.transpose_b > 1) {
    stub_refuse(check, stub_parameter_value, "transposes are %u and %u, expected 0 or 1", given.transpose_a,
                given.transpose_b);
  }
  const struct stub_tensor *a = &node->inputs[0];
  const struct stub_tensor *b = &node->inputs[1];
  const struct stub_tensor *y = &node->outputs[0];
  if (a->type != type_bf16 && a->type != type_f32) {
    stub_refuse(check, stub_input_type, "input 0 (a) is %s, expected bf16 or f32", stub_type_name(a->type));
  }
  stub_expect_input_type(check, 1, "b", a->type);
  if (y->type != type_f32) {
    stub_expect_output_type(check, 0, "y", a->type);
  }
  check_flat(check, a, "input 0 (a)", stub_input_shape);
  check_flat(check, b, "input 1 (b)", stub_input_shape);
  check_flat(check, y, "output 0 (y)", stub_output_shape);
  if (!stub_sound(check)) {
    return;
  }
  const uint64_t common = a->sizes[given.transpose_a ? 1 : 0];
  const uint64_t height = a->sizes[given.transpose_a ? 0 : 1];
  const uint64_t width = b->sizes[given.transpose_b ? 1 : 0];
  if (b->sizes[given.transpose_b ? 0 : 1] != common) {
    stub_refuse(check, stub_input_shape, "b has %llu common elements, a has %llu",
                (unsigned long long)b->sizes[given.transpose_b ? 0 : 1], (unsigned long long)common);
  }
  if (y->sizes[0] != width || y->sizes[1] != height) {
    stub_refuse(check, stub_output_shape, "output 0 (y) has sizes (%llu,%llu), expected (%llu,%llu), fastest first",
                (unsigned long long)y->sizes[0], (unsigned long long)y->sizes[1], (unsigned long long)width,
                (unsigned long long)height);
  }
  // The bias becomes an add_fwd of y's type, as a convolution's does (GC passes/add_mme_bias.cpp).
  if (node->input_count > 2 && node->inputs[2].dims != 0) {
    stub_expect_input_type(check, 2, "bias", y->type);
    stub_expect_input_sizes(check, 2, "bias", 1, &width);
  }
}

void stub_run_gemm(const struct stub_node *node) {
  struct gemm_parameters given;
  stub_copy_parameters(node, &given, sizeof given);
  const uint64_t width = node->outputs[0].sizes[0];
  const uint64_t height = node->outputs[0].sizes[1];
  const uint64_t common = node->inputs[0].sizes[given.transpose_a ? 1 : 0];
  float *a = stub_widen(&node->inputs[0]);
  float *b = stub_widen(&node->inputs[1]);
  float *bias = node->input_count > 2 && node->inputs[2].dims != 0 ? stub_widen(&node->inputs[2]) : NULL;
  float *y = stub_allocate(width * height, sizeof *y);
  for (uint64_t row = 0; row < height; ++row) {
    for (uint64_t column = 0; column < width; ++column) {
      double sum = bias != NULL ? (double)bias[column] : 0;
      for (uint64_t index = 0; index < common; ++index) {
        const float left = given.transpose_a ? a[index * height + row] : a[row * common + index];
        const float right = given.transpose_b ? b[column * common + index] : b[index * width + column];
        sum += (double)left * (double)right;
      }
      y[row * width + column] = (float)sum;
    }
  }
  stub_narrow(&node->outputs[0], y);
  free(y);
  free(bias);
  free(b);
  free(a);
}
