#pragma once
#include <stdint.h>

#include "kernels.h"

#pragma clang assume_nonnull begin

/// Of what inputs each output along an axis of an image is made, and with what weights, in units of 2⁻²². All outputs have as many *pairs* of
/// neighbouring inputs, an even one and the next; those that do not matter have weights 0, and the last may lack its second input.
typedef struct {
  ptrdiff_t outputs;
  ptrdiff_t inputs;
  /// Pairs of an output, of those that the inputs are.
  ptrdiff_t pairs;
  /// The first pair of each output: it is inputs 2 · first and 2 · first + 1.
  const int32_t *first;
  /// [outputs][pairs][2], not negative: the weight is 2048 · high + low, and low is less than 2048. An output's add up to less than 2²³.
  const int16_t *high;
  const int16_t *low;
} ck_weights;

/// Operations on the pixels of images, for each instruction set. All levels give the same bytes.
///
/// Every argument that is not const is overwritten. Nothing is allocated; arrays of one call do not overlap.
typedef struct {
  /// Undoes PNG's filters (PNG specification, third edition, section 9) of pixels of `unit` bytes, 1 or 4, in place: `rows` are `height`
  /// times a filter's type and `width` pixels, and become height × width pixels without gaps. Returns 0, or 1 where a type is
  /// none of the five; the rows are anything then. `workspace`: `ck_unfilter_workspace(width * unit)` bytes.
  int (*unfilter)(uint8_t *rows, ptrdiff_t width, ptrdiff_t height, ptrdiff_t unit, uint8_t *workspace);
  /// Makes each row's outputs of its inputs: out[y][o][c] = ⌊½ + Σ_i weight[o][i] · in[y][i][c]⌋, which the weights keep below 256. Pixels are
  /// `channels` bytes, 1 or 3; pitches are bytes. `workspace`: `ck_resize_workspace(inputs)` bytes.
  void (*resize_rows)(
    uint8_t *out, ptrdiff_t out_pitch, const uint8_t *in, ptrdiff_t in_pitch, ptrdiff_t rows, ptrdiff_t channels,
    const ck_weights *weights, uint8_t *workspace);
  /// The same from the top down: out[o][x] = ⌊½ + Σ_i weight[o][i] · in[i][x]⌋, of `columns` bytes x.
  void (*resize_columns)(
    uint8_t *out, ptrdiff_t out_pitch, const uint8_t *in, ptrdiff_t in_pitch, ptrdiff_t columns,
    const ck_weights *weights, uint8_t *workspace);
  /// row += above + share · (below − above): what lies between two rows of a map, added.
  void (*add_mixed)(float *row, const float *above, const float *below, float share, ptrdiff_t count);
  /// out = ⌊½ + factor · (row − low)⌋, kept within 0 … 255.
  void (*gray8)(uint8_t *out, const float *row, float low, float factor, ptrdiff_t count);
  /// The same of 16 bits, kept within 0 … 65535, the high byte of each first.
  void (*gray16)(uint8_t *out, const float *row, float low, float factor, ptrdiff_t count);
} ck_pixels;

/// The operations of `level`, or of the best before it that this processor can run.
ck_pixels ck_pixels_of(ck_level level);

/// Bytes; `length`: those of a row.
ptrdiff_t ck_unfilter_workspace(ptrdiff_t length);
ptrdiff_t ck_resize_workspace(ptrdiff_t inputs);

#pragma clang assume_nonnull end
