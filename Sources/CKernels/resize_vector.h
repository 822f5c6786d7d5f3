// Resizing, 16 lanes at a time: 16 rows, or the channels of five, where rows are resized; 16 columns where columns are. The inputs of the
// lanes are packed into the workspace, [pair][lane][2]; then both are the same: each output is a sum of products of packed pairs and
// pairs of weights. A weight's 22 bits are taken in two parts, for which there are instructions.
#pragma once
#include "pixel_vector.h"

enum { CK_SUM_VECTORS = CK_BYTES / CK_SUM_LANES, CK_PAIR_BYTES = 2 * CK_BYTES };

typedef int32_t sums __attribute__((vector_size(CK_SUM_LANES * 4)));
typedef int16_t words __attribute__((vector_size(CK_SUM_LANES * 4)));
typedef uint8_t pair_bytes __attribute__((vector_size(CK_SUM_LANES * 2), aligned(1)));
typedef uint8_t lane_bytes __attribute__((vector_size(CK_SUM_LANES), aligned(1)));
typedef uint16_t units __attribute__((vector_size(16)));

/// sum + x[2 l] · w[0] + x[2 l + 1] · w[1] in each lane l.
CK_INLINE sums add_products(sums sum, words x, const int16_t *w) {
#if defined(__x86_64__)
  int32_t pair;
  memcpy(&pair, w, sizeof pair);
#if CK_SUM_LANES == 16
  return sum + (sums)_mm512_madd_epi16((__m512i)x, _mm512_set1_epi32(pair));
#else
  return sum + (sums)_mm256_madd_epi16((__m256i)x, _mm256_set1_epi32(pair));
#endif
#else
  // The halves of each 32 bits, as the others' instructions take them: the first is the lower one.
  sums both = (sums)x;
  return sum + (both << 16 >> 16) * w[0] + (both >> 16) * w[1];
#endif
}

/// 16 lanes of one output.
CK_INLINE void weigh(uint8_t *out, const uint8_t *packed, const int16_t *high, const int16_t *low, ptrdiff_t pairs) {
  sums h[CK_SUM_VECTORS] = {0}, l[CK_SUM_VECTORS] = {0};
  for (ptrdiff_t j = 0; j < pairs; j++) {
    _Pragma("clang loop unroll(full)") for (int v = 0; v < CK_SUM_VECTORS; v++) {
      const uint8_t *at = packed + j * CK_PAIR_BYTES + v * 2 * CK_SUM_LANES;
      words x = __builtin_convertvector(*(const pair_bytes *)at, words);
      h[v] = add_products(h[v], x, high + 2 * j);
      l[v] = add_products(l[v], x, low + 2 * j);
    }
  }
  _Pragma("clang loop unroll(full)") for (int v = 0; v < CK_SUM_VECTORS; v++) {
    sums rounded = (h[v] * 2048 + l[v] + (1 << 21)) >> 22;
    *(lane_bytes *)(out + v * CK_SUM_LANES) = __builtin_convertvector(rounded, lane_bytes);
  }
}

/// Where the packed pairs and the weights of output `o` stand.
CK_INLINE void weigh_output(uint8_t *out, const uint8_t *packed, const ck_weights *w, ptrdiff_t o) {
  ptrdiff_t place = 2 * o * w->pairs;
  weigh(out, packed + w->first[o] * CK_PAIR_BYTES, w->high + place, w->low + place, w->pairs);
}

/// The first `count` bytes at p, at most 16, and zeros.
CK_INLINE bytes load_part(const uint8_t *p, ptrdiff_t count) {
  if (count >= CK_BYTES) return load_bytes(p);
  uint8_t part[CK_BYTES] = {0};
  memcpy(part, p, (size_t)count);
  return load_bytes(part);
}

CK_INLINE void store_part(uint8_t *p, const uint8_t *from, ptrdiff_t count) {
  if (count >= CK_BYTES) store_bytes(p, load_bytes(from));
  else memcpy(p, from, (size_t)count);
}

static void resize_columns(
    uint8_t *out, ptrdiff_t out_pitch, const uint8_t *in, ptrdiff_t in_pitch, ptrdiff_t columns,
    const ck_weights *weights, uint8_t *workspace) {
  for (ptrdiff_t x = 0; x < columns; x += CK_BYTES) {
    ptrdiff_t count = columns - x;
    for (ptrdiff_t i = 0; i < weights->inputs; i += 2) {
      const uint8_t *row = in + i * in_pitch + x;
      bytes a = load_part(row, count), b = i + 1 < weights->inputs ? load_part(row + in_pitch, count) : a;
      store_bytes(workspace + i * CK_BYTES, low_pairs(a, b));
      store_bytes(workspace + i * CK_BYTES + CK_BYTES, high_pairs(a, b));
    }
    for (ptrdiff_t o = 0; o < weights->outputs; o++) {
      uint8_t lanes[CK_BYTES];
      weigh_output(lanes, workspace, weights, o);
      store_part(out + o * out_pitch + x, lanes, count);
    }
  }
}

/// Rows of 8 units of 2 bytes become columns.
CK_INLINE void transpose_pairs(units *rows) {
  _Pragma("clang loop unroll(full)") for (int round = 0; round < 3; round++) {
    units dealt[8];
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 4; i++) {
      dealt[2 * i] = __builtin_shufflevector(rows[i], rows[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      dealt[2 * i + 1] = __builtin_shufflevector(rows[i], rows[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    memcpy(rows, dealt, sizeof dealt);
  }
}

/// Gray: lanes are rows; where there are fewer than 16, the last one is there more than once.
CK_INLINE void pack_rows(uint8_t *packed, const uint8_t *in, ptrdiff_t pitch, ptrdiff_t rows, ptrdiff_t inputs) {
  for (ptrdiff_t i = 0; i < inputs; i += CK_BYTES) {
    for (int half = 0; half < 2; half++) {
      units pairs[8];
      for (ptrdiff_t k = 0; k < 8; k++) {
        ptrdiff_t row = 8 * half + k < rows ? 8 * half + k : rows - 1;
        pairs[k] = (units)load_part(in + row * pitch + i, inputs - i);
      }
      transpose_pairs(pairs);
      for (ptrdiff_t j = 0; j < 8; j++)
        store_bytes(packed + (i / 2 + j) * CK_PAIR_BYTES + half * CK_BYTES, (bytes)pairs[j]);
    }
  }
}

static void resize_gray_rows(
    uint8_t *out, ptrdiff_t out_pitch, const uint8_t *in, ptrdiff_t in_pitch, ptrdiff_t rows,
    const ck_weights *weights, uint8_t *workspace) {
  for (ptrdiff_t y = 0; y < rows; y += CK_BYTES) {
    ptrdiff_t count = rows - y < CK_BYTES ? rows - y : CK_BYTES;
    pack_rows(workspace, in + y * in_pitch, in_pitch, count, weights->inputs);
    for (ptrdiff_t o = 0; o < weights->outputs; o += CK_BYTES) {
      ptrdiff_t outputs = weights->outputs - o < CK_BYTES ? weights->outputs - o : CK_BYTES;
      bytes lanes[CK_BYTES] = {0};
      for (ptrdiff_t n = 0; n < outputs; n++) weigh_output((uint8_t *)&lanes[n], workspace, weights, o + n);
      transpose(lanes);
      for (ptrdiff_t k = 0; k < count; k++)
        store_part(out + (y + k) * out_pitch + o, (const uint8_t *)&lanes[k], outputs);
    }
  }
}

/// Colours: lanes are the channels of five rows, and one is left over.
static void resize_colour_rows(
    uint8_t *out, ptrdiff_t out_pitch, const uint8_t *in, ptrdiff_t in_pitch, ptrdiff_t rows,
    const ck_weights *weights, uint8_t *workspace) {
  enum { CHANNELS = 3, ROWS = CK_BYTES / CHANNELS };
  for (ptrdiff_t y = 0; y < rows; y += ROWS) {
    ptrdiff_t count = rows - y < ROWS ? rows - y : ROWS;
    memset(workspace, 0, (size_t)ck_resize_workspace(weights->inputs));
    for (ptrdiff_t i = 0; i < weights->inputs; i++)
      for (ptrdiff_t k = 0; k < count; k++)
        for (ptrdiff_t c = 0; c < CHANNELS; c++)
          workspace[i / 2 * CK_PAIR_BYTES + 2 * (k * CHANNELS + c) + i % 2] = in[(y + k) * in_pitch + i * CHANNELS + c];
    for (ptrdiff_t o = 0; o < weights->outputs; o++) {
      uint8_t lanes[CK_BYTES];
      weigh_output(lanes, workspace, weights, o);
      for (ptrdiff_t k = 0; k < count; k++)
        memcpy(out + (y + k) * out_pitch + o * CHANNELS, lanes + k * CHANNELS, CHANNELS);
    }
  }
}

static void resize_rows(
    uint8_t *out, ptrdiff_t out_pitch, const uint8_t *in, ptrdiff_t in_pitch, ptrdiff_t rows, ptrdiff_t channels,
    const ck_weights *weights, uint8_t *workspace) {
  if (channels == 1) resize_gray_rows(out, out_pitch, in, in_pitch, rows, weights, workspace);
  else resize_colour_rows(out, out_pitch, in, in_pitch, rows, weights, workspace);
}
