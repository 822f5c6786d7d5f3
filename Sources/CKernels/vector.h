// Vectors of CK_VL floats, for the templates *_vector.h. A file of one instruction set and one precision defines CK_IS_BF16, CK_VL, CK_MR and
// CK_NV (a convolution's tile in registers: pixels × vectors), CK_REGISTERS, CK_DEPTH_UNROLL (inputs of that tile at a time), CK_HAS_BF16 where the set multiplies pairs of bf16, and the
// attribute that names the set, then includes this and the templates.
#pragma once
#include "element.h"

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
/// The larger; what is not a number is.
CK_INLINE vec larger(vec a, vec b) {
  mask is_first = ~(a < b) & (b == b);
  return (vec)((mask)keep(is_first, a) | (mask)keep(~is_first, b));
}

// Vectors of A, and what a product of words is: `CK_STEPS` multiplications of vectors of floats, one after the other.

#if !CK_IS_BF16

typedef vec words;

CK_INLINE vec load_act(const act *p) { return load(p); }
CK_INLINE void store_act(act *p, vec v) { store_vec(p, v); }
CK_INLINE vec round_act(vec v) { return v; }

enum { CK_STEPS = 1 };

CK_INLINE words load_words(const act *p) { return load(p); }
CK_INLINE vec operand(words w, int step) { return (void)step, w; }
CK_INLINE vec add_product(vec sum, const act *word, int step, vec b) { return (void)step, sum + *word * b; }

#else

typedef uint32_t words __attribute__((vector_size(CK_VL * 4)));
typedef uint32_t words_in_memory __attribute__((vector_size(CK_VL * 4), aligned(2)));
typedef uint16_t half_vec __attribute__((vector_size(CK_VL * 2)));
typedef uint16_t half_vec_in_memory __attribute__((vector_size(CK_VL * 2), aligned(2)));

CK_INLINE words load_words(const act *p) { return *(const words_in_memory *)p; }
CK_INLINE void store_words(act *p, words w) { *(words_in_memory *)p = w; }
/// VL values, each in the lower half of a word.
CK_INLINE words load_halves(const act *p) { return __builtin_convertvector(*(const half_vec_in_memory *)p, words); }
CK_INLINE vec load_act(const act *p) { return (vec)(load_halves(p) << 16); }

/// v rounded, in the upper halves; the lower are anything.
CK_INLINE words rounded(vec v) {
  words bits = (words)v, is_nan = (words)(v != v);
  return (~is_nan & (bits + 0x7fff + (bits >> 16 & 1))) | (is_nan & (bits | 0x400000));
}

/// Pairs of rounded values.
CK_INLINE words pair_of(vec low, vec high) { return rounded(low) >> 16 | (rounded(high) & 0xffff0000); }

#if CK_HAS_BF16

CK_INLINE half_vec narrow(vec v) { return (half_vec)_mm512_cvtneps_pbh((__m512)v); }

enum { CK_STEPS = 1 };

CK_INLINE vec operand(words w, int step) { return (void)step, (vec)w; }
CK_INLINE vec add_product(vec sum, const act *word, int step, vec b) {
  int pair;
  memcpy(&pair, word, sizeof pair);
  return (void)step, (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(pair), (__m512bh)b);
}

#else

CK_INLINE half_vec narrow(vec v) { return __builtin_convertvector(rounded(v) >> 16, half_vec); }

enum { CK_STEPS = 2 };

CK_INLINE vec operand(words w, int step) { return (vec)(step ? w & 0xffff0000 : w << 16); }
CK_INLINE vec add_product(vec sum, const act *word, int step, vec b) { return sum + widen_act(word[step]) * b; }

#endif

CK_INLINE void store_act(act *p, vec v) { *(half_vec_in_memory *)p = narrow(v); }
/// What is read of v once it is stored.
CK_INLINE vec round_act(vec v) { return (vec)(__builtin_convertvector(narrow(v), words) << 16); }

#endif

/// What is still to be brought, and how many lines of it at a time.
typedef struct {
  const char *next;
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
  const char *next, *last;
} fetching;

enum { CK_LINE = 64 };

/// The next part's lines, as far as they lie in one piece; where there are none, `near` again and again.
CK_INLINE fetching fetch_part(fetch_state *f, const void *near) {
  if (f->pieces == 0 || f->left == 0) return (fetching){near, near};
  ptrdiff_t count = f->per_part < f->left ? f->per_part : f->left;
  fetching run = {f->next, f->next + (count - 1) * CK_LINE};
  f->next += count * CK_LINE;
  f->left -= count;
  if (f->left == 0 && --f->pieces > 0) {
    f->next += f->all->pitch - f->all->lines * CK_LINE;
    f->left = f->all->lines;
  }
  return run;
}

CK_INLINE void fetch_line(fetching *f) {
  __builtin_prefetch(f->next, 0, 2);
  f->next += f->next < f->last ? CK_LINE : 0;
}
