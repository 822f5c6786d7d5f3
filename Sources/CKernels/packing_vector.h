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
