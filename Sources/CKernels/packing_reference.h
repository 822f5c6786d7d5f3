// Tiles and weights on their way into the order that products take.
#include "element.h"

static float relu(float x) { return x < 0 ? 0 : x; }

static void interleave(void *out, const float *planes, ptrdiff_t channels, ptrdiff_t plane, ptrdiff_t width) {
  act *o = out;
  for (ptrdiff_t c = 0; c < channels; c++)
    for (ptrdiff_t x = 0; x < width; x++) o[channels * x + c] = narrow_act(planes[c * plane + x]);
}

static void widen(float *out, const void *x, ptrdiff_t count) {
  const act *from = x;
  for (ptrdiff_t i = 0; i < count; i++) out[i] = widen_act(from[i]);
}

static void normalize(void *out, const void *x, const float *scale, const float *shift, ptrdiff_t pixels) {
  act *o = out;
  const act *from = x;
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++)
    o[i] = narrow_act(relu(scale[i % CK_LANES] * widen_act(from[i]) + shift[i % CK_LANES]));
}

static void normalize_pooled(
  void *out, const void *x, const float *scale, const float *shift, ptrdiff_t rows, ptrdiff_t out_width,
  ptrdiff_t width) {
  act *o = out;
  const act *from = x;
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t q = 0; q < out_width; q++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) {
        float sum = 0;
        for (ptrdiff_t i = 0; i < 4; i++) {
          ptrdiff_t at = ((2 * r + i / 2) * width + 2 * q + i % 2) * CK_LANES + k;
          sum += relu(scale[k] * widen_act(from[at]) + shift[k]);
        }
        o[(r * out_width + q) * CK_LANES + k] = narrow_act(sum * 0.25f);
      }
}

static void resolve(void *out, const void *g, const void *x, const ck_line *line, ptrdiff_t pixels) {
  act *o = out;
  const act *gradient = g, *from = x;
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++) {
    ptrdiff_t k = i % CK_LANES;
    o[i] = narrow_act(widen_act(gradient[i]) - line->constant[k] - line->slope[k] * widen_act(from[i]));
  }
}

static void resolve_float(void *out, const float *g, const void *x, const ck_line *line, ptrdiff_t pixels) {
  act *o = out;
  const act *from = x;
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++) {
    ptrdiff_t k = i % CK_LANES;
    o[i] = narrow_act(g[i] - line->constant[k] - line->slope[k] * widen_act(from[i]));
  }
}

static void pair(void *out, const void *low, const void *high, ptrdiff_t count) {
#if CK_IS_BF16
  act *o = out;
  const act *a = low, *b = high;
  for (ptrdiff_t i = 0; i < count; i++) {
    o[2 * i] = a[i];
    o[2 * i + 1] = b[i];
  }
#else
  (void)out, (void)low, (void)high, (void)count;
#endif
}

static void pair_pixels(void *out, const void *x, ptrdiff_t pixels) {
#if CK_IS_BF16
  act *o = out;
  const act *from = x;
  for (ptrdiff_t p = 0; p < pixels; p += 2) {
    act two[2][CK_LANES] = {{0}};
    memcpy(two, from + p * CK_LANES, sizeof(act) * CK_LANES * (p + 1 < pixels ? 2 : 1));
    pair(o + p * CK_LANES, two[0], two[1], CK_LANES);
  }
#else
  (void)out, (void)x, (void)pixels;
#endif
}

static void pack_block(
  void *out, const float *weights, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t input_stride,
  ptrdiff_t output_stride, ptrdiff_t depth) {
  act *o = out;
  memset(o, 0, sizeof(act) * (size_t)(depth * CK_LANES));
  for (ptrdiff_t i = 0; i < inputs; i++)
    for (ptrdiff_t k = 0; k < outputs; k++)
      o[weight_at(i, k)] = narrow_act(weights[i * input_stride + k * output_stride]);
}

static void spread_taps(
  float *taps, const float *weights, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t input_stride,
  ptrdiff_t output_stride, int turned) {
  enum { BLOCK_SIZE = CK_LANES * CK_LANES };
  if (inputs < CK_LANES || outputs < CK_LANES) memset(taps, 0, sizeof(float) * 9 * BLOCK_SIZE);
  for (ptrdiff_t o = 0; o < outputs; o++)
    for (ptrdiff_t i = 0; i < inputs; i++)
      for (ptrdiff_t t = 0; t < 9; t++)
        taps[(turned ? 8 - t : t) * BLOCK_SIZE + i * CK_LANES + o] = weights[i * input_stride + o * output_stride + t];
}

static void unpack_block(
  float *gradient, const float *blocks, ptrdiff_t groups, ptrdiff_t group_stride, ptrdiff_t inputs,
  ptrdiff_t outputs, ptrdiff_t input_stride, ptrdiff_t output_stride) {
  for (ptrdiff_t i = 0; i < inputs; i++)
    for (ptrdiff_t o = 0; o < outputs; o++) {
      float sum = 0;
      for (ptrdiff_t g = 0; g < groups; g++) sum += blocks[g * group_stride + i * CK_LANES + o];
      gradient[i * input_stride + o * output_stride] += sum;
    }
}
