// What the kernels of the way back are told, and the optimizers. Letters and layouts are those of parameters.h.
#pragma once
#include "parameters.h"

// d is the gradient behind a ReLU's gate, which is open where affine(x) > 0. A batch norm's backward is s·d − (s/m)·Σd − (s/m)·x̂·Σ(d·x̂): the first
// term is added to the block's gradient G, the rest is owed by the lane, linear in x, and taken off once, when the lane's gradient is resolved:
// G − (constant + slope·x). G is of A, [pixels][g_stride]: rounding each sum of it to bf16 costs 0.6 % of the gradient, where bf16 costs 40 % in all
// (Tools/reference/gradient_error.py). Sums are of d before s is multiplied by it.

// What a lane owes: constant + slope·x.
struct debt_pair {
    float constant, slope;
};

// The same as it is gathered from one consumer after the other: constant + slope·(x − mean).
struct debt_sums {
    double constant, slope;
};

// Of one part of the pixels: Σd and Σd·(x − mean).
struct gate_sums {
    float gradient, product;
};

// resolved[pixels][lanes] of A = scale·g − (constant + slope·x); g [pixels][g_stride]: G, or d.
struct resolve_gradient_parameters {
    DEVICE_POINTER(const void) g;
    DEVICE_POINTER(const struct affine_pair) affine;     // [lanes], its scales; null: 1
    DEVICE_POINTER(const struct debt_pair) debts;        // [lanes]
    DEVICE_POINTER(const void) x;                        // [pixels][x_stride] of A
    DEVICE_POINTER(void) resolved;
    int32_t pixels, lanes, g_stride, x_stride;
};

// d[pixels][channels] = (dy · weightᵀ) gated by affine(x): G = s·d or G += s·d, and its sums. affine null: no gate, y = dy · weightᵀ of A.
struct pointwise_data_gradient_parameters {
    DEVICE_POINTER(const void) dy;                       // [pixels][outputs] of A
    DEVICE_POINTER(const void) weight;                   // [channels][outputs] of A, as the forward pass reads it
    DEVICE_POINTER(const void) x;                        // [pixels][x_stride]
    DEVICE_POINTER(const struct affine_pair) affine;     // [channels]
    DEVICE_POINTER(const struct batch_moments) moments;  // [channels], of x
    DEVICE_POINTER(void) gradient;                       // G, its first `channels`
    DEVICE_POINTER(void) y;                              // [pixels][channels] of A, where affine is null
    DEVICE_POINTER(struct gate_sums) sums;               // [tiles][channels]
    int32_t pixels, channels, outputs, x_stride, g_stride, accumulates;
};

// partial[parts][channels][outputs] = aᵀ · dy over a part of the pixels, where a = relu(affine(x)), or x where affine is null.
struct pointwise_weight_gradient_parameters {
    DEVICE_POINTER(const void) dy;                       // [pixels][outputs] of A
    DEVICE_POINTER(const void) x;                        // [pixels][x_stride] of A
    DEVICE_POINTER(const struct affine_pair) affine;     // [channels]; null: x as it is
    DEVICE_POINTER(float) partial;
    int32_t pixels, channels, outputs, x_stride;
};

// The three above in one, for a dense layer's 1×1 convolution of at most 128 outputs: dy[pixels][outputs] = scale·d − (constant + slope·y), rounded to
// A, which is not stored; d' = (dy · weightᵀ) gated by affine(x), G += s·d' and the sums of d' over a part of the pixels; and
// partial = relu(affine(x))ᵀ · dy over the same part.
struct pointwise_gradients_parameters {
    DEVICE_POINTER(const void) d;                        // [pixels][outputs] of A: the gradient behind the gate of the batch norm that follows
    DEVICE_POINTER(const void) y;                        // [pixels][outputs] of A: what that batch norm normalises
    DEVICE_POINTER(const struct affine_pair) y_affine;   // [outputs], its scales
    DEVICE_POINTER(const struct debt_pair) debts;        // [outputs]
    DEVICE_POINTER(const void) weight;                   // [channels][outputs] of A, as the forward pass reads it
    DEVICE_POINTER(const void) x;                        // [pixels][x_stride] of A
    DEVICE_POINTER(const struct affine_pair) affine;     // [channels]
    DEVICE_POINTER(const struct batch_moments) moments;  // [channels], of x
    DEVICE_POINTER(void) gradient;                       // G, its first `channels`, added to
    DEVICE_POINTER(float) partial;                       // [parts][channels][outputs]
    DEVICE_POINTER(struct gate_sums) sums;               // [parts][channels]
    int32_t pixels, channels, outputs, x_stride, g_stride, unused;
};

// The same for kernels that copy in bulk. Boxes of d, y, x and gradient are of 64 pixels × 64 lanes, those of the weights of 128 channels × 64 outputs.
struct pointwise_gradients_bulk_parameters {
    struct tensor_map d, y, x, gradient, weight;
    struct pointwise_gradients_parameters given;
    uint64_t unused[2];
};

// d[pixels][channels] of A = (3×3 transposed convolution of dy) gated by affine(y), and its sums.
struct growth_data_gradient_parameters {
    DEVICE_POINTER(const void) dy;                       // [pixels][outputs] of A
    DEVICE_POINTER(const void) weight;                   // [9][channels][outputs] of A, as the forward pass reads it
    DEVICE_POINTER(const void) y;                        // [pixels][channels] of A
    DEVICE_POINTER(const struct affine_pair) affine;     // [channels]
    DEVICE_POINTER(const struct batch_moments) moments;  // [channels], of y
    DEVICE_POINTER(void) d;
    DEVICE_POINTER(struct gate_sums) sums;               // [tiles][channels]
    int32_t pixels, height, width, channels, outputs, unused;
};

// partial[parts][9][channels][outputs] over a part of the pixels: tap by tap, relu(affine(y)) moved by the tap, transposed, times dy.
struct growth_weight_gradient_parameters {
    DEVICE_POINTER(const void) dy;                       // [pixels][outputs] of A
    DEVICE_POINTER(const void) y;                        // [pixels][channels] of A
    DEVICE_POINTER(const struct affine_pair) affine;     // [channels]
    DEVICE_POINTER(float) partial;
    int32_t pixels, height, width, channels, outputs, unused;
};

// The three of a dense layer's 3×3 convolution at once: dy = G − (constant + slope·x), rounded to A; d = (3×3 transposed convolution of dy) gated by
// affine(y), and its sums; and partial, as of growth_weight_gradient_parameters, but of a pixel's activations and what they went into: the sum over
// all parts is the same. outputs = 32; channels are any.
struct growth_gradients_parameters {
    DEVICE_POINTER(const void) g;                        // G from the new channels' first lane on, [pixels][g_stride] of A
    DEVICE_POINTER(const void) x;                        // the new channels, [pixels][x_stride] of A
    DEVICE_POINTER(const struct debt_pair) debts;        // [outputs]: what the new channels owe
    DEVICE_POINTER(const void) weight;                   // [9][channels][outputs] of A, as the forward pass reads it
    DEVICE_POINTER(const void) y;                        // [pixels][channels] of A
    DEVICE_POINTER(const struct affine_pair) affine;     // [channels]
    DEVICE_POINTER(const struct batch_moments) moments;  // [channels], of y
    DEVICE_POINTER(void) d;                              // [pixels][channels] of A
    DEVICE_POINTER(float) partial;                       // [parts][9][channels][outputs]
    DEVICE_POINTER(struct gate_sums) sums;               // [parts][channels]
    int32_t pixels, height, width, channels, outputs, g_stride, x_stride, unused;
};

// partial[parts][channels·64][outputs] over a part of the tiles of all images, depth as in stem_parameters.
struct stem_weight_gradient_parameters {
    DEVICE_POINTER(const struct image_window) images;    // [N]
    DEVICE_POINTER(const float) table;                   // [channels][256]
    DEVICE_POINTER(const void) dy;                       // [N·⌈H/2⌉·⌈W/2⌉][outputs] of A
    DEVICE_POINTER(float) partial;
    int32_t images_count, channels, height, width, outputs, unused;
};

// d[N·H·W][channels] of A: each pooled pixel's gradient goes to the first of its nine that is the largest, gated by affine(x); and its sums.
struct maximum_pool_gradient_parameters {
    DEVICE_POINTER(const void) dy;                       // [N·⌈H/2⌉·⌈W/2⌉][channels] of A
    DEVICE_POINTER(const void) x;                        // [N·H·W][channels] of A
    DEVICE_POINTER(const struct affine_pair) affine;
    DEVICE_POINTER(const struct batch_moments) moments;
    DEVICE_POINTER(void) d;
    DEVICE_POINTER(struct gate_sums) sums;               // [parts][channels]
    int32_t images_count, height, width, channels;
};

// A quarter of each pooled pixel's gradient to its four, gated by affine(x): G = s·d, 0 in an odd last row or column; and the sums of d.
struct mean_pool_gradient_parameters {
    DEVICE_POINTER(const void) dy;                       // [N·⌊H/2⌋·⌊W/2⌋][channels] of A
    DEVICE_POINTER(const void) x;                        // [N·H·W][x_stride] of A
    DEVICE_POINTER(const struct affine_pair) affine;
    DEVICE_POINTER(const struct batch_moments) moments;
    DEVICE_POINTER(void) gradient;                       // G
    DEVICE_POINTER(struct gate_sums) sums;               // [parts][channels]
    int32_t images_count, height, width, channels, x_stride, g_stride;
};

// Binary cross entropy with logits over the known labels, −w₊·y·log p − w₋·(1 − y)·log(1 − p): its sum, and its gradients times the scale.
struct loss_parameters {
    DEVICE_POINTER(const float) logits;                  // [N][labels]
    DEVICE_POINTER(const uint8_t) known;                 // [N][labels]: 0 negative, 1 positive, 2 unknown
    DEVICE_POINTER(const float) positive;                // [labels] w₊
    DEVICE_POINTER(const float) negative;                // [labels] w₋
    DEVICE_POINTER(const double) scale;                  // [1]
    DEVICE_POINTER(float) gradient;                      // [N][labels]
    DEVICE_POINTER(double) sum;                          // [1]
    int32_t images_count, labels;
};

// The classifier's gradients are added to, and each lane's mean is given its own, over the area: share[N][lanes] = Σ gradient · weight / area.
struct classifier_gradient_parameters {
    DEVICE_POINTER(const float) gradient;                // [N][labels]
    DEVICE_POINTER(const float) mean;                    // [N][lanes]
    DEVICE_POINTER(const float) weight;                  // [labels][C]
    DEVICE_POINTER(float) weight_gradient;               // [labels][C], added to
    DEVICE_POINTER(float) bias_gradient;                 // [labels], added to
    DEVICE_POINTER(float) share;
    struct channel_map map;
    int32_t images_count, lanes, feature_channels, labels, area, unused;
};

// G = s·d, where d is an image's share, gated by affine(x) where rectified; and the sums of d.
struct head_gradient_parameters {
    DEVICE_POINTER(const float) share;                   // [N][channels]
    DEVICE_POINTER(const void) x;                        // [N·area][x_stride] of A
    DEVICE_POINTER(const struct affine_pair) affine;
    DEVICE_POINTER(const struct batch_moments) moments;
    DEVICE_POINTER(void) gradient;                       // G
    DEVICE_POINTER(struct gate_sums) sums;               // [parts][channels]
    int32_t images_count, area, channels, x_stride, g_stride, rectified;
};

// From the parts' sums, in double: dβ += Σd, dγ += Σd·(x − mean)/σ, and what the lane owes to this consumer: constant += (s/m)·Σd,
// slope += (s/m)·Σd·(x − mean)/σ², with s = γ/σ, σ = √(variance + ε); and `debts`, what it owes in all so far. Lanes without a channel owe nothing.
struct normalization_gradient_parameters {
    DEVICE_POINTER(const struct gate_sums) sums;         // [parts][lanes]
    DEVICE_POINTER(const struct batch_moments) moments;  // [lanes]
    DEVICE_POINTER(const float) scale;                   // [C] γ
    DEVICE_POINTER(float) scale_gradient;                // [C]
    DEVICE_POINTER(float) shift_gradient;                // [C]
    DEVICE_POINTER(struct debt_sums) owed;               // [lanes]
    DEVICE_POINTER(struct debt_pair) debts;              // [lanes]
    struct channel_map map;
    double epsilon;
    int64_t count;                                       // m: pixels of the batch
    int32_t parts, channels, lanes, accumulates;         // accumulates: adds to `owed`; otherwise it is overwritten
};

// The parts' sum, in double and in their order, added to PyTorch's [K][C][taps].
struct unpack_gradient_parameters {
    DEVICE_POINTER(const float) partial;                 // [parts][taps][channels][outputs]
    DEVICE_POINTER(float) gradient;
    struct channel_map inputs, outputs_map;
    int32_t input_channels, output_channels, channels, outputs, taps, parts;
};

// The first lanes / 8 blocks do the one, the others the other.
struct sums_of_parts_parameters {
    struct normalization_gradient_parameters normalization;  // no lanes: not wanted
    struct unpack_gradient_parameters weights;
};

// The same of the stem's weights: partial [parts][C·64][outputs] to [K][C][7][7].
struct unpack_stem_gradient_parameters {
    DEVICE_POINTER(const float) partial;
    DEVICE_POINTER(float) gradient;
    struct channel_map outputs_map;
    int32_t channels, output_channels, outputs, parts;
};

// squares[blocks] of a range of gradients, in double; a value that is not finite makes its block's not finite.
struct gradient_norm_parameters {
    DEVICE_POINTER(const float) gradient;
    DEVICE_POINTER(double) squares;
    int64_t count;
};

enum { OPTIMIZER_SGD, OPTIMIZER_NESTEROV, OPTIMIZER_ADAM, OPTIMIZER_ADAMW };

// One step of PyTorch's optimizers on a range of parameters, whose gradients become 0 behind it. The gradients' norm is the root of the sum of
// `squares`; where it is not finite nothing is changed, and where it is larger than clip_norm they are multiplied by clip_norm / (norm + 10⁻⁶).
struct optimizer_parameters {
    DEVICE_POINTER(float) values;
    DEVICE_POINTER(float) gradient;
    DEVICE_POINTER(float) first;                         // SGD's velocity, Adam's mean
    DEVICE_POINTER(float) second;                        // Adam's mean of squares
    DEVICE_POINTER(const double) squares;                // [squares_count]
    DEVICE_POINTER(double) norm;                         // [1]
    double learning_rate, weight_decay;
    double clip_norm;                                    // infinite: no clipping
    double momentum;                                     // SGD's; Adam's β₁
    double beta2, epsilon;
    double correction1, correction2;                     // Adam's 1 − β₁ᵗ, 1 − β₂ᵗ
    int64_t count;
    int32_t kind, is_first;                              // is_first: of this range, SGD's velocity is the gradient then
    int32_t squares_count, unused;
};

// values[0 ..< count] are divided by values[count]: of sums over processes to means over those that had images, at least one of them.
struct mean_over_ranks_parameters {
    DEVICE_POINTER(float) values;
    int64_t count;
};
