// Pools, the head and batch norm's sums as they are defined. Included behind packing_reference.h.
#include "element.h"

static void max_pool(
  void *out, const void *top, const void *middle, const void *bottom, const float *scale, const float *shift,
  ptrdiff_t width) {
  act *o = out;
  const act *rows[3] = {top, middle, bottom};
  for (ptrdiff_t q = 0; q < (width + 1) / 2; q++)
    for (ptrdiff_t k = 0; k < CK_LANES; k++) {
      float best = 0;
      for (int r = 0; r < 3; r++)
        for (ptrdiff_t x = 2 * q - 1; x <= 2 * q + 1; x++) {
          if (!rows[r] || x < 0 || x >= width) continue;
          float value = relu(scale[k] * widen_act(rows[r][x * CK_LANES + k]) + shift[k]);
          // What is not a number is the largest.
          if (best == best && !(value <= best)) best = value;
        }
      o[q * CK_LANES + k] = narrow_act(best);
    }
}

static void max_unpool(
  void *d, const void *x, const void *pooled, const void *g, const float *scale, const float *shift,
  ptrdiff_t height, ptrdiff_t width) {
  act *out = d;
  const act *from = x, *best = pooled, *gradient = g;
  memset(out, 0, sizeof(act) * (size_t)(height * width * CK_LANES));
  ptrdiff_t out_width = (width + 1) / 2;
  for (ptrdiff_t i = 0; i < (height + 1) / 2 * out_width * CK_LANES; i++) {
    ptrdiff_t p = i / CK_LANES / out_width, q = i / CK_LANES % out_width, k = i % CK_LANES;
    float largest = widen_act(best[i]);
    int open = largest > 0;
    for (ptrdiff_t y = 2 * p - 1; y <= 2 * p + 1; y++)
      for (ptrdiff_t c = 2 * q - 1; c <= 2 * q + 1; c++) {
        if (!open || y < 0 || y >= height || c < 0 || c >= width) continue;
        ptrdiff_t source = (y * width + c) * CK_LANES + k;
        if (widen_act(narrow_act(relu(scale[k] * widen_act(from[source]) + shift[k]))) != largest) continue;
        out[source] = narrow_act(widen_act(out[source]) + widen_act(gradient[i]));
        open = 0;
      }
  }
}

/// Accumulates the sums of d at element i, of channel k; returns scale · d.
static float through(float d, ptrdiff_t i, ptrdiff_t k, const ck_gate *gate) {
  gate->sum[k] += d;
  gate->product[k] += d * (widen_act(((const act *)gate->x)[i]) - gate->mean[k]);
  return gate->scale[k] * d;
}

/// What was normalised at element i, normalised.
static float normalized(const ck_gate *gate, ptrdiff_t i, ptrdiff_t k) {
  return gate->scale[k] * widen_act(((const act *)gate->x)[i]) + gate->shift[k];
}

static void average_unpool(
  float *out, const float *g, const ck_gate *gate, ptrdiff_t rows, ptrdiff_t out_width, ptrdiff_t width) {
  memset(out, 0, sizeof(float) * (size_t)(2 * rows * width * CK_LANES));
  for (ptrdiff_t y = 0; y < 2 * rows; y++)
    for (ptrdiff_t x = 0; x < 2 * out_width; x++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) {
        ptrdiff_t i = (y * width + x) * CK_LANES + k;
        float share = 0.25f * g[(y / 2 * out_width + x / 2) * CK_LANES + k];
        out[i] = through(normalized(gate, i, k) > 0 ? share : 0, i, k, gate);
      }
}

static void head_sum(
  float *sum, const void *x, const float *scale, const float *shift, float floor, ptrdiff_t pixels) {
  const act *from = x;
  memset(sum, 0, sizeof(float) * CK_LANES);
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++) {
    ptrdiff_t k = i % CK_LANES;
    float value = scale[k] * widen_act(from[i]) + shift[k];
    sum[k] += value < floor ? floor : value;
  }
}

static void head_unpool(float *out, const float *gradient, float floor, const ck_gate *gate, ptrdiff_t pixels) {
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++) {
    ptrdiff_t k = i % CK_LANES;
    out[i] = through(normalized(gate, i, k) > floor ? gradient[k] : 0, i, k, gate);
  }
}

static void sums(const void *x, const float *pivot, float *sum, float *square, ptrdiff_t pixels) {
  const act *from = x;
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++) {
    ptrdiff_t k = i % CK_LANES;
    float centered = widen_act(from[i]) - pivot[k];
    sum[k] += centered;
    square[k] += centered * centered;
  }
}

static void scale_summed(void *d, const ck_gate *gate, ptrdiff_t pixels) {
  act *out = d;
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++)
    out[i] = narrow_act(through(widen_act(out[i]), i, i % CK_LANES, gate));
}
