#include <string.h>

#include "families.h"

static float relu(float x) { return x < 0 ? 0 : x; }

static void interleave(float *out, const float *planes, ptrdiff_t channels, ptrdiff_t plane, ptrdiff_t width) {
  for (ptrdiff_t c = 0; c < channels; c++)
    for (ptrdiff_t x = 0; x < width; x++) out[channels * x + c] = planes[c * plane + x];
}

static void normalize(float *out, const float *x, const float *scale, const float *shift, ptrdiff_t pixels) {
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++)
    out[i] = relu(scale[i % CK_LANES] * x[i] + shift[i % CK_LANES]);
}

static void normalize_pooled(
  float *out, const float *x, const float *scale, const float *shift, ptrdiff_t rows, ptrdiff_t out_width,
  ptrdiff_t width) {
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t q = 0; q < out_width; q++)
      for (ptrdiff_t k = 0; k < CK_LANES; k++) {
        float sum = 0;
        for (ptrdiff_t i = 0; i < 4; i++)
          sum += relu(scale[k] * x[((2 * r + i / 2) * width + 2 * q + i % 2) * CK_LANES + k] + shift[k]);
        out[(r * out_width + q) * CK_LANES + k] = sum * 0.25f;
      }
}

static void resolve(float *out, const float *g, const float *x, const ck_line *line, ptrdiff_t pixels) {
  for (ptrdiff_t i = 0; i < pixels * CK_LANES; i++) {
    ptrdiff_t k = i % CK_LANES;
    out[i] = g[i] - line->constant[k] - line->slope[k] * x[i];
  }
}

static void pack_block(
  float *out, const float *weights, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t input_stride,
  ptrdiff_t output_stride, ptrdiff_t depth) {
  memset(out, 0, sizeof(float) * (size_t)(depth * CK_LANES));
  for (ptrdiff_t i = 0; i < inputs; i++)
    for (ptrdiff_t o = 0; o < outputs; o++)
      out[i * CK_LANES + o] = weights[i * input_stride + o * output_stride];
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

void ck_fill_packing_ref(ck_kernels *table) {
  table->packing =
    (ck_packing){interleave, normalize, normalize_pooled, resolve, pack_block, unpack_block};
}
