// Winograd's filtering by its matrices.
#include "element.h"

enum { TAPS = 3, SIDE = 4, OUT = 2 };

// The matrices of Lavin & Gray (2016), section 4.1, for F(2 × 2, 3 × 3): y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A.
static const float bt[SIDE][SIDE] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
static const float at[OUT][SIDE] = {{1, 1, 1, 0}, {0, 1, -1, -1}};
static const double g[SIDE][TAPS] = {{1, 0, 0}, {.5, .5, .5}, {.5, -.5, .5}, {0, 0, 1}};

static ptrdiff_t row_of(const ck_tiles *t, ptrdiff_t i) { return (t->first + i) / ((t->width + 1) / 2); }
static ptrdiff_t column_of(const ck_tiles *t, ptrdiff_t i) { return (t->first + i) % ((t->width + 1) / 2); }

static int is_inside(const ck_tiles *t, ptrdiff_t y, ptrdiff_t x) {
  return y >= 0 && y < t->height && x >= 0 && x < t->width;
}

/// Writes Bᵀ d B of channel k of tile i.
static void put_inputs(act *out, ptrdiff_t pitch, ptrdiff_t i, ptrdiff_t k, float d[SIDE][SIDE]) {
  for (int p = 0; p < SIDE; p++)
    for (int q = 0; q < SIDE; q++) {
      float sum = 0;
      for (int r = 0; r < SIDE; r++)
        for (int c = 0; c < SIDE; c++) sum += bt[p][r] * d[r][c] * bt[q][c];
      out[(SIDE * p + q) * pitch + i * CK_LANES + k] = narrow_act(sum);
    }
}

static void transform_normalized(
  void *out, ptrdiff_t pitch, const void *x, const float *scale, const float *shift, const ck_tiles *t) {
  const act *from = x;
  for (ptrdiff_t i = 0; i < t->count; i++)
    for (ptrdiff_t k = 0; k < CK_LANES; k++) {
      float d[SIDE][SIDE] = {{0}};
      for (int r = 0; r < SIDE; r++)
        for (int c = 0; c < SIDE; c++) {
          ptrdiff_t row = 2 * row_of(t, i) - 1 + r, column = 2 * column_of(t, i) - 1 + c;
          if (!is_inside(t, row, column)) continue;
          float value = scale[k] * widen_act(from[(row * t->width + column) * CK_LANES + k]) + shift[k];
          d[r][c] = value < 0 ? 0 : value;
        }
      put_inputs(out, pitch, i, k, d);
    }
}

/// What batch norm's backward leaves of the gradient at (row, column).
static float resolved(
  const float *gradient, const act *x, const ck_line *line, const ck_tiles *t, ptrdiff_t row, ptrdiff_t column,
  ptrdiff_t k) {
  if (!is_inside(t, row, column)) return 0;
  ptrdiff_t at = (row * t->width + column) * CK_LANES + k;
  return gradient[at] - line->constant[k] - line->slope[k] * widen_act(x[at]);
}

static void transform_resolved(
  void *out, ptrdiff_t pitch, const float *gradient, const void *x, const ck_line *line, const ck_tiles *t) {
  for (ptrdiff_t i = 0; i < t->count; i++)
    for (ptrdiff_t k = 0; k < CK_LANES; k++) {
      float d[SIDE][SIDE];
      for (int r = 0; r < SIDE; r++)
        for (int c = 0; c < SIDE; c++)
          d[r][c] = resolved(gradient, x, line, t, 2 * row_of(t, i) - 1 + r, 2 * column_of(t, i) - 1 + c, k);
      put_inputs(out, pitch, i, k, d);
    }
}

static void spread_resolved(
  void *out, ptrdiff_t pitch, const float *gradient, const void *x, const ck_line *line, const ck_tiles *t) {
  for (ptrdiff_t i = 0; i < t->count; i++)
    for (ptrdiff_t k = 0; k < CK_LANES; k++)
      for (int p = 0; p < SIDE; p++)
        for (int q = 0; q < SIDE; q++) {
          float sum = 0;
          for (int r = 0; r < OUT; r++)
            for (int c = 0; c < OUT; c++)
              sum += at[r][p] * at[c][q]
                     * resolved(gradient, x, line, t, 2 * row_of(t, i) + r, 2 * column_of(t, i) + c, k);
          ((act *)out)[(SIDE * p + q) * pitch + i * CK_LANES + k] = narrow_act(sum);
        }
}

/// (Aᵀ m A) at (r, c) of channel k of tile i.
static float gathered(const float *m, ptrdiff_t pitch, ptrdiff_t i, ptrdiff_t k, int r, int c) {
  float sum = 0;
  for (int p = 0; p < SIDE; p++)
    for (int q = 0; q < SIDE; q++) sum += at[r][p] * m[(SIDE * p + q) * pitch + i * CK_LANES + k] * at[c][q];
  return sum;
}

/// Calls `put` for each channel of each output that lies in the map, with its place there.
static void gather_each(
  const float *m, ptrdiff_t pitch, const ck_tiles *t, void (*put)(void *, ptrdiff_t, ptrdiff_t, float),
  void *context) {
  for (ptrdiff_t i = 0; i < t->count; i++)
    for (int r = 0; r < OUT; r++)
      for (int c = 0; c < OUT; c++) {
        ptrdiff_t row = 2 * row_of(t, i) + r, column = 2 * column_of(t, i) + c;
        if (!is_inside(t, row, column)) continue;
        for (ptrdiff_t k = 0; k < CK_LANES; k++)
          put(context, (row * t->width + column) * CK_LANES + k, k, gathered(m, pitch, i, k, r, c));
      }
}

typedef struct {
  act *out;
  const float *constant;
  float *sum, *square;
  const ck_gate *gate;
} destination;

static void put_output(void *context, ptrdiff_t at, ptrdiff_t k, float y) {
  (void)k;
  ((destination *)context)->out[at] = narrow_act(y);
}

static void gather(void *out, const float *m, ptrdiff_t pitch, const ck_tiles *t) {
  destination d = {.out = out};
  gather_each(m, pitch, t, put_output, &d);
}

static void put_summed(void *context, ptrdiff_t at, ptrdiff_t k, float y) {
  destination *d = context;
  d->out[at] = narrow_act(y);
  d->sum[k] += y - d->constant[k];
  d->square[k] += (y - d->constant[k]) * (y - d->constant[k]);
}

static void gather_summed(
  void *out, const float *m, ptrdiff_t pitch, const float *pivot, float *sum, float *square, const ck_tiles *t) {
  destination d = {.out = out, .constant = pivot, .sum = sum, .square = square};
  gather_each(m, pitch, t, put_summed, &d);
}

static void put_gated(void *context, ptrdiff_t at, ptrdiff_t k, float y) {
  destination *d = context;
  const ck_gate *gate = d->gate;
  float x = widen_act(((const act *)gate->x)[at]), gated = gate->scale[k] * x + gate->shift[k] > 0 ? y : 0;
  gate->sum[k] += gated;
  gate->product[k] += gated * (x - gate->mean[k]);
  d->out[at] = narrow_act(gate->scale[k] * gated);
}

static void gather_gated(void *out, const float *m, ptrdiff_t pitch, const ck_gate *gate, const ck_tiles *t) {
  destination d = {.out = out, .gate = gate};
  gather_each(m, pitch, t, put_gated, &d);
}

enum { BLOCK = CK_LANES * CK_LANES };

static void transform_weights(void *out, ptrdiff_t pitch, const float *taps) {
  for (ptrdiff_t w = 0; w < BLOCK; w++)
    for (int p = 0; p < SIDE; p++)
      for (int q = 0; q < SIDE; q++) {
        double sum = 0;
        for (int r = 0; r < TAPS; r++)
          for (int c = 0; c < TAPS; c++) sum += g[p][r] * taps[(TAPS * r + c) * BLOCK + w] * g[q][c];
        ((act *)out)[(SIDE * p + q) * pitch + weight_at(w / CK_LANES, w % CK_LANES)] = narrow_act((float)sum);
      }
}

static void gather_weights(
  float *taps, const float *places, ptrdiff_t pitch, ptrdiff_t groups, ptrdiff_t group_stride) {
  for (ptrdiff_t w = 0; w < BLOCK; w++)
    for (int r = 0; r < TAPS; r++)
      for (int c = 0; c < TAPS; c++) {
        double sum = 0;
        for (int p = 0; p < SIDE; p++)
          for (int q = 0; q < SIDE; q++)
            for (ptrdiff_t n = 0; n < groups; n++)
              sum += g[p][r] * places[n * group_stride + (SIDE * p + q) * pitch + w] * g[q][c];
        taps[(TAPS * r + c) * BLOCK + w] = (float)sum;
      }
}
