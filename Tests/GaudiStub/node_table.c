// The table of nodes: what a guid takes, where that was read, and which functions check and compute it.
// Abbreviations of repositories and folders in `source` are node_internal.h's.
#include "node_internal.h"

#include <string.h>

static const char from_convolution[] =
    "GC habana_nodes/mme_node.cpp MmeNode::validateNode, convolution_node.cpp, conv_base_node.cpp convertUserParams, "
    "utils.cpp validateConvolutionSize, passes/add_mme_bias.cpp; G3 synapse/include/synapse_common_types.hpp";
static const char from_dedx[] =
    "GC habana_nodes/dedx_node.cpp validateNode (a third input is a shape tensor: only dynamic shapes need it); "
    "PT hpu_ops/backend/convolution_backward_overrideable_gen.cpp";
static const char from_dedw[] =
    "GC habana_nodes/dedw_node.cpp validateNode, node.h InputTensorIndex; "
    "PT hpu_ops/backend/convolution_backward_overrideable_gen.cpp";
static const char from_gemm[] = "GC habana_nodes/habana_nodes.cpp GEMMNode::setParams, validateNodeLayout";
static const char from_norm_forward[] =
    "PT hpu_ops/backend/batch_norm_gen.cpp handle_batch_norm_training_fwd; GC passes/split_batch_norm.cpp "
    "splitBatchNormFwd, passes/update_nodes_with_alias_tensors.cpp; GT platform_tests/gaudi_tests/tpc_bn_test.cpp";
static const char from_norm_backward[] =
    "PT hpu_ops/backend/batch_norm_gen.cpp BatchNormBwdOpBackend::AddNode; GC passes/split_batch_norm.cpp "
    "splitBatchNormBwd; GT platform_tests/gaudi_tests/tpc_bn_test.cpp";
static const char from_norm_inference[] =
    "GC passes/fuse_bn_conv.cpp performBNConvFusion; GT platform_tests/gaudi_tests/tpc_bn_test.cpp, "
    "fuse_bn_conv_test.cpp";
static const char from_relu[] =
    "GT platform_tests/gaudi_tests/tpc_maxpool_relu_test.cpp, tpc_fuser_dynamic_shapes_test.cpp; G3 "
    "specs_external/perf_lib_layer_params.h ns_ReluKernel";
static const char from_relu_backward[] =
    "PT habana_kernels/threshold_kernels.cpp; GT platform_tests/gaudi_tests/tpc_bn_test.cpp (relu_bwd)";
static const char from_max_pool[] =
    "PT hpu_ops/backend/maxpool_gen.cpp FillSpatialReduction2DParams; GT "
    "platform_tests/gaudi_tests/tpc_maxpool_test.cpp maxpool_forward_L2 (48 bytes), tpc_maxpool_relu_test.cpp (44)";
static const char from_max_pool_backward[] =
    "GT platform_tests/gaudi_tests/tpc_maxpool_test.cpp maxpool_backward_L2, big_tensors_sram_slicing_test.cpp (44 "
    "bytes; a third input there is a shape tensor)";
static const char from_average_pool[] =
    "PT hpu_ops/backend/avg_pool2d_gen.cpp (52 bytes); GT platform_tests/gaudi_tests/tpc_avgpool_test.cpp (48); CORE "
    "tests/avgpool_test.cpp";
static const char from_average_pool_backward[] =
    "PT hpu_ops/backend/avg_pool2d_gen.cpp Avgpool2dBwd (52 bytes); GT platform_tests/gaudi_tests/tpc_avgpool_test.cpp "
    "avgpool_backward (48)";
static const char from_concat[] =
    "GC habana_nodes/concatenate_node.cpp createConcatNode, aggregation_node.cpp validateAggregation";
static const char from_split[] =
    "GC habana_nodes/habana_nodes.cpp SplitNode::validateNode, aggregation_node.cpp validateAggregation; PT "
    "hpu_ops/backend/split_gen.cpp";
static const char from_reshape[] = "GC habana_nodes/habana_nodes.cpp ReshapeNode::createNode, validateNode";
static const char from_slice[] =
    "GC habana_nodes/slice_node.cpp userParams2NDimParams, getSliceParams, validateSliceInExtraction";
static const char from_binary[] =
    "PT hpu_ops/backend/optimizer_resource_apply_momentum_gen.cpp, optimizer_lamb_gen.cpp; GC passes/add_mme_bias.cpp; "
    "GT platform_tests/gaudi_tests/tf_vidar_test.cpp";
static const char from_unary[] = "PT hpu_ops/backend/optimizer_lamb_gen.cpp (sqrt_fwd), foreach_gen.cpp (sigmoid_fwd)";
static const char from_reduce_sum[] =
    "PT hpu_ops/backend/optimizer_lamb_gen.cpp; GC habana_nodes/einsum_node.cpp; GT "
    "platform_tests/gaudi_tests/const_tensor_test.cpp";
static const char from_cast[] =
    "PT backend/helpers/cast_sequence.cpp, habana_kernels/kernel_utils.cpp synapse_cast_params_builder; G3 "
    "synapse/src/eager/lib/node_info/const_tensor_optimizer.cpp getRoundingMode (none, 4 or 8 bytes)";
static const char from_cast_uint8_bf16[] =
    "PT backend/helpers/cast_sequence.cpp get_cast_stage (Gaudi 2 and 3; on Gaudi 1 it goes by way of f32)";

static const struct stub_rule rules[] = {
    {"spatial_convolution", 2, 4, 1, 1, {72, 112, 72}, from_convolution},
    {"dedx", 2, 2, 1, 1, {72, 112, 72}, from_dedx},
    {"dedw", 2, 2, 1, 1, {72, 112, 72}, from_dedw},
    {"gemm", 2, 3, 1, 1, {2, 0, 2}, from_gemm},
    {"batch_norm_fwd_bf16", 5, 5, 3, 5, {12, 16, 12}, from_norm_forward},
    {"batch_norm_fwd_f32", 5, 5, 3, 5, {12, 16, 12}, from_norm_forward},
    {"batch_norm_bwd_bf16", 5, 5, 3, 3, {12, 16, 0}, from_norm_backward},
    {"batch_norm_bwd_f32", 5, 5, 3, 3, {12, 16, 0}, from_norm_backward},
    {"batch_norm_inf_bf16", 5, 5, 1, 1, {12, 12, 12}, from_norm_inference},
    {"batch_norm_inf_f32", 5, 5, 1, 1, {12, 12, 12}, from_norm_inference},
    {"relu_fwd_bf16", 1, 1, 1, 1, {0, 4, 8}, from_relu},
    {"relu_fwd_f32", 1, 1, 1, 1, {0, 4, 8}, from_relu},
    {"relu_bwd_bf16", 2, 2, 1, 1, {0, 4, 8}, from_relu_backward},
    {"relu_bwd_f32", 2, 2, 1, 1, {0, 4, 8}, from_relu_backward},
    {"maxpool_2d_fwd_bf16", 1, 1, 2, 2, {44, 48, 44}, from_max_pool},
    {"maxpool_2d_fwd_f32", 1, 1, 2, 2, {44, 48, 44}, from_max_pool},
    {"maxpool_2d_bwd_bf16", 2, 2, 1, 1, {44, 48, 44}, from_max_pool_backward},
    {"maxpool_2d_bwd_f32", 2, 2, 1, 1, {44, 48, 44}, from_max_pool_backward},
    {"avg_pool_2d_fwd_bf16", 1, 1, 1, 1, {48, 52, 48}, from_average_pool},
    {"avg_pool_2d_fwd_f32", 1, 1, 1, 1, {48, 52, 48}, from_average_pool},
    {"avg_pool_2d_bwd_bf16", 1, 1, 1, 1, {48, 52, 48}, from_average_pool_backward},
    {"avg_pool_2d_bwd_f32", 1, 1, 1, 1, {48, 52, 48}, from_average_pool_backward},
    {"concat", 1, UINT32_MAX, 1, 1, {4, 0, 4}, from_concat},
    {"split", 1, 1, 1, UINT32_MAX, {4, 0, 4}, from_split},
    {"reshape", 1, 1, 1, 1, {0, 0, 0}, from_reshape},
    {"slice", 1, 1, 1, 1, {80, 400, 704}, from_slice},
    {"add_fwd_bf16", 2, 2, 1, 1, {0, 0, 0}, from_binary},
    {"add_fwd_f32", 2, 2, 1, 1, {0, 0, 0}, from_binary},
    {"sub_fwd_bf16", 2, 2, 1, 1, {0, 0, 0}, from_binary},
    {"sub_fwd_f32", 2, 2, 1, 1, {0, 0, 0}, from_binary},
    {"mult_fwd_bf16", 2, 2, 1, 1, {0, 0, 0}, from_binary},
    {"mult_fwd_f32", 2, 2, 1, 1, {0, 0, 0}, from_binary},
    {"div_fwd_bf16", 2, 2, 1, 1, {0, 0, 0}, from_binary},
    {"div_fwd_f32", 2, 2, 1, 1, {0, 0, 0}, from_binary},
    {"sqrt_fwd_bf16", 1, 1, 1, 1, {0, 0, 0}, from_unary},
    {"sqrt_fwd_f32", 1, 1, 1, 1, {0, 0, 0}, from_unary},
    {"sigmoid_fwd_bf16", 1, 1, 1, 1, {0, 0, 0}, from_unary},
    {"sigmoid_fwd_f32", 1, 1, 1, 1, {0, 0, 0}, from_unary},
    {"reduce_sum_fwd_bf16", 1, 1, 1, 1, {4, 4, 4}, from_reduce_sum},
    {"reduce_sum_fwd_f32", 1, 1, 1, 1, {4, 4, 4}, from_reduce_sum},
    {"cast_f32_to_bf16", 1, 1, 1, 1, {4, 0, 8}, from_cast},
    {"cast_bf16_to_f32", 1, 1, 1, 1, {4, 0, 8}, from_cast},
    {"cast_u8_to_f32", 1, 1, 1, 1, {4, 0, 8}, from_cast},
    {"cast_u8_to_bf16", 1, 1, 1, 1, {4, 0, 8}, from_cast_uint8_bf16},
};

static const struct node_family families[] = {
    {"spatial_convolution", false, stub_check_convolution, stub_run_convolution},
    {"dedx", false, stub_check_dedx, stub_run_dedx},
    {"dedw", false, stub_check_dedw, stub_run_dedw},
    {"gemm", false, stub_check_gemm, stub_run_gemm},
    {"batch_norm_fwd", true, stub_check_batch_norm_forward, stub_run_batch_norm_forward},
    {"batch_norm_bwd", true, stub_check_batch_norm_backward, stub_run_batch_norm_backward},
    {"batch_norm_inf", true, stub_check_batch_norm_inference, stub_run_batch_norm_inference},
    {"relu_fwd", true, stub_check_relu, stub_run_relu},
    {"relu_bwd", true, stub_check_relu_backward, stub_run_relu_backward},
    {"maxpool_2d_fwd", true, stub_check_max_pool_forward, stub_run_max_pool_forward},
    {"maxpool_2d_bwd", true, stub_check_max_pool_backward, stub_run_max_pool_backward},
    {"avg_pool_2d_fwd", true, stub_check_average_pool_forward, stub_run_average_pool_forward},
    {"avg_pool_2d_bwd", true, stub_check_average_pool_backward, stub_run_average_pool_backward},
    {"concat", false, stub_check_concat, stub_run_concat},
    {"split", false, stub_check_split, stub_run_split},
    {"reshape", false, stub_check_reshape, stub_run_reshape},
    {"slice", false, stub_check_slice, stub_run_slice},
    {"add_fwd", true, stub_check_binary, stub_run_add},
    {"sub_fwd", true, stub_check_binary, stub_run_subtract},
    {"mult_fwd", true, stub_check_binary, stub_run_multiply},
    {"div_fwd", true, stub_check_binary, stub_run_divide},
    {"sqrt_fwd", true, stub_check_unary, stub_run_square_root},
    {"sigmoid_fwd", true, stub_check_unary, stub_run_sigmoid},
    {"reduce_sum_fwd", true, stub_check_reduce_sum, stub_run_reduce_sum},
    {"cast_f32_to", true, stub_check_cast, stub_run_cast},
    {"cast_bf16_to", true, stub_check_cast, stub_run_cast},
    {"cast_u8_to", true, stub_check_cast, stub_run_cast},
};

const struct stub_rule *stub_rules(size_t *count) {
  *count = sizeof rules / sizeof rules[0];
  return rules;
}

const struct stub_rule *stub_find_rule(const char *guid) {
  for (size_t index = 0; index < sizeof rules / sizeof rules[0]; ++index) {
    if (strcmp(rules[index].guid, guid) == 0) {
      return &rules[index];
    }
  }
  return NULL;
}

const struct node_family *stub_find_family(const char *guid) {
  for (size_t index = 0; index < sizeof families / sizeof families[0]; ++index) {
    const size_t length = strlen(families[index].name);
    if (strncmp(families[index].name, guid, length) != 0) {
      continue;
    }
    const char *rest = guid + length;
    if (rest[0] == '\0' || (families[index].typed && (strcmp(rest, "_bf16") == 0 || strcmp(rest, "_f32") == 0))) {
      return &families[index];
    }
  }
  return NULL;
}

uint32_t stub_guid_type(const char *guid) {
  const char *end = strrchr(guid, '_');
  if (end != NULL && strcmp(end, "_bf16") == 0) {
    return type_bf16;
  }
  return end != NULL && strcmp(end, "_f32") == 0 ? type_f32 : 0;
}
