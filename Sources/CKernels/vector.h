// Vectors of CK_VL floats, for the templates *_vector.h. A file of one instruction set defines CK_VL, CK_MR and CK_NV (a convolution's
// tile in registers: pixels × vectors) and the attribute that names the set, then includes this and a template.
#pragma once
#include <string.h>

#include "families.h"

#define CK_INLINE static inline __attribute__((always_inline))
#define CK_UNROLL _Pragma("clang loop unroll(full)")

typedef float vec __attribute__((vector_size(CK_VL * 4)));
typedef int mask __attribute__((vector_size(CK_VL * 4)));
typedef float vec_in_memory __attribute__((vector_size(CK_VL * 4), aligned(4)));

/// Vectors of a pixel.
enum { CK_PV = CK_LANES / CK_VL };

CK_INLINE vec load(const float *p) { return *(const vec_in_memory *)p; }
CK_INLINE void store_vec(float *p, vec v) { *(vec_in_memory *)p = v; }
CK_INLINE vec splat(float x) { return x - (vec){0}; }
/// v where the mask is set, else 0.
CK_INLINE vec keep(mask m, vec v) { return (vec)(m & (mask)v); }
/// max(0, v); not a number stays one.
CK_INLINE vec relu(vec v) { return keep(~(v < 0), v); }
/// max(floor, v); not a number stays one.
CK_INLINE vec at_least(vec floor, vec v) { return (vec)((mask)keep(v < floor, floor) | (mask)keep(~(v < floor), v)); }

/// What is still to be brought, and how many lines of it at a time.
typedef struct {
  const float *next;
  ptrdiff_t left, pieces, per_part;
  const ck_fetch *all;
} fetch_state;

/// For `parts` parts, all but the last equal.
CK_INLINE fetch_state begin_fetch(const ck_fetch *f, ptrdiff_t parts) {
  ptrdiff_t lines = f->lines * f->pieces;
  return (fetch_state){f->start, f->lines, f->pieces, lines > 0 ? (lines + parts - 1) / parts : 0, f};
}

/// A run of lines.
typedef struct {
  const float *next, *last;
} fetching;

/// The next part's lines, as far as they lie in one piece; where there are none, `near` again and again.
CK_INLINE fetching fetch_part(fetch_state *f, const float *near) {
  if (f->pieces == 0 || f->left == 0) return (fetching){near, near};
  ptrdiff_t count = f->per_part < f->left ? f->per_part : f->left;
  fetching run = {f->next, f->next + (count - 1) * 16};
  f->next += count * 16;
  f->left -= count;
  if (f->left == 0 && --f->pieces > 0) {
    f->next += f->all->pitch - f->all->lines * 16;
    f->left = f->all->lines;
  }
  return run;
}

CK_INLINE void fetch_line(fetching *f) {
  __builtin_prefetch(f->next, 0, 2);
  f->next += f->next < f->last ? 16 : 0;
}
