// What every kernel is told, as the same bytes to Swift, to the emulator and to the device.
//
// Letters: N images, H W rows and columns of a map, pixels = N·H·W, channels and outputs in lanes (multiples of 32: a producer of C channels has
// ⌈C/32⌉·32 lanes, of which the last are zero). Maps are NHWC: [pixels][stride] of A, fp32 or bf16, where the kernel's name says which;
// strides count elements and are multiples of 32. A tile is a run of pixels, numbered through the whole batch.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
#define DEVICE_POINTER(type) type*
#define ALIGNED(bytes) alignas(bytes)
#else
#define DEVICE_POINTER(type) uint64_t
#define ALIGNED(bytes)  // Swift has no structs that are aligned to more than 16
#endif

// Which lane is which channel: lanes 0 ..< first_lanes are channels 0 ..< first, then each producer of `growth` channels has growth_lanes lanes.
struct channel_map {
    int32_t first, first_lanes;
    int32_t growth, growth_lanes;  // growth_lanes > 0, also where nothing grows
};

// relu(scale·x + shift) is what a batch norm does before a convolution; interleaved: [lanes] scale, shift.
struct affine_pair {
    float scale, shift;
};

// How bulk copies find their boxes in a matrix: the driver's CUtensorMap. Of what a kernel is told such maps come first, and it is filled up to a
// multiple of their alignment.
struct tensor_map {
    ALIGNED(128) uint64_t opaque[16];
};

// Of one tile: its pixels, their sum, and the sum of their squared differences from the tile's own mean (Chan, Golub, LeVeque 1979).
struct tile_sums {
    float count, sum, squares, unused;
};

// Of all pixels of the batch; the variance is Σ(x − mean)²/m.
struct batch_moments {
    double mean, variance;
};

// MARK: Convolutions

// y[pixels][y_stride] = a · weight, where a = relu(affine(x)) in kernels that normalise and x in those that do not.
struct pointwise_parameters {
    DEVICE_POINTER(const void) x;                     // [pixels][x_stride], its first `channels`
    DEVICE_POINTER(const struct affine_pair) affine;  // [channels]
    DEVICE_POINTER(const void) weight;                // [channels][outputs]
    DEVICE_POINTER(const float) bias;                 // [outputs]: y = relu(… + bias); null: no bias, no relu
    DEVICE_POINTER(void) y;                           // its first `outputs`
    DEVICE_POINTER(struct tile_sums) sums;            // [tiles][outputs], of what is stored; null: not wanted
    int32_t pixels, channels, outputs, x_stride, y_stride;
};

// So many channels are the most that there is shared memory for, beside a ring and an output tile: their affine lies in it.
enum { POINTWISE_BULK_CHANNELS = 1888 };

// The same for kernels that copy in bulk, and normalise. Boxes of x and of y are of a tile's pixels × 64 lanes, those of the weights of 64 channels × 64
// outputs.
struct pointwise_bulk_parameters {
    struct tensor_map x, weight, y;
    struct pointwise_parameters given;
    uint64_t unused[7];
};

// y[pixels][y_stride] = 3×3 convolution of a, with zeros around it; a as above.
struct growth_parameters {
    DEVICE_POINTER(const void) x;                     // [pixels][channels]
    DEVICE_POINTER(const struct affine_pair) affine;  // [channels]
    DEVICE_POINTER(const void) weight;                // [9][channels][outputs]
    DEVICE_POINTER(void) y;                           // its first `outputs`
    DEVICE_POINTER(struct tile_sums) sums;            // [tiles][outputs], of what is stored; null: not wanted
    int32_t pixels, height, width, channels, outputs, y_stride;
};

// The same for kernels that copy in bulk. Boxes of x are of 64 pixels × 32 channels, those of the weights, [9·channels][outputs], of 32 channels × 32
// outputs.
struct growth_bulk_parameters {
    struct tensor_map x, weight;
    struct growth_parameters given;
    uint64_t unused[8];
};

enum { IMAGE_GRAY_BYTES, IMAGE_PLANAR_BYTES, IMAGE_PLANAR_FLOATS };

// Where an image's H × W pixels are: a window of planes [rows][pitch], read from right to left where mirrored.
struct image_window {
    DEVICE_POINTER(const void) pixels;  // bytes, or normalised floats
    int64_t plane;                      // elements from one channel's plane to the next
    int32_t kind, pitch, top, left, mirrored, unused;
};

// y[N·⌈H/2⌉·⌈W/2⌉][outputs] = 7×7 convolution of stride 2 with zeros around the normalised image.
struct stem_parameters {
    DEVICE_POINTER(const struct image_window) images;  // [N]
    DEVICE_POINTER(const float) table;                 // [channels][256]: what a byte stands for
    DEVICE_POINTER(const void) weight;                 // [channels·64][outputs]: depth c·64 + row·8 + column; row 7 and column 7 are zero
    DEVICE_POINTER(const float) bias;                  // [outputs]: y = relu(… + bias); null: no bias, no relu
    DEVICE_POINTER(void) y;
    DEVICE_POINTER(struct tile_sums) sums;             // [tiles][outputs], of what is stored; null: not wanted
    int32_t images_count, channels, height, width, outputs, unused;
};

// MARK: Pools

// y[N·⌈H/2⌉·⌈W/2⌉][y_stride] = 3×3 maximum of stride 2 of a = relu(affine(x)); affine null: of x.
struct maximum_pool_parameters {
    DEVICE_POINTER(const void) x;                     // [N·H·W][channels]
    DEVICE_POINTER(const struct affine_pair) affine;  // [channels]
    DEVICE_POINTER(void) y;                           // its first `channels`
    DEVICE_POINTER(struct tile_sums) sums;            // [tiles][channels]; null: not wanted
    int32_t images_count, height, width, channels, y_stride, unused;
};

// y[N·⌊H/2⌋·⌊W/2⌋][channels] = 2×2 mean of relu(affine(x)); an odd last row or column is left out.
struct mean_pool_parameters {
    DEVICE_POINTER(const void) x;                     // [N·H·W][x_stride], its first `channels`
    DEVICE_POINTER(const struct affine_pair) affine;  // [channels]
    DEVICE_POINTER(void) y;
    int32_t images_count, height, width, channels, x_stride, unused;
};

// MARK: Head

// a = affine(x), rectified where wanted: its mean over each image's pixels, and a itself.
struct head_mean_parameters {
    DEVICE_POINTER(const void) x;                     // [N·area][x_stride]
    DEVICE_POINTER(const struct affine_pair) affine;  // [channels]
    DEVICE_POINTER(float) mean;                       // [N][channels]
    DEVICE_POINTER(float) features;                   // [N][C][area], C channels of the map, not lanes; null: not wanted
    struct channel_map map;
    int32_t area, channels, x_stride, rectified;
    int32_t feature_channels, unused;                 // C
};

// logits[N][labels] = weight · mean + bias.
struct head_classifier_parameters {
    DEVICE_POINTER(const float) mean;    // [N][channels]
    DEVICE_POINTER(const float) weight;  // [labels][C], C channels, not lanes
    DEVICE_POINTER(const float) bias;    // [labels]
    DEVICE_POINTER(float) logits;
    struct channel_map map;
    int32_t channels, feature_channels, labels, unused;
};

// MARK: Batch norm

// affine by the running statistics (moments null), or by the batch's, which then also move the running ones:
// running ← (1 − momentum)·running + momentum·batch, the variance unbiased, as in PyTorch. Lanes without a channel become 0, 0.
//
// Of the batch's, those of `fresh` lanes from first_fresh on, both of whole thirty-twos, come from the sums of the tiles that have just been computed,
// in an order fixed by their number, and are written; the others are there.
struct normalization_parameters {
    DEVICE_POINTER(const struct tile_sums) sums;        // [tiles][fresh]
    DEVICE_POINTER(struct batch_moments) moments;       // [lanes]
    DEVICE_POINTER(const float) scale;                  // [C] γ
    DEVICE_POINTER(const float) shift;                  // [C] β
    DEVICE_POINTER(float) running_mean;                 // [C]
    DEVICE_POINTER(float) running_variance;             // [C]
    DEVICE_POINTER(struct affine_pair) affine;          // [lanes]
    DEVICE_POINTER(float) shifts;                       // [lanes]: the shifts once more, as a bias; null: not wanted
    struct channel_map map;
    double epsilon, momentum;
    int64_t count;                                      // m: pixels of the batch
    int32_t tiles, first_fresh, fresh, unused;
};

// MARK: Weights

// PyTorch's [K][C][taps] → A [taps][channels][outputs], zero in lanes without a channel; row k times affine[k].scale where there is an affine.
struct pack_convolution_parameters {
    DEVICE_POINTER(const float) weight;
    DEVICE_POINTER(const struct affine_pair) affine;  // [outputs]; null: as they are
    DEVICE_POINTER(void) packed;
    struct channel_map inputs, outputs_map;
    int32_t input_channels, output_channels;          // C, K
    int32_t channels, outputs, taps, unused;          // lanes of C and of K
};

// So many of them, in memory.
struct pack_convolutions_parameters {
    DEVICE_POINTER(const struct pack_convolution_parameters) convolutions;
};

// PyTorch's [K][C][7][7] → A [C·64][outputs], as stem_parameters has it.
struct pack_stem_parameters {
    DEVICE_POINTER(const float) weight;
    DEVICE_POINTER(const struct affine_pair) affine;  // [outputs]; null: as they are
    DEVICE_POINTER(void) packed;
    struct channel_map outputs_map;
    int32_t channels, output_channels, outputs, unused;  // C, K, lanes of K
};

// MARK: Primitives

// 64 rows of 16 bytes; lane l points ldmatrix to row points_to[l] and gets out[l][4].
struct primitive_matrix_parameters {
    DEVICE_POINTER(const void) rows;
    DEVICE_POINTER(const int32_t) points_to;
    DEVICE_POINTER(uint32_t) out;
    int32_t transposed, unused;
};

// Fragments of d = a · b + c: [case][32] × 4, 2, 4 and 4; a case a block.
struct primitive_multiply_parameters {
    DEVICE_POINTER(const uint32_t) a;
    DEVICE_POINTER(const uint32_t) b;
    DEVICE_POINTER(const float) c;
    DEVICE_POINTER(float) d;
};

// out[block][g][t] = what thread (t + 33) mod 128 copied in group g: source[from], or 0 where not valid; [block][4][128], of 16 bytes each.
struct primitive_copy_parameters {
    DEVICE_POINTER(const void) source;
    DEVICE_POINTER(const int32_t) from;
    DEVICE_POINTER(const int32_t) valid;
    DEVICE_POINTER(void) out;
};

// in [pairs][2]; out [pairs]: packed, packed and rectified; halves [pairs][2]: of the packed.
struct primitive_pack_parameters {
    DEVICE_POINTER(const float) in;
    DEVICE_POINTER(uint32_t) out;
    DEVICE_POINTER(float) halves;
    int32_t pairs, unused;
};

// out[mask][lane] = in[lane ^ mask].
struct primitive_shuffle_parameters {
    DEVICE_POINTER(const float) in;
    DEVICE_POINTER(float) out;
};

// Of bf16 dy [64][128], weight [128][128], x [64][64], all of them rows of consecutive values. out: dy · weightᵀ [64][128] and xᵀ · dy [64][128];
// then their last 64 columns once more, [64][64] each. Of the kernel that has x in registers: x · the first 64 rows of weight, [64][128], and of their
// first 32 columns, [64][32].
struct primitive_warpgroup_parameters {
    DEVICE_POINTER(const void) dy;
    DEVICE_POINTER(const void) weight;
    DEVICE_POINTER(const void) x;
    DEVICE_POINTER(float) out;
};

// Block b takes the box whose first row and column are at[b] of a matrix: wide [b][64][64] and narrow [b][64][32] as they have come, of bf16; then it
// stores the first, with the lowest bit of each the other way, into the same box of another matrix.
struct primitive_bulk_parameters {
    struct tensor_map wide, narrow, stored;
    DEVICE_POINTER(const int32_t) at;
    DEVICE_POINTER(void) wide_out;
    DEVICE_POINTER(void) narrow_out;
    uint64_t unused[13];
};
