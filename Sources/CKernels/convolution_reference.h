// The convolutions as they are defined.
#include "element.h"

/// The sum of output channel k at pixel (r, q).
static float reduce(const ck_tile *t, ptrdiff_t r, ptrdiff_t q, ptrdiff_t k) {
  float sum = 0;
  for (ptrdiff_t s = 0; s < t->segments; s++) {
    const act *input = (const act *)t->input + t->segment[s] + r * t->input_pitch + q * t->stride;
    const act *weights = (const act *)t->weights + s * t->depth * CK_LANES;
    for (ptrdiff_t d = 0; d < t->depth; d++) sum += widen_act(input[d]) * widen_act(weights[weight_at(d, k)]);
  }
  return sum;
}

static ptrdiff_t output_at(const ck_tile *t, ptrdiff_t r, ptrdiff_t q) { return r * t->output_pitch + q * CK_LANES; }

static void store(const ck_tile *t) {
  act *out = t->output;
  for (ptrdiff_t r = 0; r < t->rows; r++)
    for (ptrdiff_t q = 0; q < t->width; q++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) out[output_at(t, r, q) + k] = narrow_act(reduce(t, r, q, k));
}

static void store_float(const ck_tile *t) {
  float *out = t->output;
  for (ptrdiff_t r = 0; r < t->rows; r++)
    for (ptrdiff_t q = 0; q < t->width; q++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) out[output_at(t, r, q) + k] = reduce(t, r, q, k);
}

static void store_rectified(const ck_tile *t, const float *bias) {
  act *out = t->output;
  for (ptrdiff_t r = 0; r < t->rows; r++)
    for (ptrdiff_t q = 0; q < t->width; q++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) {
        float y = reduce(t, r, q, k) + bias[k];
        out[output_at(t, r, q) + k] = narrow_act(y < 0 ? 0 : y);
      }
}

static void store_summed(const ck_tile *t, const float *pivot, float *sum, float *square) {
  act *out = t->output;
  for (ptrdiff_t r = 0; r < t->rows; r++)
    for (ptrdiff_t q = 0; q < t->width; q++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) {
        float y = reduce(t, r, q, k);
        out[output_at(t, r, q) + k] = narrow_act(y);
        sum[k] += y - pivot[k];
        square[k] += (y - pivot[k]) * (y - pivot[k]);
      }
}

static void accumulate_gated(const ck_tile *t, const ck_gate *g) {
  float *out = t->output;
  for (ptrdiff_t r = 0; r < t->rows; r++)
    for (ptrdiff_t q = 0; q < t->width; q++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) {
        ptrdiff_t at = output_at(t, r, q) + k;
        float x = widen_act(((const act *)g->x)[at]);
        float d = g->scale[k] * x + g->shift[k] > 0 ? reduce(t, r, q, k) : 0;
        g->sum[k] += d;
        g->product[k] += d * (x - g->mean[k]);
        out[at] += g->scale[k] * d;
      }
}
