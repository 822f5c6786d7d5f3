// The weight gradient: 8 inputs × 32 channels stay in registers while the pixels pass by, in order.
#include "vector.h"

enum { INPUTS = 8 };

CK_INLINE void eight(
  const ck_outer_product *p, ptrdiff_t d, ptrdiff_t stride, ptrdiff_t column, fetching fetch) {
  vec acc[INPUTS][CK_NV];
  float *weights = p->weights + d * CK_LANES + column;
  CK_UNROLL for (int i = 0; i < INPUTS; i++)
    CK_UNROLL for (int j = 0; j < CK_NV; j++) acc[i][j] = load(weights + i * CK_LANES + j * CK_VL);
  for (ptrdiff_t r = 0; r < p->rows; r++) {
    const float *input = p->input + r * p->input_pitch + d;
    const float *gradient = p->gradient + r * p->gradient_pitch + column;
#pragma clang loop unroll_count(2)
    for (ptrdiff_t q = 0; q < p->width; q++) {
      if (q % 2 == 0) fetch_line(&fetch);
      vec g[CK_NV];
      CK_UNROLL for (int j = 0; j < CK_NV; j++) g[j] = load(gradient + j * CK_VL);
      CK_UNROLL for (int i = 0; i < INPUTS; i++)
        CK_UNROLL for (int j = 0; j < CK_NV; j++) acc[i][j] += input[i] * g[j];
      input += stride;
      gradient += CK_LANES;
    }
  }
  CK_UNROLL for (int i = 0; i < INPUTS; i++)
    CK_UNROLL for (int j = 0; j < CK_NV; j++) store_vec(weights + i * CK_LANES + j * CK_VL, acc[i][j]);
}

static void accumulate_outer_product(const ck_outer_product *p) {
  fetch_state state = begin_fetch(&p->fetch, p->depth / INPUTS);
  for (ptrdiff_t d = 0; d < p->depth; d += INPUTS) {
    fetching fetch = fetch_part(&state, p->weights);
    for (ptrdiff_t column = 0; column < CK_LANES; column += CK_NV * CK_VL)
      if (p->stride == CK_LANES) eight(p, d, CK_LANES, column, fetch);
      else eight(p, d, p->stride, column, fetch);
  }
}
