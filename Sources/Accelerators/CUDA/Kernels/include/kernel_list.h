// Every kernel of the fatbin, once for all who need to know: nvcc, the emulator, and Swift.
#pragma once
#include "gradient_parameters.h"

// K(name, parameters, threads of a block, blocks a multiprocessor should hold, bytes of dynamic shared memory, tile, C++ class)
//
// The class has threads, Shared (whose size is checked against the bytes) and run. Grids, with `tile` pixels a tile:
//   pointwise_*         ⌈pixels / tile⌉, ⌈outputs / 128⌉
//   pointwise_*_bulk_*  any, at most ⌈pixels / tile⌉; ⌈outputs / 128⌉       at most POINTWISE_BULK_CHANNELS
//   growth_*            ⌈pixels / tile⌉, outputs / 32      min(width, tile + 2) at most the pitch in the name
//   stem_*              ⌈W/2 rounded up / 16⌉ · ⌈H/2 rounded up / 8⌉, N, ⌈outputs / 64⌉
//   maximum_pool_*      ⌈pooled pixels / tile⌉, ⌈channels / 64⌉
//   mean_pool_*         ⌈pooled pixels · channels / 8 / threads⌉
//   head_mean_*         N, channels / 32
//   head_classifier     N
//   normalization       lanes / 8
//   pack_convolutions_* any, convolutions: threads stride over the elements of one
//   pack_stem_*         any: threads stride over the elements
//
//   resolve_gradient_*           any: threads stride over eights of lanes
//   pointwise_data_gradient_*    ⌈pixels / tile⌉, ⌈channels / 128⌉
//   pointwise_weight_gradient_*  parts, ⌈channels / 64⌉, ⌈outputs / 128⌉    part b of P takes tiles ⌊T·b/P⌋ ..< ⌊T·(b + 1)/P⌋
//   pointwise_gradients_*        parts, ⌈channels / 128⌉                    parts of the tiles, as above
//   growth_data_gradient_*       ⌈pixels / tile⌉, ⌈channels / 128⌉           the pitch as in growth_*
//   growth_weight_gradient_*     parts, ⌈channels / 32⌉, outputs / 32
//   growth_gradients_*           parts, ⌈channels / 64⌉                     outputs = 32; width at most the pitch in the name
//   stem_weight_gradient_*       parts, channels of an image, ⌈outputs / 64⌉
//   maximum_pool_gradient_*      parts, ⌈channels / 64⌉                     parts of the pooled pixels, each with its 2×2 pixels of x
//   mean_pool_gradient_*         parts, ⌈channels / 64⌉                     parts of the pixels of x
//   head_gradient_*              parts, ⌈channels / 64⌉                     parts of the pixels of x
//   loss                         1
//   classifier_gradient          ⌈lanes / 32⌉
//   sums_of_parts                lanes / 8 + elements of a part / 128
//   unpack_stem_gradient         elements of a part / 128
//   gradient_norm, optimizer     any: threads stride over the elements
//   mean_over_ranks              ⌈count / threads⌉
//
// With _90a in its name a kernel is for Hopper (compute capability 9.0) alone, with _90 from there on: elsewhere it is in the fatbin, and traps.
#define CHEXNET_CUDA_KERNELS(K) CHEXNET_CUDA_KERNELS_WITHOUT_MAPS(K) CHEXNET_CUDA_KERNELS_WITH_MAPS(K)
#define CHEXNET_CUDA_KERNELS_WITHOUT_MAPS(K) \
    CHEXNET_CUDA_BF16_CONVOLUTIONS(K) CHEXNET_CUDA_FP32_CONVOLUTIONS(K) CHEXNET_CUDA_POOLS(K) CHEXNET_CUDA_SMALL(K) \
    CHEXNET_CUDA_BF16_CONVOLUTION_GRADIENTS(K) CHEXNET_CUDA_FP32_CONVOLUTION_GRADIENTS(K) CHEXNET_CUDA_SMALL_GRADIENTS(K)
// Their parameters begin with maps.
#define CHEXNET_CUDA_KERNELS_WITH_MAPS(K) CHEXNET_CUDA_BULK_CONVOLUTIONS(K) CHEXNET_CUDA_BULK_PRIMITIVES(K)

#define CHEXNET_CUDA_BF16_CONVOLUTIONS(K) \
    K(pointwise_128_bf16, pointwise_parameters, 128, 2, 66560, 128, Pointwise<128, false>) \
    K(pointwise_128_normalised_bf16, pointwise_parameters, 128, 2, 66560, 128, Pointwise<128, true>) \
    K(pointwise_64_bf16, pointwise_parameters, 128, 3, 50176, 64, Pointwise<64, false>) \
    K(pointwise_64_normalised_bf16, pointwise_parameters, 128, 3, 50176, 64, Pointwise<64, true>) \
    K(pointwise_32_bf16, pointwise_parameters, 128, 4, 41984, 32, Pointwise<32, false>) \
    K(pointwise_32_normalised_bf16, pointwise_parameters, 128, 4, 41984, 32, Pointwise<32, true>) \
    K(growth_256x56_bf16, growth_parameters, 256, 2, 86528, 256, Growth<256, 56, false>) \
    K(growth_256x56_normalised_bf16, growth_parameters, 256, 2, 86528, 256, Growth<256, 56, true>) \
    K(growth_256x56_90a_bf16, growth_parameters, 256, 2, 86528, 256, Growth<256, 56, false, GrowthWarpgroupProducts>) \
    K(growth_256x56_90a_normalised_bf16, growth_parameters, 256, 2, 86528, 256, Growth<256, 56, true, GrowthWarpgroupProducts>) \
    K(growth_128x28_bf16, growth_parameters, 256, 2, 62976, 128, Growth<128, 28, false>) \
    K(growth_128x28_normalised_bf16, growth_parameters, 256, 2, 62976, 128, Growth<128, 28, true>) \
    K(growth_128x130_bf16, growth_parameters, 256, 2, 88576, 128, Growth<128, 130, false>) \
    K(growth_128x130_normalised_bf16, growth_parameters, 256, 2, 88576, 128, Growth<128, 130, true>) \
    K(growth_64x66_bf16, growth_parameters, 128, 3, 64000, 64, Growth<64, 66, false>) \
    K(growth_64x66_normalised_bf16, growth_parameters, 128, 3, 64000, 64, Growth<64, 66, true>) \
    K(stem_bf16, stem_parameters, 128, 4, 18432, 128, Stem)
#define CHEXNET_CUDA_FP32_CONVOLUTIONS(K) \
    K(pointwise_fp32, pointwise_parameters, 128, 2, 26624, 64, PointwiseFP32<false>) \
    K(pointwise_normalised_fp32, pointwise_parameters, 128, 3, 26624, 64, PointwiseFP32<true>) \
    K(growth_fp32, growth_parameters, 64, 8, 14336, 64, GrowthFP32<false>) \
    K(growth_normalised_fp32, growth_parameters, 64, 8, 14336, 64, GrowthFP32<true>) \
    K(stem_fp32, stem_parameters, 128, 3, 28672, 128, StemFP32)
#define CHEXNET_CUDA_POOLS(K) \
    K(maximum_pool_bf16, maximum_pool_parameters, 128, 4, 8192, 64, MaximumPool<uint16_t>) \
    K(maximum_pool_fp32, maximum_pool_parameters, 128, 4, 8192, 64, MaximumPool<float>) \
    K(mean_pool_bf16, mean_pool_parameters, 256, 4, 16, 0, MeanPool<uint16_t>) \
    K(mean_pool_fp32, mean_pool_parameters, 256, 4, 16, 0, MeanPool<float>)
#define CHEXNET_CUDA_SMALL(K) \
    K(head_mean_bf16, head_mean_parameters, 128, 4, 16, 0, HeadMean<uint16_t>) \
    K(head_mean_fp32, head_mean_parameters, 128, 4, 16, 0, HeadMean<float>) \
    K(head_classifier, head_classifier_parameters, 128, 4, 1024, 0, HeadClassifier) \
    K(normalization, normalization_parameters, 512, 2, 12288, 0, Normalization) \
    K(pack_convolutions_bf16, pack_convolutions_parameters, 256, 4, 16, 0, PackConvolutions<uint16_t>) \
    K(pack_convolutions_fp32, pack_convolutions_parameters, 256, 4, 16, 0, PackConvolutions<float>) \
    K(pack_stem_bf16, pack_stem_parameters, 256, 4, 16, 0, PackStem<uint16_t>) \
    K(pack_stem_fp32, pack_stem_parameters, 256, 4, 16, 0, PackStem<float>) \
    K(primitive_matrix, primitive_matrix_parameters, 32, 1, 1024, 0, PrimitiveMatrix) \
    K(primitive_multiply, primitive_multiply_parameters, 32, 1, 16, 0, PrimitiveMultiply) \
    K(primitive_copy, primitive_copy_parameters, 128, 1, 8192, 0, PrimitiveCopy) \
    K(primitive_pack, primitive_pack_parameters, 32, 1, 16, 0, PrimitivePack) \
    K(primitive_shuffle, primitive_shuffle_parameters, 32, 1, 16, 0, PrimitiveShuffle) \
    K(primitive_warpgroup_90a, primitive_warpgroup_parameters, 128, 1, 57344, 0, PrimitiveWarpgroup) \
    K(primitive_warpgroup_registers_90a, primitive_warpgroup_parameters, 128, 1, 28672, 0, PrimitiveWarpgroupRegisters)

#define CHEXNET_CUDA_BF16_CONVOLUTION_GRADIENTS(K) \
    K(pointwise_data_gradient_128_bf16, pointwise_data_gradient_parameters, 256, 2, 49152, 128, PointwiseDataGradient<128>) \
    K(pointwise_data_gradient_32_bf16, pointwise_data_gradient_parameters, 128, 4, 40960, 32, PointwiseDataGradient<32>) \
    K(pointwise_weight_gradient_bf16, pointwise_weight_gradient_parameters, 128, 3, 49152, 32, PointwiseWeightGradient) \
    K(pointwise_gradients_64_bf16, pointwise_gradients_parameters, 256, 1, 101376, 64, PointwiseGradients<64>) \
    K(pointwise_gradients_64_90a_bf16, pointwise_gradients_parameters, 256, 1, 101376, 64, PointwiseGradients<64, PointwiseWarpgroupProducts>) \
    K(pointwise_gradients_32_bf16, pointwise_gradients_parameters, 256, 1, 76800, 32, PointwiseGradients<32>) \
    K(growth_data_gradient_128x56_bf16, growth_data_gradient_parameters, 256, 2, 65536, 128, GrowthDataGradient<128, 56>) \
    K(growth_data_gradient_128x130_bf16, growth_data_gradient_parameters, 256, 2, 83968, 128, GrowthDataGradient<128, 130>) \
    K(growth_data_gradient_64x66_bf16, growth_data_gradient_parameters, 128, 3, 59392, 64, GrowthDataGradient<64, 66>) \
    K(growth_weight_gradient_bf16, growth_weight_gradient_parameters, 192, 2, 68608, 128, GrowthWeightGradient) \
    K(growth_gradients_96x128_bf16, growth_gradients_parameters, 192, 2, 101184, 96, GrowthGradients<96, 128>) \
    K(growth_gradients_48x256_bf16, growth_gradients_parameters, 192, 2, 95968, 48, GrowthGradients<48, 256>) \
    K(stem_weight_gradient_bf16, stem_weight_gradient_parameters, 128, 4, 38112, 128, StemWeightGradient)
#define CHEXNET_CUDA_FP32_CONVOLUTION_GRADIENTS(K) \
    K(pointwise_data_gradient_fp32, pointwise_data_gradient_parameters, 128, 3, 30720, 64, PointwiseDataGradientFP32) \
    K(pointwise_weight_gradient_fp32, pointwise_weight_gradient_parameters, 128, 3, 24576, 64, PointwiseWeightGradientFP32) \
    K(growth_data_gradient_fp32, growth_data_gradient_parameters, 128, 3, 30720, 64, GrowthDataGradientFP32) \
    K(growth_weight_gradient_fp32, growth_weight_gradient_parameters, 288, 2, 20480, 64, GrowthWeightGradientFP32) \
    K(stem_weight_gradient_fp32, stem_weight_gradient_parameters, 128, 4, 16384, 64, StemWeightGradientFP32)
#define CHEXNET_CUDA_SMALL_GRADIENTS(K) \
    K(resolve_gradient_bf16, resolve_gradient_parameters, 256, 4, 16, 0, ResolveGradient<uint16_t>) \
    K(resolve_gradient_fp32, resolve_gradient_parameters, 256, 4, 16, 0, ResolveGradient<float>) \
    K(maximum_pool_gradient_bf16, maximum_pool_gradient_parameters, 256, 2, 16384, 0, MaximumPoolGradient<uint16_t>) \
    K(maximum_pool_gradient_fp32, maximum_pool_gradient_parameters, 256, 2, 16384, 0, MaximumPoolGradient<float>) \
    K(mean_pool_gradient_bf16, mean_pool_gradient_parameters, 256, 3, 16384, 0, MeanPoolGradient<uint16_t>) \
    K(mean_pool_gradient_fp32, mean_pool_gradient_parameters, 256, 3, 16384, 0, MeanPoolGradient<float>) \
    K(loss, loss_parameters, 256, 1, 2048, 0, Loss) \
    K(classifier_gradient, classifier_gradient_parameters, 256, 4, 16, 0, ClassifierGradient) \
    K(head_gradient_bf16, head_gradient_parameters, 256, 3, 16384, 0, HeadGradient<uint16_t>) \
    K(head_gradient_fp32, head_gradient_parameters, 256, 3, 16384, 0, HeadGradient<float>) \
    K(sums_of_parts, sums_of_parts_parameters, 256, 4, 8192, 0, SumsOfParts) \
    K(unpack_stem_gradient, unpack_stem_gradient_parameters, 256, 4, 8192, 0, UnpackStemGradient) \
    K(gradient_norm, gradient_norm_parameters, 256, 4, 2048, 0, GradientNorm) \
    K(optimizer, optimizer_parameters, 256, 4, 2056, 0, Optimizer) \
    K(mean_over_ranks, mean_over_ranks_parameters, 256, 4, 16, 0, MeanOverRanks)

#define CHEXNET_CUDA_BULK_CONVOLUTIONS(K) \
    K(pointwise_256_bulk_90a_normalised_bf16, pointwise_bulk_parameters, 256, 1, 232224, 256, PointwiseBulk<256>) \
    K(pointwise_128_bulk_90a_normalised_bf16, pointwise_bulk_parameters, 256, 1, 215856, 128, PointwiseBulk<128>) \
    K(growth_256x56_bulk_90a_bf16, growth_bulk_parameters, 256, 2, 112176, 256, GrowthBulk<false, GrowthWarpgroupProducts>) \
    K(growth_256x56_bulk_90a_normalised_bf16, growth_bulk_parameters, 256, 2, 112176, 256, GrowthBulk<true, GrowthWarpgroupProducts>) \
    K(pointwise_gradients_64_bulk_90_bf16, pointwise_gradients_bulk_parameters, 256, 1, 216112, 64, PointwiseGradientsBulk<PointwiseProducts<64>>) \
    K(pointwise_gradients_64_bulk_90a_bf16, pointwise_gradients_bulk_parameters, 256, 1, 216112, 64, PointwiseGradientsBulk<PointwiseWarpgroupProducts>)
#define CHEXNET_CUDA_BULK_PRIMITIVES(K) \
    K(primitive_bulk_90, primitive_bulk_parameters, 128, 1, 12304, 0, PrimitiveBulk)
