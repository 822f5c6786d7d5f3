// The batch-reduce kernel: CK_MR pixels × CK_NV vectors stay in registers while segments × depth inputs pass by.
//
// Each output is one chain of fused multiply-adds in the order of segments and depth, whatever the tile's shape: its bits do not
// depend on how a map was cut into tiles.
#include "vector.h"

_Static_assert(CK_MR == 14 || CK_MR <= 6, "convolve has no cases for 7 to 13 pixels alone");

typedef enum { STORE, STORE_FLOAT, STORE_RECTIFIED, STORE_SUMMED, ACCUMULATE_GATED } finish_kind;

/// What happens to the sums, and with which vectors of 32 channels.
typedef struct {
  finish_kind kind;
  /// Bias, or pivot.
  const float *constant;
  float *sum;
  /// Sum of squares or of products.
  float *second;
  const ck_gate *gate;
} finish;

/// `mr` pixels from `input` on, channels `column` ..< column + CK_NV · CK_VL; `row`, `q`: of the first pixel.
CK_INLINE void chunk(
  int mr, ptrdiff_t stride, const ck_tile *t, const finish *f, ptrdiff_t row, ptrdiff_t q, ptrdiff_t column,
  fetching fetch) {
  vec acc[CK_MR][CK_NV];
  int is_float = f->kind == STORE_FLOAT || f->kind == ACCUMULATE_GATED;
  ptrdiff_t place = row * t->output_pitch + q * CK_LANES + column;
  act *out = (act *)t->output + place;
  float *out_float = (float *)t->output + place;
  // The output's lines are on their way to this core, for writing, while the sums are made.
  CK_UNROLL for (int r = 0; r < mr; r++) {
    const char *line = is_float ? (const char *)(out_float + r * CK_LANES) : (const char *)(out + r * CK_LANES);
    __builtin_prefetch(line, 1, 3);
    if (CK_VL * CK_NV > 16 && (is_float || !CK_IS_BF16)) __builtin_prefetch(line + CK_LINE, 1, 3);
    CK_UNROLL for (int j = 0; j < CK_NV; j++) acc[r][j] = (vec){0};
  }
  const act *first = (const act *)t->input + row * t->input_pitch + q * stride;
  const act *weights = (const act *)t->weights + column * CK_WORD;
  for (ptrdiff_t s = 0; s < t->segments; s++) {
    const act *input = first + t->segment[s];
#pragma clang loop unroll_count(CK_DEPTH_UNROLL)
    for (ptrdiff_t d = 0; d < t->depth; d += CK_WORD) {
      if (d % 2 == 0) fetch_line(&fetch);
      words w[CK_NV];
      CK_UNROLL for (int j = 0; j < CK_NV; j++) w[j] = load_words(weights + j * CK_VL * CK_WORD);
      weights += CK_LANES * CK_WORD;
      CK_UNROLL for (int step = 0; step < CK_STEPS; step++) {
        vec b[CK_NV];
        CK_UNROLL for (int j = 0; j < CK_NV; j++) b[j] = operand(w[j], step);
        CK_UNROLL for (int r = 0; r < mr; r++)
          CK_UNROLL for (int j = 0; j < CK_NV; j++) acc[r][j] = add_product(acc[r][j], input + r * stride + d, step, b[j]);
      }
    }
  }
  CK_UNROLL for (int j = 0; j < CK_NV; j++) {
    ptrdiff_t k = column + j * CK_VL;
    act *o = out + j * CK_VL;
    float *o_float = out_float + j * CK_VL;
    if (f->kind == STORE) {
      CK_UNROLL for (int r = 0; r < mr; r++) store_act(o + r * CK_LANES, acc[r][j]);
    } else if (f->kind == STORE_FLOAT) {
      CK_UNROLL for (int r = 0; r < mr; r++) store_vec(o_float + r * CK_LANES, acc[r][j]);
    } else if (f->kind == STORE_RECTIFIED) {
      vec bias = load(f->constant + k);
      CK_UNROLL for (int r = 0; r < mr; r++) store_act(o + r * CK_LANES, relu(acc[r][j] + bias));
    } else if (f->kind == STORE_SUMMED) {
      vec pivot = load(f->constant + k), sum = load(f->sum + k), square = load(f->second + k);
      CK_UNROLL for (int r = 0; r < mr; r++) {
        store_act(o + r * CK_LANES, acc[r][j]);
        vec centered = acc[r][j] - pivot;
        sum += centered;
        square += centered * centered;
      }
      store_vec(f->sum + k, sum);
      store_vec(f->second + k, square);
    } else {
      const ck_gate *g = f->gate;
      const act *x = (const act *)g->x + place + j * CK_VL;
      vec mean = load(g->mean + k), scale = load(g->scale + k), shift = load(g->shift + k);
      vec sum = load(g->sum + k), product = load(g->product + k);
      CK_UNROLL for (int r = 0; r < mr; r++) {
        vec value = load_act(x + r * CK_LANES), d = keep(value * scale + shift > 0, acc[r][j]);
        sum += d;
        product += d * (value - mean);
        store_vec(o_float + r * CK_LANES, load(o_float + r * CK_LANES) + scale * d);
      }
      store_vec(g->sum + k, sum);
      store_vec(g->product + k, product);
    }
  }
}

/// Cuts each row into chunks of nearly the same number of pixels, at most CK_MR.
CK_INLINE void convolve(const ck_tile *t, ptrdiff_t stride, const finish *f) {
  ptrdiff_t chunks = (t->width + CK_MR - 1) / CK_MR;
  ptrdiff_t size = t->width / chunks, longer = t->width % chunks;
  fetch_state state = begin_fetch(&t->fetch, t->rows * chunks);
  for (ptrdiff_t row = 0; row < t->rows; row++)
    for (ptrdiff_t c = 0, q = 0; c < chunks; c++) {
      ptrdiff_t pixels = size + (c < longer);
      fetching fetch = fetch_part(&state, t->weights);
      for (ptrdiff_t column = 0; column < CK_LANES; column += CK_NV * CK_VL) switch (pixels) {
#if CK_MR >= 14
          case 14: chunk(14, stride, t, f, row, q, column, fetch); break;
          case 13: chunk(13, stride, t, f, row, q, column, fetch); break;
          case 12: chunk(12, stride, t, f, row, q, column, fetch); break;
          case 11: chunk(11, stride, t, f, row, q, column, fetch); break;
          case 10: chunk(10, stride, t, f, row, q, column, fetch); break;
          case 9: chunk(9, stride, t, f, row, q, column, fetch); break;
          case 8: chunk(8, stride, t, f, row, q, column, fetch); break;
          case 7: chunk(7, stride, t, f, row, q, column, fetch); break;
#endif
#if CK_MR >= 6
          case 6: chunk(6, stride, t, f, row, q, column, fetch); break;
#endif
          case 5: chunk(5, stride, t, f, row, q, column, fetch); break;
          case 4: chunk(4, stride, t, f, row, q, column, fetch); break;
          case 3: chunk(3, stride, t, f, row, q, column, fetch); break;
          case 2: chunk(2, stride, t, f, row, q, column, fetch); break;
          default: chunk(1, stride, t, f, row, q, column, fetch); break;
        }
      q += pixels;
    }
}

// The strides of slabs and of stems with three channels and with one are known to the compiler, which makes them
// displacements; any other is correct and slower.

static void store_strided(const ck_tile *t) {
  finish f = {.kind = STORE};
  if (t->stride == 6) convolve(t, 6, &f);
  else if (t->stride == 2) convolve(t, 2, &f);
  else convolve(t, t->stride, &f);
}

static void store(const ck_tile *t) {
  finish f = {.kind = STORE};
  if (t->stride == CK_LANES) convolve(t, CK_LANES, &f);
  else store_strided(t);
}

static void store_float(const ck_tile *t) {
  finish f = {.kind = STORE_FLOAT};
  if (t->stride == CK_LANES) convolve(t, CK_LANES, &f);
  else convolve(t, t->stride, &f);
}

static void store_rectified(const ck_tile *t, const float *bias) {
  finish f = {.kind = STORE_RECTIFIED, .constant = bias};
  if (t->stride == CK_LANES) convolve(t, CK_LANES, &f);
  else convolve(t, t->stride, &f);
}

static void store_summed_strided(const ck_tile *t, const finish *f) {
  finish known = {.kind = STORE_SUMMED, .constant = f->constant, .sum = f->sum, .second = f->second};
  if (t->stride == 6) convolve(t, 6, &known);
  else if (t->stride == 2) convolve(t, 2, &known);
  else convolve(t, t->stride, &known);
}

static void store_summed(const ck_tile *t, const float *pivot, float *sum, float *square) {
  finish f = {.kind = STORE_SUMMED, .constant = pivot, .sum = sum, .second = square};
  if (t->stride == CK_LANES) convolve(t, CK_LANES, &f);
  else store_summed_strided(t, &f);
}

static void accumulate_gated(const ck_tile *t, const ck_gate *gate) {
  finish f = {.kind = ACCUMULATE_GATED, .gate = gate};
  if (t->stride == CK_LANES) convolve(t, CK_LANES, &f);
  else convolve(t, t->stride, &f);
}
