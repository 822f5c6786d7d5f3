// Tiles for the convolutions: what batch norm and ReLU, or batch norm's backward, do to a slab on its way into the cache.
#include "vector.h"

/// `pixels` pixels, a vector's channels at a time so that its coefficients stay in registers.
static void normalize(void *out, const void *x, const float *scale, const float *shift, ptrdiff_t pixels) {
  act *o = out;
  const act *from = x;
  vec s[CK_PV], t[CK_PV];
  CK_UNROLL for (int j = 0; j < CK_PV; j++) {
    s[j] = load(scale + j * CK_VL);
    t[j] = load(shift + j * CK_VL);
  }
#pragma clang loop unroll_count(4)
  for (ptrdiff_t i = 0; i < pixels; i++)
    CK_UNROLL for (int j = 0; j < CK_PV; j++) {
      ptrdiff_t at = i * CK_LANES + j * CK_VL;
      store_act(o + at, relu(load_act(from + at) * s[j] + t[j]));
    }
}

/// `gradient` or, where that is NULL, `gradient_float` is g.
CK_INLINE void resolve_any(
  act *out, const act *gradient, const float *gradient_float, const act *x, const ck_line *line, ptrdiff_t pixels) {
  vec constant[CK_PV], slope[CK_PV];
  CK_UNROLL for (int j = 0; j < CK_PV; j++) {
    constant[j] = load(line->constant + j * CK_VL);
    slope[j] = load(line->slope + j * CK_VL);
  }
#pragma clang loop unroll_count(4)
  for (ptrdiff_t i = 0; i < pixels; i++)
    CK_UNROLL for (int j = 0; j < CK_PV; j++) {
      ptrdiff_t at = i * CK_LANES + j * CK_VL;
      vec g = gradient ? load_act(gradient + at) : load(gradient_float + at);
      store_act(out + at, g - constant[j] - slope[j] * load_act(x + at));
    }
}

static void resolve(void *out, const void *g, const void *x, const ck_line *line, ptrdiff_t pixels) {
  const act *gradient = g;
  __builtin_assume(gradient != NULL);
  resolve_any(out, gradient, NULL, x, line, pixels);
}

static void resolve_float(void *out, const float *g, const void *x, const ck_line *line, ptrdiff_t pixels) {
  resolve_any(out, NULL, g, x, line, pixels);
}

static void normalize_pooled(
  void *out, const void *x, const float *scale, const float *shift, ptrdiff_t rows, ptrdiff_t out_width,
  ptrdiff_t width) {
  for (int j = 0; j < CK_PV; j++) {
    vec s = load(scale + j * CK_VL), t = load(shift + j * CK_VL);
    for (ptrdiff_t r = 0; r < rows; r++) {
      const act *upper = (const act *)x + 2 * r * width * CK_LANES + j * CK_VL, *lower = upper + width * CK_LANES;
      act *o = (act *)out + r * out_width * CK_LANES + j * CK_VL;
      for (ptrdiff_t q = 0; q < out_width; q++) {
        vec sum = relu(load_act(upper) * s + t);
        sum += relu(load_act(upper + CK_LANES) * s + t);
        sum += relu(load_act(lower) * s + t);
        sum += relu(load_act(lower + CK_LANES) * s + t);
        store_act(o, sum * 0.25f);
        upper += 2 * CK_LANES;
        lower += 2 * CK_LANES;
        o += CK_LANES;
      }
    }
  }
}

#if CK_IS_BF16

static void pair(void *out, const void *low, const void *high, ptrdiff_t count) {
  act *o = out;
  const act *a = low, *b = high;
  ptrdiff_t i = 0;
  for (; i + CK_VL <= count; i += CK_VL) store_words(o + 2 * i, load_halves(a + i) | load_halves(b + i) << 16);
  for (; i < count; i++) {
    o[2 * i] = a[i];
    o[2 * i + 1] = b[i];
  }
}

static void pair_pixels(void *out, const void *x, ptrdiff_t pixels) {
  act *o = out;
  const act *from = x;
  for (ptrdiff_t p = 0; p < pixels; p += 2, o += 2 * CK_LANES, from += 2 * CK_LANES) {
    // All are read before any is written: out may be x.
    words low[CK_PV], high[CK_PV];
    CK_UNROLL for (int j = 0; j < CK_PV; j++) {
      low[j] = load_halves(from + j * CK_VL);
      high[j] = p + 1 < pixels ? load_halves(from + CK_LANES + j * CK_VL) << 16 : (words){0};
    }
    CK_UNROLL for (int j = 0; j < CK_PV; j++) store_words(o + 2 * j * CK_VL, low[j] | high[j]);
  }
}

#endif
