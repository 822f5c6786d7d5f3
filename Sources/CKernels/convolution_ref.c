#include "families.h"

/// The sum of output channel k at pixel (r, q).
static float reduce(const ck_tile *t, ptrdiff_t r, ptrdiff_t q, ptrdiff_t k) {
  float sum = 0;
  for (ptrdiff_t s = 0; s < t->segments; s++) {
    const float *input = t->input + t->segment[s] + r * t->input_pitch + q * t->stride;
    const float *weights = t->weights + s * t->depth * CK_LANES + k;
    for (ptrdiff_t d = 0; d < t->depth; d++) sum += input[d] * weights[d * CK_LANES];
  }
  return sum;
}

static float *output(const ck_tile *t, ptrdiff_t r, ptrdiff_t q) { return t->output + r * t->output_pitch + q * CK_LANES; }

static void store(const ck_tile *t) {
  for (ptrdiff_t r = 0; r < t->rows; r++)
    for (ptrdiff_t q = 0; q < t->width; q++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) output(t, r, q)[k] = reduce(t, r, q, k);
}

static void store_rectified(const ck_tile *t, const float *bias) {
  for (ptrdiff_t r = 0; r < t->rows; r++)
    for (ptrdiff_t q = 0; q < t->width; q++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) {
        float y = reduce(t, r, q, k) + bias[k];
        output(t, r, q)[k] = y < 0 ? 0 : y;
      }
}

static void store_summed(const ck_tile *t, const float *pivot, float *sum, float *square) {
  for (ptrdiff_t r = 0; r < t->rows; r++)
    for (ptrdiff_t q = 0; q < t->width; q++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) {
        float y = reduce(t, r, q, k);
        output(t, r, q)[k] = y;
        sum[k] += y - pivot[k];
        square[k] += (y - pivot[k]) * (y - pivot[k]);
      }
}

static float gated(const ck_tile *t, const ck_gate *g, ptrdiff_t r, ptrdiff_t q, ptrdiff_t k) {
  float d = g->activation[r * g->activation_pitch + q * CK_LANES + k] > 0 ? reduce(t, r, q, k) : 0;
  g->sum[k] += d;
  g->product[k] += d * (g->x[r * t->output_pitch + q * CK_LANES + k] - g->mean[k]);
  return g->scale[k] * d;
}

static void accumulate_gated(const ck_tile *t, const ck_gate *g) {
  for (ptrdiff_t r = 0; r < t->rows; r++)
    for (ptrdiff_t q = 0; q < t->width; q++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) output(t, r, q)[k] += gated(t, g, r, q, k);
}

void ck_fill_convolution_ref(ck_kernels *table) {
  table->convolution = (ck_convolution){store, store_rectified, store_summed, accumulate_gated};
}
