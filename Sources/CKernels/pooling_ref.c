#include <math.h>
#include <string.h>

#include "families.h"

static float relu(float x) { return x < 0 ? 0 : x; }

static void max_pool(
  float *out, const float *top, const float *middle, const float *bottom, const float *scale, const float *shift,
  ptrdiff_t width) {
  const float *rows[3] = {top, middle, bottom};
  for (ptrdiff_t q = 0; q < (width + 1) / 2; q++)
    for (ptrdiff_t k = 0; k < CK_LANES; k++) {
      float best = 0;
      for (int r = 0; r < 3; r++)
        for (ptrdiff_t x = 2 * q - 1; x <= 2 * q + 1; x++) {
          if (!rows[r] || x < 0 || x >= width) continue;
          float value = relu(scale[k] * rows[r][x * CK_LANES + k] + shift[k]);
          if (!(value <= best)) best = value;
        }
      out[q * CK_LANES + k] = best;
    }
}

static void max_unpool(
  float *d, const float *x, const float *pooled, const float *g, const float *scale, const float *shift,
  ptrdiff_t height, ptrdiff_t width) {
  memset(d, 0, sizeof(float) * (size_t)(height * width * CK_LANES));
  ptrdiff_t out_width = (width + 1) / 2;
  for (ptrdiff_t i = 0; i < (height + 1) / 2 * out_width * CK_LANES; i++) {
    ptrdiff_t p = i / CK_LANES / out_width, q = i / CK_LANES % out_width, k = i % CK_LANES;
    int open = pooled[i] > 0;
    for (ptrdiff_t y = 2 * p - 1; y <= 2 * p + 1; y++)
      for (ptrdiff_t c = 2 * q - 1; c <= 2 * q + 1; c++) {
        if (!open || y < 0 || y >= height || c < 0 || c >= width) continue;
        ptrdiff_t source = (y * width + c) * CK_LANES + k;
        if (relu(scale[k] * x[source] + shift[k]) != pooled[i]) continue;
        d[source] += g[i];
        open = 0;
      }
  }
}

/// out = scale · d at element i, of channel k; accumulates the sums.
static void put(float *out, ptrdiff_t i, ptrdiff_t k, float d, const ck_gate *gate) {
  gate->sum[k] += d;
  gate->product[k] += d * (gate->x[i] - gate->mean[k]);
  out[i] = gate->scale[k] * d;
}

static void average_unpool(
  float *out, const float *g, const float *shift, const ck_gate *gate, ptrdiff_t rows, ptrdiff_t out_width,
  ptrdiff_t width) {
  memset(out, 0, sizeof(float) * (size_t)(2 * rows * width * CK_LANES));
  for (ptrdiff_t y = 0; y < 2 * rows; y++)
    for (ptrdiff_t x = 0; x < 2 * out_width; x++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) {
        ptrdiff_t i = (y * width + x) * CK_LANES + k;
        float share = 0.25f * g[(y / 2 * out_width + x / 2) * CK_LANES + k];
        put(out, i, k, gate->scale[k] * gate->x[i] + shift[k] > 0 ? share : 0, gate);
      }
}

static void head_sum(
  float *sum, const float *x, const float *scale, const float *shift, float floor, ptrdiff_t pixels) {
  memset(sum, 0, sizeof(float) * CK_LANES);
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++) {
    ptrdiff_t k = i % CK_LANES;
    float value = scale[k] * x[i] + shift[k];
    sum[k] += value < floor ? floor : value;
  }
}

static void head_unpool(
  float *out, const float *gradient, const float *shift, float floor, const ck_gate *gate, ptrdiff_t pixels) {
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++) {
    ptrdiff_t k = i % CK_LANES;
    put(out, i, k, gate->scale[k] * gate->x[i] + shift[k] > floor ? gradient[k] : 0, gate);
  }
}

static void sums(const float *x, const float *pivot, float *sum, float *square, ptrdiff_t pixels) {
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++) {
    ptrdiff_t k = i % CK_LANES;
    sum[k] += x[i] - pivot[k];
    square[k] += (x[i] - pivot[k]) * (x[i] - pivot[k]);
  }
}

static void scale_summed(float *d, const ck_gate *gate, ptrdiff_t pixels) {
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++) put(d, i, i % CK_LANES, d[i], gate);
}

void ck_fill_pooling_ref(ck_kernels *table) {
  table->pooling = (ck_pooling){max_pool, max_unpool, average_unpool, head_sum, head_unpool, sums, scale_summed};
}
