// Winograd's minimal filtering: what its transforms do to a vector's channels of one tile after the other.
//
// The tile grid begins at the map's first pixel and each output is a fixed tree of its tile's values, so its bits do not depend on
// which tiles came in one call.
#include "vector.h"

typedef struct {
  vec at[4];
} four;

/// Bᵀ d.
CK_INLINE four input_transform(const vec d[4]) {
  return (four){{d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]}};
}

/// A run of tiles in one row of them.
typedef struct {
  ptrdiff_t row, column, count;
} tile_run;

/// The run that begins `done` tiles behind the first.
CK_INLINE tile_run run_at(const ck_tiles *t, ptrdiff_t done) {
  ptrdiff_t columns = (t->width + 1) / 2, tile = t->first + done;
  tile_run run = {tile / columns, tile % columns, t->count - done};
  if (run.count > columns - run.column) run.count = columns - run.column;
  return run;
}

typedef enum { NORMALIZED, RESOLVED } source_kind;

/// A map and what is made of its pixels: max(0, first · x + second), or g − first − second · x.
typedef struct {
  const act *x;
  const float *g;
  vec first, second;
} source;

CK_INLINE vec value(const source *s, source_kind kind, ptrdiff_t at) {
  vec x = load_act(s->x + at);
  return kind == NORMALIZED ? relu(x * s->first + s->second) : load(s->g + at) - s->first - s->second * x;
}

/// Bᵀ of four rows of column `x` from row `y` on; zero outside of the map. `whole`: all four rows lie in it.
CK_INLINE four column(const source *s, source_kind kind, int whole, const ck_tiles *t, ptrdiff_t y, ptrdiff_t x) {
  if (x < 0 || x >= t->width) return (four){{{0}}};
  vec d[4];
  CK_UNROLL for (int r = 0; r < 4; r++)
    d[r] = whole || (y + r >= 0 && y + r < t->height) ? value(s, kind, ((y + r) * t->width + x) * CK_LANES) : (vec){0};
  return input_transform(d);
}

CK_INLINE void transform_run(
  act *out, ptrdiff_t pitch, const source *s, source_kind kind, int whole, const ck_tiles *t, tile_run run) {
  ptrdiff_t y = 2 * run.row - 1, x = 2 * run.column - 1;
  four a = column(s, kind, whole, t, y, x), b = column(s, kind, whole, t, y, x + 1);
  for (ptrdiff_t i = 0; i < run.count; i++, out += CK_LANES, x += 2) {
    four c = column(s, kind, whole, t, y, x + 2), d = column(s, kind, whole, t, y, x + 3);
    CK_UNROLL for (int p = 0; p < 4; p++) {
      act *o = out + 4 * p * pitch;
      store_act(o, a.at[p] - c.at[p]);
      store_act(o + pitch, b.at[p] + c.at[p]);
      store_act(o + 2 * pitch, c.at[p] - b.at[p]);
      store_act(o + 3 * pitch, b.at[p] - d.at[p]);
    }
    a = c;
    b = d;
  }
}

CK_INLINE void transform(act *out, ptrdiff_t pitch, const source *s, source_kind kind, const ck_tiles *t) {
  for (ptrdiff_t done = 0; done < t->count;) {
    tile_run run = run_at(t, done);
    if (run.row > 0 && 2 * run.row + 3 <= t->height) transform_run(out + done * CK_LANES, pitch, s, kind, 1, t, run);
    else transform_run(out + done * CK_LANES, pitch, s, kind, 0, t, run);
    done += run.count;
  }
}

static void transform_normalized(
  void *out, ptrdiff_t pitch, const void *x, const float *scale, const float *shift, const ck_tiles *t) {
  for (int j = 0; j < CK_PV; j++) {
    ptrdiff_t k = j * CK_VL;
    source s = {.x = (const act *)x + k, .first = load(scale + k), .second = load(shift + k)};
    transform((act *)out + k, pitch, &s, NORMALIZED, t);
  }
}

CK_INLINE source source_of(const float *g, const void *x, const ck_line *line, ptrdiff_t k) {
  return (source){(const act *)x + k, g + k, load(line->constant + k), load(line->slope + k)};
}

static void transform_resolved(
  void *out, ptrdiff_t pitch, const float *g, const void *x, const ck_line *line, const ck_tiles *t) {
  for (int j = 0; j < CK_PV; j++) {
    ptrdiff_t k = j * CK_VL;
    source s = source_of(g, x, line, k);
    transform((act *)out + k, pitch, &s, RESOLVED, t);
  }
}

/// A e of two rows of column `x` from row `y` on.
CK_INLINE four spread_column(const source *s, const ck_tiles *t, ptrdiff_t y, ptrdiff_t x) {
  if (x >= t->width) return (four){{{0}}};
  ptrdiff_t at = (y * t->width + x) * CK_LANES;
  vec upper = value(s, RESOLVED, at), lower = {0};
  if (y + 1 < t->height) lower = value(s, RESOLVED, at + t->width * CK_LANES);
  return (four){{upper, upper + lower, upper - lower, -lower}};
}

static void spread_resolved(
  void *out, ptrdiff_t pitch, const float *g, const void *x, const ck_line *line, const ck_tiles *t) {
  for (int j = 0; j < CK_PV; j++) {
    ptrdiff_t k = j * CK_VL;
    source s = source_of(g, x, line, k);
    for (ptrdiff_t done = 0; done < t->count;) {
      tile_run run = run_at(t, done);
      act *tile = (act *)out + k + done * CK_LANES;
      for (ptrdiff_t i = 0; i < run.count; i++, tile += CK_LANES) {
        ptrdiff_t left = 2 * (run.column + i);
        four a = spread_column(&s, t, 2 * run.row, left), b = spread_column(&s, t, 2 * run.row, left + 1);
        CK_UNROLL for (int p = 0; p < 4; p++) {
          act *o = tile + 4 * p * pitch;
          store_act(o, a.at[p]);
          store_act(o + pitch, a.at[p] + b.at[p]);
          store_act(o + 2 * pitch, a.at[p] - b.at[p]);
          store_act(o + 3 * pitch, -b.at[p]);
        }
      }
      done += run.count;
    }
  }
}

typedef enum { GATHER, GATHER_SUMMED, GATHER_GATED } gather_kind;

/// What becomes of a vector's outputs, and its sums.
typedef struct {
  const act *x;
  /// Pivot, or shift.
  vec constant;
  vec scale, mean;
  vec sum, second;
} gathering;

CK_INLINE void put_output(act *out, vec y, ptrdiff_t at, gather_kind kind, gathering *g) {
  if (kind == GATHER_SUMMED) {
    vec centered = y - g->constant;
    g->sum += centered;
    g->second += centered * centered;
  } else if (kind == GATHER_GATED) {
    vec x = load_act(g->x + at);
    y = keep(x * g->scale + g->constant > 0, y);
    g->sum += y;
    g->second += y * (x - g->mean);
    y *= g->scale;
  }
  store_act(out + at, y);
}

CK_INLINE void gather_tiles(
  act *out, const float *m, ptrdiff_t pitch, gather_kind kind, const ck_tiles *t, gathering *g) {
  for (ptrdiff_t done = 0; done < t->count;) {
    tile_run run = run_at(t, done);
    for (ptrdiff_t i = 0; i < run.count; i++) {
      const float *tile = m + (done + i) * CK_LANES;
      vec upper[4], lower[4];
      CK_UNROLL for (int q = 0; q < 4; q++) {
        vec middle = load(tile + (4 + q) * pitch), next = load(tile + (8 + q) * pitch);
        upper[q] = load(tile + q * pitch) + middle + next;
        lower[q] = middle - next - load(tile + (12 + q) * pitch);
      }
      ptrdiff_t y = 2 * run.row, x = 2 * (run.column + i), at = (y * t->width + x) * CK_LANES;
      int right = x + 1 < t->width;
      put_output(out, upper[0] + upper[1] + upper[2], at, kind, g);
      if (right) put_output(out, upper[1] - upper[2] - upper[3], at + CK_LANES, kind, g);
      if (y + 1 == t->height) continue;
      at += t->width * CK_LANES;
      put_output(out, lower[0] + lower[1] + lower[2], at, kind, g);
      if (right) put_output(out, lower[1] - lower[2] - lower[3], at + CK_LANES, kind, g);
    }
    done += run.count;
  }
}

static void gather(void *out, const float *m, ptrdiff_t pitch, const ck_tiles *t) {
  for (int j = 0; j < CK_PV; j++) {
    gathering g = {0};
    gather_tiles((act *)out + j * CK_VL, m + j * CK_VL, pitch, GATHER, t, &g);
  }
}

static void gather_summed(
  void *out, const float *m, ptrdiff_t pitch, const float *pivot, float *sum, float *square, const ck_tiles *t) {
  for (int j = 0; j < CK_PV; j++) {
    ptrdiff_t k = j * CK_VL;
    gathering g = {.constant = load(pivot + k), .sum = load(sum + k), .second = load(square + k)};
    gather_tiles((act *)out + k, m + k, pitch, GATHER_SUMMED, t, &g);
    store_vec(sum + k, g.sum);
    store_vec(square + k, g.second);
  }
}

static void gather_gated(void *out, const float *m, ptrdiff_t pitch, const ck_gate *gate, const ck_tiles *t) {
  for (int j = 0; j < CK_PV; j++) {
    ptrdiff_t k = j * CK_VL;
    gathering g = {(const act *)gate->x + k, load(gate->shift + k), load(gate->scale + k),
                   load(gate->mean + k),     load(gate->sum + k),   load(gate->product + k)};
    gather_tiles((act *)out + k, m + k, pitch, GATHER_GATED, t, &g);
    store_vec(gate->sum + k, g.sum);
    store_vec(gate->product + k, g.second);
  }
}

// Weights are few: in double, so that only the last rounding is left of what the transform would add to each output's error.

// Where a vector of doubles is wider than the set's registers: these are inlined, so how they would be passed is of no matter.
#pragma clang diagnostic ignored "-Wpsabi"

typedef double wide __attribute__((vector_size(CK_VL * 8)));

CK_INLINE wide widen_vec(const float *p) { return __builtin_convertvector(load(p), wide); }
CK_INLINE vec narrow_vec(wide v) { return __builtin_convertvector(v, vec); }

enum { BLOCK = CK_LANES * CK_LANES };

/// The 16 places of CK_VL weights whose taps are BLOCK apart.
CK_INLINE void transform_taps(vec places[16], const float *taps) {
  wide rows[4][3];
  CK_UNROLL for (int c = 0; c < 3; c++) {
    wide top = widen_vec(taps + c * BLOCK), middle = widen_vec(taps + (3 + c) * BLOCK);
    wide bottom = widen_vec(taps + (6 + c) * BLOCK), outer = top + bottom;
    rows[0][c] = top;
    rows[1][c] = 0.5 * (outer + middle);
    rows[2][c] = 0.5 * (outer - middle);
    rows[3][c] = bottom;
  }
  CK_UNROLL for (int p = 0; p < 4; p++) {
    wide outer = rows[p][0] + rows[p][2];
    places[4 * p] = narrow_vec(rows[p][0]);
    places[4 * p + 1] = narrow_vec(0.5 * (outer + rows[p][1]));
    places[4 * p + 2] = narrow_vec(0.5 * (outer - rows[p][1]));
    places[4 * p + 3] = narrow_vec(rows[p][2]);
  }
}

static void transform_weights(void *out, ptrdiff_t pitch, const float *taps) {
  for (ptrdiff_t i = 0; i < CK_LANES; i += CK_WORD)
    for (ptrdiff_t k = 0; k < CK_LANES; k += CK_VL) {
      act *o = (act *)out + weight_at(i, k);
      vec places[16];
      transform_taps(places, taps + i * CK_LANES + k);
#if CK_IS_BF16
      vec next[16];
      transform_taps(next, taps + (i + 1) * CK_LANES + k);
      CK_UNROLL for (int p = 0; p < 16; p++) store_words(o + p * pitch, pair_of(places[p], next[p]));
#else
      CK_UNROLL for (int p = 0; p < 16; p++) store_act(o + p * pitch, places[p]);
#endif
    }
}

static void gather_weights(
  float *taps, const float *places, ptrdiff_t pitch, ptrdiff_t groups, ptrdiff_t group_stride) {
  for (ptrdiff_t w = 0; w < BLOCK; w += CK_VL) {
    wide rows[3][4];
    CK_UNROLL for (int q = 0; q < 4; q++) {
      wide u[4] = {{0}};
      for (ptrdiff_t n = 0; n < groups; n++)
        CK_UNROLL for (int p = 0; p < 4; p++) u[p] += widen_vec(places + n * group_stride + (4 * p + q) * pitch + w);
      wide even = 0.5 * (u[1] + u[2]);
      rows[0][q] = u[0] + even;
      rows[1][q] = 0.5 * (u[1] - u[2]);
      rows[2][q] = even + u[3];
    }
    CK_UNROLL for (int r = 0; r < 3; r++) {
      float *tap = taps + 3 * r * BLOCK + w;
      wide even = 0.5 * (rows[r][1] + rows[r][2]);
      store_vec(tap, narrow_vec(rows[r][0] + even));
      store_vec(tap + BLOCK, narrow_vec(0.5 * (rows[r][1] - rows[r][2])));
      store_vec(tap + 2 * BLOCK, narrow_vec(even + rows[r][3]));
    }
  }
}
