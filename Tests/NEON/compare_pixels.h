// Compares a level's operations on 8-bit pixels with the reference's, byte by byte, behind the outputs too.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pixels.h"

enum { PIXEL_GUARD = 64 };

static int random_below(int bound) { return (rand() >> 4) % bound; }

static void fill_randomly(uint8_t *bytes, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) bytes[i] = (uint8_t)random_below(256);
}

/// `count` bytes and a guard behind them, all the same for each seed.
static uint8_t *random_bytes(ptrdiff_t count, unsigned seed) {
  uint8_t *bytes = malloc((size_t)count + PIXEL_GUARD);
  srand(seed);
  fill_randomly(bytes, count + PIXEL_GUARD);
  return bytes;
}

/// Weights of `outputs` outputs that add up to 2²² each, cut at random places.
static ck_weights random_weights(ptrdiff_t inputs, ptrdiff_t outputs) {
  ptrdiff_t all = (inputs + 1) / 2, pairs = 1 + random_below((int)all), count = outputs * pairs * 2;
  int32_t *first = malloc((size_t)outputs * sizeof *first);
  int16_t *high = calloc((size_t)count, sizeof *high), *low = calloc((size_t)count, sizeof *low);
  for (ptrdiff_t o = 0; o < outputs; o++) {
    first[o] = random_below((int)(all - pairs) + 1);
    int32_t rest = 1 << 22;
    for (ptrdiff_t n = 0; n < 2 * pairs && 2 * first[o] + n < inputs; n++) {
      int32_t weight = random_below(rest + 1);
      rest -= weight;
      high[2 * o * pairs + n] = (int16_t)(weight >> 11);
      low[2 * o * pairs + n] = (int16_t)(weight & 2047);
    }
  }
  return (ck_weights){outputs, inputs, pairs, first, high, low};
}

static void release_weights(ck_weights *w) {
  free((void *)w->first);
  free((void *)w->high);
  free((void *)w->low);
}

/// Returns whether they differ, and says so.
static int differ(const char *what, uint8_t *found, uint8_t *expected, ptrdiff_t count, ptrdiff_t width, ptrdiff_t height) {
  int is_different = memcmp(found, expected, (size_t)count + PIXEL_GUARD) != 0;
  if (is_different) printf("%s of %td × %td: another byte\n", what, width, height);
  free(found);
  free(expected);
  return is_different;
}

static int compare_unfilter(
    const ck_pixels *mine, const ck_pixels *reference, ptrdiff_t width, ptrdiff_t height, ptrdiff_t unit) {
  ptrdiff_t length = width * unit, count = height * (length + 1);
  uint8_t *found = random_bytes(count, (unsigned)width), *workspace = malloc((size_t)ck_unfilter_workspace(length));
  for (ptrdiff_t y = 0; y < height; y++) found[y * (length + 1)] %= 5;
  uint8_t *expected = malloc((size_t)count + PIXEL_GUARD);
  memcpy(expected, found, (size_t)count + PIXEL_GUARD);
  int failed = mine->unfilter(found, width, height, unit, workspace);
  failed += reference->unfilter(expected, width, height, unit, workspace);
  free(workspace);
  // Behind the pixels is what is left of the filtered rows, which is anything.
  memset(found + height * length, 0, (size_t)height);
  memset(expected + height * length, 0, (size_t)height);
  return differ("unfilter", found, expected, count, width, height) | failed;
}

static int compare_resize(const ck_pixels *mine, const ck_pixels *reference, ptrdiff_t width, ptrdiff_t height, int channels) {
  uint8_t *in = random_bytes(width * height * channels, 1);
  ptrdiff_t outputs = 1 + random_below(40);
  ck_weights across = random_weights(width, outputs), down = random_weights(height, outputs);
  uint8_t *workspace = malloc((size_t)ck_resize_workspace(width > height ? width : height));
  ptrdiff_t row = width * channels, out_row = outputs * channels, count = out_row * height;
  uint8_t *found = random_bytes(count, 2), *expected = random_bytes(count, 2);
  mine->resize_rows(found, out_row, in, row, height, channels, &across, workspace);
  reference->resize_rows(expected, out_row, in, row, height, channels, &across, workspace);
  int failed = differ("resize_rows", found, expected, count, width, height);
  count = outputs * row;
  found = random_bytes(count, 3), expected = random_bytes(count, 3);
  mine->resize_columns(found, row, in, row, row, &down, workspace);
  reference->resize_columns(expected, row, in, row, row, &down, workspace);
  failed |= differ("resize_columns", found, expected, count, width, height);
  release_weights(&across);
  release_weights(&down);
  free(workspace);
  free(in);
  return failed;
}

/// Rows of maps: `count` values of −4 … 4.
static float *random_row(ptrdiff_t count) {
  float *row = malloc((size_t)count * sizeof *row);
  for (ptrdiff_t i = 0; i < count; i++) row[i] = (float)random_below(8001) / 1000 - 4;
  return row;
}

static int compare_map_rows(const ck_pixels *mine, const ck_pixels *reference, ptrdiff_t count) {
  float *above = random_row(count), *below = random_row(count), *row = random_row(count), *other = random_row(count);
  memcpy(other, row, (size_t)count * sizeof *row);
  mine->add_mixed(row, above, below, 0.3f, count);
  reference->add_mixed(other, above, below, 0.3f, count);
  int failed = memcmp(row, other, (size_t)count * sizeof *row) != 0;
  if (failed) printf("add_mixed of %td: another bit\n", count);
  uint8_t *found = random_bytes(count, 1), *expected = random_bytes(count, 1);
  mine->gray8(found, row, -3, 40, count);
  reference->gray8(expected, row, -3, 40, count);
  failed |= differ("gray8", found, expected, count, count, 1);
  found = random_bytes(2 * count, 2), expected = random_bytes(2 * count, 2);
  mine->gray16(found, row, -3, 9000, count);
  reference->gray16(expected, row, -3, 9000, count);
  failed |= differ("gray16", found, expected, 2 * count, count, 1);
  free(above), free(below), free(row), free(other);
  return failed;
}

/// Returns how many comparisons failed.
static int compare_pixels(ck_level level) {
  ck_pixels reference = ck_pixels_of(CK_REFERENCE), mine = ck_pixels_of(level);
  int failed = mine.unfilter == reference.unfilter, comparisons = 0;
  for (ptrdiff_t width = 1; width <= 120; width++)
    for (ptrdiff_t height = 1 + width % 3; height <= 140; height += 17 + width % 5, comparisons += 4) {
      failed += compare_unfilter(&mine, &reference, width, height, 1);
      failed += compare_unfilter(&mine, &reference, width, height, 4);
      failed += compare_resize(&mine, &reference, width, height, 1);
      failed += compare_resize(&mine, &reference, width, height, 3);
    }
  for (ptrdiff_t count = 1; count <= 100; count++, comparisons++) failed += compare_map_rows(&mine, &reference, count);
  printf("%s, pixels: %d comparisons, %d differ\n", ck_level_name(level), comparisons, failed);
  return failed;
}
