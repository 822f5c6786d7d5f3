// PNG's filters undone for many rows at once. A pixel depends on those to its left, above, and above left: so the rows of a group are
// worked on along a diagonal. Lane k has row k of the group and is at column t − k in step t: its neighbours are its own last pixel and the
// last two of lane k − 1. A lane is a pixel, of `unit` bytes.
//
// The group's rows stand in the workspace, row k behind k pixels of zero: step t finds the bytes of all lanes at column t there, and what the
// lanes have before their rows begin is zero, as the filters want it. Before the group's rows stands the row above it.
#pragma once
#include "pixel_vector.h"

/// Which bytes of a vector have which filters: all ones or zero.
typedef struct {
  /// The neighbours that their filters, taken for Paeth's, see.
  bytes left, above, corner;
  bytes average;
} filters;

CK_INLINE bytes distance(bytes a, bytes b) { return __builtin_elementwise_max(a, b) - __builtin_elementwise_min(a, b); }

/// With |above − corner| = p and |left − corner| = q, corner is |p − q| from left + above − corner where it lies between
/// the two, else p + q, which is nearer to neither.
CK_INLINE bytes paeth(bytes left, bytes above, bytes corner) {
  bytes p = distance(above, corner), q = distance(left, corner);
  bytes lower = __builtin_elementwise_min(left, above), upper = __builtin_elementwise_max(left, above);
  bytes is_between = (bytes)(corner >= lower) & (bytes)(corner <= upper);
  bytes nearest = __builtin_elementwise_min(p, q);
  bytes is_corner = is_between & (bytes)(distance(p, q) < nearest);
  return pick(is_corner, corner, pick((bytes)(p <= q), left, above));
}

CK_INLINE void transpose_units(bytes *rows, int unit) {
  if (unit == 4) transpose_quads(rows);
  else transpose(rows);
}

/// 16 bytes, from `at` on, of all rows of a group; `r` and `above` are the last pixels and what was above them.
CK_INLINE void unfilter_columns(
    uint8_t *at, const uint8_t *top, ptrdiff_t pitch, const filters *f, bytes *r, bytes *above, const int unit) {
  bytes x[CK_GROUP_VECTORS][CK_BYTES];
  const int lanes = CK_BYTES / unit;
  for (int v = 0; v < CK_GROUP_VECTORS; v++) {
    for (int k = 0; k < lanes; k++) x[v][k] = load_bytes(at + (v * lanes + k) * pitch);
    transpose_units(x[v], unit);
  }
  bytes next = load_bytes(top);
  _Pragma("clang loop unroll(full)") for (int t = 0; t < lanes; t++) {
    // What comes into the first lane, as the last one of a vector.
    bytes before = first_as_last(next, unit);
    next = without_first(next, unit);
    _Pragma("clang loop unroll(full)") for (int v = 0; v < CK_GROUP_VECTORS; v++) {
      bytes left = r[v], corner = above[v];
      above[v] = shifted(before, left, unit);
      before = left;
      bytes other = paeth(left & f[v].left, above[v] & f[v].above, corner & f[v].corner);
      x[v][t] += pick(f[v].average, average(left, above[v]), other);
      r[v] = x[v][t];
    }
  }
  for (int v = 0; v < CK_GROUP_VECTORS; v++) {
    transpose_units(x[v], unit);
    for (int k = 0; k < lanes; k++) store_bytes(at + (v * lanes + k) * pitch, x[v][k]);
  }
}

/// Reads the types of `count` rows, which stand before them; the other rows of the group have none. Returns 1 where one is unknown.
CK_INLINE int read_filters(filters *f, const uint8_t *filtered, ptrdiff_t length, ptrdiff_t count, int unit) {
  memset(f, 0, CK_GROUP_VECTORS * sizeof *f);
  for (ptrdiff_t n = 0; n < count * unit; n++) {
    int type = filtered[n / unit * (length + 1)], byte = n % CK_BYTES;
    filters *of = f + n / CK_BYTES;
    if (type > 4) return 1;
    if (type == 1 || type >= 3) of->left[byte] = 0xff;
    if (type >= 2) of->above[byte] = 0xff;
    if (type == 4) of->corner[byte] = 0xff;
    if (type == 3) of->average[byte] = 0xff;
  }
  return 0;
}

CK_INLINE int unfilter_units(uint8_t *rows, ptrdiff_t length, ptrdiff_t height, uint8_t *workspace, const int unit) {
  const ptrdiff_t group_rows = CK_GROUP_VECTORS * CK_BYTES / unit;
  ptrdiff_t pitch = group_pitch(length);
  uint8_t *group = workspace + pitch;
  memset(workspace, 0, (size_t)pitch);
  for (ptrdiff_t y = 0; y < height; y += group_rows) {
    ptrdiff_t count = height - y < group_rows ? height - y : group_rows;
    const uint8_t *filtered = rows + y * (length + 1);
    // A byte is written before the place where it was read, so that no row is overwritten unread.
    uint8_t *pixels = rows + y * length;
    filters f[CK_GROUP_VECTORS];
    if (read_filters(f, filtered, length, count, unit)) return 1;
    for (ptrdiff_t k = 0; k < group_rows; k++) {
      uint8_t *row = group + k * pitch;
      ptrdiff_t begin = k * unit, bytes = k < count ? length : 0;
      memset(row, 0, (size_t)begin);
      memcpy(row + begin, filtered + k * (length + 1) + 1, (size_t)bytes);
      memset(row + begin + bytes, 0, (size_t)(pitch - begin - bytes));
    }
    bytes r[CK_GROUP_VECTORS] = {0}, above[CK_GROUP_VECTORS] = {0};
    for (ptrdiff_t t = 0; t < length + (group_rows - 1) * unit; t += CK_BYTES)
      unfilter_columns(group + t, workspace + t, pitch, f, r, above, unit);
    for (ptrdiff_t k = 0; k < count; k++) memcpy(pixels + k * length, group + k * pitch + k * unit, (size_t)length);
    memcpy(workspace, pixels + (count - 1) * length, (size_t)length);
  }
  return 0;
}

static int unfilter(uint8_t *rows, ptrdiff_t width, ptrdiff_t height, ptrdiff_t unit, uint8_t *workspace) {
  return unit == 4 ? unfilter_units(rows, width * 4, height, workspace, 4)
                   : unfilter_units(rows, width, height, workspace, 1);
}
