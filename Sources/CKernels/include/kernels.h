#pragma once
#include <stddef.h>

/// One operation on plain arrays, for each instruction set and each precision of the activations.
///
/// Letters. A is the activations' precision, `float` or bf16 (`ck_bf16`); an array of A is a `void *`. A *pixel* is 32 consecutive
/// elements: one pixel's values of 32 channels. A *slab* is a run of pixels: 32 channels of a map (or of many), in row order. A
/// *segment* is a place to read from, given as an offset: a slab for a 1×1 convolution, a row of the kernel for the stem. Pitches,
/// strides and offsets count elements of the array that they are in. What is computed with is float: an element of A is widened
/// where it is read and rounded (to the nearest, ties to even) where it is written. Numbers below the normal range may count as zero, as
/// the instructions of AVX512_BF16 have it.
///
/// A *word* is what a product takes at once, 32 bits: a float, or two values of bf16 that are two terms of a sum. So weights of A
/// are [depth / 2][32][2] where a float's are [depth][32].
///
/// Channels that a slab has but the network has not carry zero weights, scale and shift, so they stay zero.
///
/// Every argument that is not const is written: *overwritten*, or *accumulated* where the comment says so. Nothing is allocated;
/// arrays may have any alignment that their elements have (words in bf16: 2); arrays of one call do not overlap.
enum { CK_LANES = 32 };

/// The upper half of a float's bits.
typedef unsigned short ck_bf16;

#pragma clang assume_nonnull begin

/// Memory that will be needed soon and is brought into the second cache while sums are made: `pieces` pieces of `lines` lines of 64
/// bytes, `pitch` bytes apart. Only speed depends on it; no lines: nothing is brought.
typedef struct {
  const char *_Nullable start;
  ptrdiff_t lines;
  ptrdiff_t pieces;
  ptrdiff_t pitch;
} ck_fetch;

/// `rows` × `width` output pixels of one slab, each a sum over `segments` × `depth` inputs:
/// out[r][q][k] = Σ_s Σ_d input[segment[s] + r·input_pitch + q·stride + d] · weights[s][d][k].
typedef struct {
  /// A
  const void *input;
  const ptrdiff_t *segment;
  ptrdiff_t segments;
  /// Inputs of a segment: 32, or 7 · channels in the stem; in bf16 even.
  ptrdiff_t depth;
  /// From an output pixel's input to the next one's: 32, or 2 · channels in the stem.
  ptrdiff_t stride;
  ptrdiff_t input_pitch;
  /// A, [segments][depth][32] or, in bf16, [segments][depth / 2][32][2].
  const void *weights;
  /// A or float.
  void *output;
  ptrdiff_t output_pitch;
  ptrdiff_t rows;
  ptrdiff_t width;
  ck_fetch fetch;
} ck_tile;

/// What a data gradient d passes through on its way out: the gate of the ReLU, open where scale · x + shift > 0, and the sums that batch
/// norm's backward needs. All of 32 channels, but x.
typedef struct {
  /// What was normalised, A; laid out as the output is.
  const void *x;
  /// μ
  const float *mean;
  /// Also the factor of d in the output.
  const float *scale;
  const float *shift;
  /// Σd, accumulated.
  float *sum;
  /// Σd·(x − μ), accumulated.
  float *product;
} ck_gate;

typedef struct {
  /// output (A) = the sum.
  void (*store)(const ck_tile *tile);
  /// output (float) = the sum.
  void (*store_float)(const ck_tile *tile);
  /// output (A) = max(0, the sum + bias[k]).
  void (*store_rectified)(const ck_tile *tile, const float *bias);
  /// output (A) = y = the sum; accumulates sum[k] += Σ(y − pivot), square[k] += Σ(y − pivot)², of y before it is rounded.
  void (*store_summed)(const ck_tile *tile, const float *pivot, float *sum, float *square);
  /// output (float) += scale · d, where d = the sum where the gate is open, else 0; accumulates the gate's sums.
  void (*accumulate_gated)(const ck_tile *tile, const ck_gate *gate);
} ck_convolution;

/// weights[d][k] += Σ_r Σ_q input[r·input_pitch + q·stride + d] · gradient[r·gradient_pitch + 32·q + k], d in 0 ..< depth.
/// `depth` is a multiple of 8. All counts are of words, and so are offsets: in bf16 each is a *pair*, the same channel of two
/// pixels (`pair`), and q counts pairs.
typedef struct {
  const void *input;
  ptrdiff_t input_pitch;
  ptrdiff_t stride;
  ptrdiff_t depth;
  const void *gradient;
  ptrdiff_t gradient_pitch;
  ptrdiff_t rows;
  ptrdiff_t width;
  /// [depth][32], accumulated.
  float *weights;
  ck_fetch fetch;
} ck_outer_product;

/// out = g − constant − slope · x, for each of 32 channels.
typedef struct {
  const float *constant;
  const float *slope;
} ck_line;

typedef struct {
  /// out[channels · x + c] = planes[c · plane + x]: one row of an image, to A.
  void (*interleave)(void *out, const float *planes, ptrdiff_t channels, ptrdiff_t plane, ptrdiff_t width);
  /// A to float.
  void (*widen)(float *out, const void *x, ptrdiff_t count);
  /// out = max(0, scale · x + shift), A to A.
  void (*normalize)(void *out, const void *x, const float *scale, const float *shift, ptrdiff_t pixels);
  /// out is the mean of 2 × 2 pixels of max(0, scale · x + shift), A to A: `rows` × `out_width` of them, from rows of `width` pixels.
  void (*normalize_pooled)(
    void *out, const void *x, const float *scale, const float *shift, ptrdiff_t rows, ptrdiff_t out_width,
    ptrdiff_t width);
  /// out = g − constant − slope · x, all A.
  void (*resolve)(void *out, const void *g, const void *x, const ck_line *line, ptrdiff_t pixels);
  /// The same of a gradient of floats.
  void (*resolve_float)(void *out, const float *g, const void *x, const ck_line *line, ptrdiff_t pixels);
  /// Words of two values each for the weight gradient: out[2 i] = low[i], out[2 i + 1] = high[i], i in 0 ..< count. Where A is float, a
  /// word is one value, and nothing is written.
  void (*pair)(void *out, const void *low, const void *high, ptrdiff_t count);
  /// Pairs of each two of `pixels` pixels of x, the last of an odd number with a pixel of zeros: out has room for it. out may be x. Where A is
  /// float, nothing is written.
  void (*pair_pixels)(void *out, const void *x, ptrdiff_t pixels);
  /// out[i][o] = weights[i · input_stride + o · output_stride] of `inputs` × `outputs`, at most 32 outputs, zero elsewhere, as a
  /// convolution takes them; out, of A, has `depth` rows, at least `inputs`.
  void (*pack_block)(
    void *out, const float *weights, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t input_stride,
    ptrdiff_t output_stride, ptrdiff_t depth);
  /// taps [9][32 × 32], [t][i][o] = weights[i · input_stride + o · output_stride + t], or 8 − t where `turned`, of `inputs` × `outputs`, at
  /// most 32 × 32, zero elsewhere.
  void (*spread_taps)(
    float *taps, const float *weights, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t input_stride,
    ptrdiff_t output_stride, int turned);
  /// Accumulates gradient[i · input_stride + o · output_stride] += Σ_g blocks[g · group_stride + 32 · i + o], groups in order.
  void (*unpack_block)(
    float *gradient, const float *blocks, ptrdiff_t groups, ptrdiff_t group_stride, ptrdiff_t inputs,
    ptrdiff_t outputs, ptrdiff_t input_stride, ptrdiff_t output_stride);
} ck_packing;

/// Tiles of 2 × 2 outputs of a 3 × 3 convolution with padding 1: `count` of them from `first` on, row by row, of a map of
/// `height` × `width` pixels, which they cover from its first pixel on. The last of a row or column may hang over.
typedef struct {
  ptrdiff_t height;
  ptrdiff_t width;
  ptrdiff_t first;
  ptrdiff_t count;
} ck_tiles;

/// Winograd's minimal filtering F(2 × 2, 3 × 3): y = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ d B)] A makes 2 × 2 outputs y from 4 × 4 inputs d by 16 products
/// where the definition takes 36 (Lavin & Gray, Fast Algorithms for Convolutional Neural Networks, 2016, section 4.1: the
/// matrices). The products of each of the 16 *places* are a 1 × 1 convolution of its own; these are the transforms around them.
///
/// Transformed tiles are [16 places][count] pixels, `pitch` elements from place to place, of A where they are made here and of float
/// where they are products (m); maps are [height][width] pixels. What lies outside of a map counts as zero, and is not written.
typedef struct {
  /// out = Bᵀ d B of d = max(0, scale · x + shift).
  void (*transform_normalized)(
    void *out, ptrdiff_t pitch, const void *x, const float *scale, const float *shift, const ck_tiles *tiles);
  /// out = Bᵀ d B of d = g − constant − slope · x.
  void (*transform_resolved)(
    void *out, ptrdiff_t pitch, const float *g, const void *x, const ck_line *line, const ck_tiles *tiles);
  /// out = A d Aᵀ of a tile's own 2 × 2 pixels of d = g − constant − slope · x.
  void (*spread_resolved)(
    void *out, ptrdiff_t pitch, const float *g, const void *x, const ck_line *line, const ck_tiles *tiles);
  /// out (A) = Aᵀ m A.
  void (*gather)(void *out, const float *m, ptrdiff_t pitch, const ck_tiles *tiles);
  /// out (A) = y = Aᵀ m A; accumulates sum[k] += Σ(y − pivot), square[k] += Σ(y − pivot)², of y before it is rounded.
  void (*gather_summed)(
    void *out, const float *m, ptrdiff_t pitch, const float *pivot, float *sum, float *square, const ck_tiles *tiles);
  /// out (A) = scale · d, where d = Aᵀ m A where the gate is open, else 0; accumulates the gate's sums.
  void (*gather_gated)(void *out, const float *m, ptrdiff_t pitch, const ck_gate *gate, const ck_tiles *tiles);
  /// [16 places][32 × 32] of A = G w Gᵀ of taps w: [9][32 × 32], each weight for itself; as a convolution takes them.
  void (*transform_weights)(void *out, ptrdiff_t pitch, const float *taps);
  /// taps [9][32 × 32] = Gᵀ u G of the sum u of `groups` gradients [16 places][32 × 32], `group_stride` floats apart.
  void (*gather_weights)(
    float *taps, const float *places, ptrdiff_t pitch, ptrdiff_t groups, ptrdiff_t group_stride);
} ck_winograd;

typedef struct {
  /// One row of max(0, scale · x + shift) pooled 3 × 3 with stride 2 and padding 1, A to A, from three rows of `width` pixels, what is not a
  /// number being the largest; the first and the last may lie outside of the map: NULL. out has `out_width` = (width + 1) / 2 pixels.
  void (*max_pool)(
    void *out, const void *_Nullable top, const void *middle, const void *_Nullable bottom, const float *scale,
    const float *shift, ptrdiff_t width);
  /// Gives each pooled pixel's gradient to the first of its window's largest, if that is positive: d is [height][width]
  /// and is overwritten; `pooled` and its gradient g are [(height + 1) / 2][(width + 1) / 2]. All A.
  void (*max_unpool)(
    void *d, const void *x, const void *pooled, const void *g, const float *scale, const float *shift,
    ptrdiff_t height, ptrdiff_t width);
  /// Gives each pooled pixel's gradient g to its 2 × 2 pixels by quarters, through the gate: out = scale · d, accumulates the gate's
  /// sums. `rows` × `out_width` pooled pixels; a last odd column of out is zeroed.
  void (*average_unpool)(
    float *out, const float *g, const ck_gate *gate, ptrdiff_t rows, ptrdiff_t out_width, ptrdiff_t width);
  /// sum[k] = Σ max(floor, scale · x + shift).
  void (*head_sum)(
    float *sum, const void *x, const float *scale, const float *shift, float floor, ptrdiff_t pixels);
  /// d = gradient[k] where scale · x + shift > floor, else 0; out = scale · d, accumulates the gate's sums.
  void (*head_unpool)(float *out, const float *gradient, float floor, const ck_gate *gate, ptrdiff_t pixels);
  /// Accumulates sum[k] += Σ(x − pivot), square[k] += Σ(x − pivot)².
  void (*sums)(const void *x, const float *pivot, float *sum, float *square, ptrdiff_t pixels);
  /// d (A) ← scale · d; accumulates the gate's sums of what d was, whether the gate is open or not.
  void (*scale_summed)(void *d, const ck_gate *gate, ptrdiff_t pixels);
} ck_pooling;

typedef struct {
  float gradient_scale;
  float decay;
  float rate;
  float momentum;
  /// Whether the step looks ahead, and whether it is the first (then v = g).
  int nesterov;
  int first_step;
} ck_sgd_step;

typedef struct {
  float gradient_scale;
  /// λ added to the gradient (Adam), or 0.
  float decay;
  /// 1 − rate · λ, by which weights shrink (AdamW), or 1.
  float shrink;
  float beta1, beta2;
  /// 1 − β₁, 1 − β₂.
  float rest1, rest2;
  /// rate / (1 − β₁ᵗ), √(1 − β₂ᵗ).
  float step_size, root;
  float epsilon;
} ck_adam_step;

typedef struct {
  /// Σx² in double, in an order that depends on count only.
  double (*sum_of_squares)(const float *x, ptrdiff_t count);
  /// g = gradient_scale · gradients + decay · w; v = momentum · v + g; w −= rate · (v, or g + momentum · v).
  void (*sgd)(
    float *weights, float *velocity, const float *gradients, const ck_sgd_step *step, ptrdiff_t count);
  /// m = β₁ · m + (1 − β₁) · g; v = β₂ · v + (1 − β₂) · g²; w −= step_size · m / (√v / root + epsilon).
  void (*adam)(
    float *weights, float *first, float *second, const float *gradients, const ck_adam_step *step, ptrdiff_t count);
} ck_optimizer;

/// Every operation at one level and precision.
typedef struct {
  ck_convolution convolution;
  void (*accumulate_outer_product)(const ck_outer_product *product);
  ck_packing packing;
  ck_winograd winograd;
  ck_pooling pooling;
  ck_optimizer optimizer;
  /// Multiplies and adds in registers, `rounds` times: what the others' speed is a share of. Returns how many operations that were;
  /// `sums` are 64 floats, read and overwritten.
  double (*multiply_add)(float *sums, ptrdiff_t rounds);
} ck_kernels;

/// Of the activations: what A is.
typedef enum { CK_FP32 = 0, CK_BF16 = 1 } ck_precision;

/// Instruction sets, each with all before it that this kind of processor has. AVX-512 with BF16 differs from AVX-512 in precision bf16 only,
/// whose products the others make of floats.
typedef enum { CK_REFERENCE = 0, CK_NEON = 1, CK_AVX2 = 2, CK_AVX512 = 3, CK_AVX512_BF16 = 4 } ck_level;

/// How many levels there are.
enum { CK_LEVELS = 5 };

/// Whether this processor can run `level`.
int ck_can_run(ck_level level);

/// The best level that this processor can run.
ck_level ck_best_level(void);

/// The kernels of `level`, or of the best before it that this processor can run: the reference's, replaced where a better one exists.
ck_kernels ck_kernels_of(ck_level level, ck_precision precision);

/// The level's name, such as `AVX-512`.
const char *ck_level_name(ck_level level);

#pragma clang assume_nonnull end
