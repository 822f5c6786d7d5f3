#pragma once
#include "pixel_tables.h"

/// Output `o` of inputs that are `step` bytes apart.
static uint8_t weigh(const uint8_t *in, ptrdiff_t step, const ck_weights *w, ptrdiff_t o) {
  // One half.
  int32_t sum = 1 << 21;
  for (ptrdiff_t n = 0; n < 2 * w->pairs; n++) {
    ptrdiff_t place = 2 * o * w->pairs + n, i = 2 * w->first[o] + n;
    if (i < w->inputs) sum += (2048 * w->high[place] + w->low[place]) * in[i * step];
  }
  return (uint8_t)(sum >> 22);
}

static void resize_rows(
    uint8_t *out, ptrdiff_t out_pitch, const uint8_t *in, ptrdiff_t in_pitch, ptrdiff_t rows, ptrdiff_t channels,
    const ck_weights *weights, uint8_t *workspace) {
  (void)workspace;
  for (ptrdiff_t y = 0; y < rows; y++)
    for (ptrdiff_t o = 0; o < weights->outputs; o++)
      for (ptrdiff_t c = 0; c < channels; c++)
        out[y * out_pitch + o * channels + c] = weigh(in + y * in_pitch + c, channels, weights, o);
}

static void resize_columns(
    uint8_t *out, ptrdiff_t out_pitch, const uint8_t *in, ptrdiff_t in_pitch, ptrdiff_t columns,
    const ck_weights *weights, uint8_t *workspace) {
  (void)workspace;
  for (ptrdiff_t o = 0; o < weights->outputs; o++)
    for (ptrdiff_t x = 0; x < columns; x++) out[o * out_pitch + x] = weigh(in + x, in_pitch, weights, o);
}
