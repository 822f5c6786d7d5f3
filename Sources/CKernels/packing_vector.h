// Tiles for the convolutions: what batch norm and ReLU, or batch norm's backward, do to a slab on its way into the cache.
#include "vector.h"

/// `pixels` pixels, a vector's channels at a time so that its coefficients stay in registers.
static void normalize(float *out, const float *x, const float *scale, const float *shift, ptrdiff_t pixels) {
  vec s[CK_PV], t[CK_PV];
  CK_UNROLL for (int j = 0; j < CK_PV; j++) {
    s[j] = load(scale + j * CK_VL);
    t[j] = load(shift + j * CK_VL);
  }
#pragma clang loop unroll_count(4)
  for (ptrdiff_t i = 0; i < pixels; i++)
    CK_UNROLL for (int j = 0; j < CK_PV; j++) {
      ptrdiff_t at = i * CK_LANES + j * CK_VL;
      store_vec(out + at, relu(load(x + at) * s[j] + t[j]));
    }
}

static void resolve(float *out, const float *g, const float *x, const ck_line *line, ptrdiff_t pixels) {
  vec constant[CK_PV], slope[CK_PV];
  CK_UNROLL for (int j = 0; j < CK_PV; j++) {
    constant[j] = load(line->constant + j * CK_VL);
    slope[j] = load(line->slope + j * CK_VL);
  }
#pragma clang loop unroll_count(4)
  for (ptrdiff_t i = 0; i < pixels; i++)
    CK_UNROLL for (int j = 0; j < CK_PV; j++) {
      ptrdiff_t at = i * CK_LANES + j * CK_VL;
      store_vec(out + at, load(g + at) - constant[j] - slope[j] * load(x + at));
    }
}

CK_INLINE void zero(float *out, ptrdiff_t pixels) { memset(out, 0, sizeof(float) * CK_LANES * (size_t)pixels); }

/// Row r of a band with a border: the row of the map that lies there, or -1 where none does (the row is then zero).
CK_INLINE ptrdiff_t bordered_row(float *out, const ck_band *band, ptrdiff_t r) {
  ptrdiff_t y = band->first + r - 1;
  if (y < 0 || y >= band->height) {
    zero(out, band->width + 2);
    return -1;
  }
  zero(out, 1);
  zero(out + (band->width + 1) * CK_LANES, 1);
  return y;
}

static void normalize_halo(
  float *out, const float *x, const float *scale, const float *shift, const ck_band *band) {
  for (ptrdiff_t r = 0; r < band->rows + 2; r++, out += (band->width + 2) * CK_LANES) {
    ptrdiff_t y = bordered_row(out, band, r);
    if (y >= 0) normalize(out + CK_LANES, x + y * band->width * CK_LANES, scale, shift, band->width);
  }
}

static void resolve_halo(float *out, const float *g, const float *x, const ck_line *line, const ck_band *band) {
  for (ptrdiff_t r = 0; r < band->rows + 2; r++, out += (band->width + 2) * CK_LANES) {
    ptrdiff_t y = bordered_row(out, band, r), start = y * band->width * CK_LANES;
    if (y >= 0) resolve(out + CK_LANES, g + start, x + start, line, band->width);
  }
}

static void normalize_pooled(
  float *out, const float *x, const float *scale, const float *shift, ptrdiff_t rows, ptrdiff_t out_width,
  ptrdiff_t width) {
  for (int j = 0; j < CK_PV; j++) {
    vec s = load(scale + j * CK_VL), t = load(shift + j * CK_VL);
    for (ptrdiff_t r = 0; r < rows; r++) {
      const float *upper = x + 2 * r * width * CK_LANES + j * CK_VL, *lower = upper + width * CK_LANES;
      float *o = out + r * out_width * CK_LANES + j * CK_VL;
      for (ptrdiff_t q = 0; q < out_width; q++) {
        vec sum = relu(load(upper) * s + t);
        sum += relu(load(upper + CK_LANES) * s + t);
        sum += relu(load(lower) * s + t);
        sum += relu(load(lower + CK_LANES) * s + t);
        store_vec(o, sum * 0.25f);
        upper += 2 * CK_LANES;
        lower += 2 * CK_LANES;
        o += CK_LANES;
      }
    }
  }
}
