// What nodes of a graph take by its layout.
//   [nodes]  HabanaAI/SynapseAI_Core (MIT), external_includes/perf_lib_layer_params.h: the structs ns_*, whose layout Intel_Gaudi3_Software's has too
//   [common] HabanaAI/Intel_Gaudi3_Software, synapse/include/synapse_common_types.h and .hpp, read for the facts alone
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// synConvolutionParams [common], with its synActivationParams: of spatial_convolution, dedx and dedw.
typedef struct synapse_convolution {
    uint32_t kernel_width, kernel_height, stride_width, stride_height;
    int32_t padding_left, padding_right, padding_top, padding_bottom;
    uint32_t dilation_width, dilation_height;
    bool activation_relu, activation_residual;
    uint16_t activation_unused;
    uint32_t activation_channels;
    uint64_t activation_negative, activation_positive;
    uint32_t groups, unused;
} synapse_convolution;

/// synAxisParams [common]: of concat and split. The axis counts from the fastest size.
typedef struct synapse_axis {
    uint32_t axis;
} synapse_axis;

/// synGEMMParams [common].
typedef struct synapse_gemm {
    bool transposes_first, transposes_second;
} synapse_gemm;

/// ns_BatchNormKernel::ParamsV2 [nodes].
typedef struct synapse_normalization {
    float threshold, momentum, epsilon;
    bool is_training;
    uint8_t unused[3];
} synapse_normalization;

/// ns_BatchNormKernel::Params [nodes]: of batch_norm_inf.
typedef struct synapse_fixed_normalization {
    float threshold, momentum, epsilon;
} synapse_fixed_normalization;

/// ns_SpatialReduction::Params [nodes]: of maxpool_2d. Convention 0: POOLING_CONVENTION_VALID.
typedef struct synapse_maximum_pool {
    int32_t padding_left, padding_right, padding_top, padding_bottom;
    int32_t kernel_width, kernel_height, stride_width, stride_height, dilation_width, dilation_height;
    int32_t convention;
} synapse_maximum_pool;

/// ns_AveragePooling::Params [nodes]: of avg_pool_2d.
typedef struct synapse_average_pool {
    synapse_maximum_pool window;
    int32_t includes_padding;
} synapse_average_pool;

/// ns_Reduction::Params [nodes]. The dimension counts from the fastest.
typedef struct synapse_reduction {
    uint32_t dimension;
} synapse_reduction;

/// ns_CastKernel::Params [nodes]. Rounding 0: CAST_ROUND_HALF_NE, to the nearest, of two to the even.
typedef struct synapse_cast {
    int32_t rounding;
} synapse_cast;
