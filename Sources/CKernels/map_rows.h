// Rows of pictures of maps: plain loops, which the compiler makes vectors of for each instruction set. Nothing is contracted, so that all of
// them give the same bits.
#pragma once
#include "pixel_tables.h"

#pragma clang fp contract(off)

static void add_mixed(float *row, const float *above, const float *below, float share, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) row[i] += above[i] + share * (below[i] - above[i]);
}

static void gray8(uint8_t *out, const float *row, float low, float factor, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    float value = (row[i] - low) * factor + 0.5f;
    out[i] = (uint8_t)(int32_t)(value < 0 ? 0 : value > 255 ? 255 : value);
  }
}

static void gray16(uint8_t *out, const float *row, float low, float factor, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    float value = (row[i] - low) * factor + 0.5f;
    uint16_t gray = (uint16_t)(int32_t)(value < 0 ? 0 : value > 65535 ? 65535 : value);
    out[2 * i] = (uint8_t)(gray >> 8);
    out[2 * i + 1] = (uint8_t)gray;
  }
}
