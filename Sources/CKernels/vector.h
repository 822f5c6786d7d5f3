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
