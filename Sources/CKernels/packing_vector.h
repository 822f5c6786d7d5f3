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

/// Rows of weights that are outputs, as PyTorch has them: each is read along its inputs.
CK_INLINE void pack_rows_of_outputs(
  act *out, const float *weights, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t output_stride) {
  for (ptrdiff_t o = 0; o < outputs; o++) {
    const float *row = weights + o * output_stride;
    ptrdiff_t i = 0;
    for (; i + CK_VL <= inputs; i += CK_VL) {
      act values[CK_VL];
      store_act(values, load(row + i));
      CK_UNROLL for (int j = 0; j < CK_VL; j += CK_WORD)
        memcpy(out + weight_at(i + j, o), values + j, sizeof(act) * CK_WORD);
    }
    for (; i < inputs; i++) out[weight_at(i, o)] = narrow_act(row[i]);
  }
}

/// Rows of weights that are inputs: each is read along its outputs.
CK_INLINE void pack_rows_of_inputs(
  act *out, const float *weights, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t input_stride) {
  ptrdiff_t whole = outputs / CK_VL * CK_VL, even = inputs / CK_WORD * CK_WORD;
  for (ptrdiff_t i = 0; i < even; i += CK_WORD)
    for (ptrdiff_t o = 0; o < whole; o += CK_VL) {
      const float *row = weights + i * input_stride + o;
#if CK_IS_BF16
      store_words(out + weight_at(i, o), pair_of(load(row), load(row + input_stride)));
#else
      store_act(out + weight_at(i, o), load(row));
#endif
    }
  for (ptrdiff_t i = 0; i < inputs; i++)
    for (ptrdiff_t o = i < even ? whole : 0; o < outputs; o++)
      out[weight_at(i, o)] = narrow_act(weights[i * input_stride + o]);
}

static void pack_block(
  void *out, const float *weights, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t input_stride,
  ptrdiff_t output_stride, ptrdiff_t depth) {
  act *o = out;
  if (inputs < depth || outputs < CK_LANES) memset(o, 0, sizeof(act) * (size_t)(depth * CK_LANES));
  if (input_stride == 1) {
    pack_rows_of_outputs(o, weights, inputs, outputs, output_stride);
  } else if (output_stride == 1) {
    pack_rows_of_inputs(o, weights, inputs, outputs, input_stride);
  } else {
    for (ptrdiff_t i = 0; i < inputs; i++)
      for (ptrdiff_t k = 0; k < outputs; k++)
        o[weight_at(i, k)] = narrow_act(weights[i * input_stride + k * output_stride]);
  }
}

/// The groups' sums of a row of outputs at a time.
static void unpack_block(
  float *gradient, const float *blocks, ptrdiff_t groups, ptrdiff_t group_stride, ptrdiff_t inputs,
  ptrdiff_t outputs, ptrdiff_t input_stride, ptrdiff_t output_stride) {
  for (ptrdiff_t i = 0; i < inputs; i++) {
    float sums[CK_LANES];
    CK_UNROLL for (int j = 0; j < CK_PV; j++) {
      vec sum = {0};
      for (ptrdiff_t g = 0; g < groups; g++) sum += load(blocks + g * group_stride + i * CK_LANES + j * CK_VL);
      store_vec(sums + j * CK_VL, sum);
    }
    for (ptrdiff_t o = 0; o < outputs; o++) gradient[i * input_stride + o * output_stride] += sums[o];
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
