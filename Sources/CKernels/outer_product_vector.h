// The weight gradient: some inputs × some channels stay in registers while the pixels, or pairs of them, pass by, in order.
#include "vector.h"

// Of 16 registers 8 are for sums, of 32 the half.
enum { SIDE_BY_SIDE = 2, INPUTS = CK_REGISTERS / 2 / SIDE_BY_SIDE };

CK_INLINE void some_inputs(
  const ck_outer_product *p, ptrdiff_t d, ptrdiff_t stride, ptrdiff_t column, fetching fetch) {
  vec acc[INPUTS][SIDE_BY_SIDE];
  float *weights = p->weights + d * CK_LANES + column;
  CK_UNROLL for (int i = 0; i < INPUTS; i++)
    CK_UNROLL for (int j = 0; j < SIDE_BY_SIDE; j++) acc[i][j] = load(weights + i * CK_LANES + j * CK_VL);
  for (ptrdiff_t r = 0; r < p->rows; r++) {
    const act *input = (const act *)p->input + (r * p->input_pitch + d) * CK_WORD;
    const act *gradient = (const act *)p->gradient + (r * p->gradient_pitch + column) * CK_WORD;
#pragma clang loop unroll_count(2)
    for (ptrdiff_t q = 0; q < p->width; q++) {
      if (q % 2 == 0) fetch_line(&fetch);
      words w[SIDE_BY_SIDE];
      CK_UNROLL for (int j = 0; j < SIDE_BY_SIDE; j++) w[j] = load_words(gradient + j * CK_VL * CK_WORD);
      CK_UNROLL for (int step = 0; step < CK_STEPS; step++) {
        vec g[SIDE_BY_SIDE];
        CK_UNROLL for (int j = 0; j < SIDE_BY_SIDE; j++) g[j] = operand(w[j], step);
        CK_UNROLL for (int i = 0; i < INPUTS; i++)
          CK_UNROLL for (int j = 0; j < SIDE_BY_SIDE; j++) acc[i][j] = add_product(acc[i][j], input + i * CK_WORD, step, g[j]);
      }
      input += stride * CK_WORD;
      gradient += CK_LANES * CK_WORD;
    }
  }
  CK_UNROLL for (int i = 0; i < INPUTS; i++)
    CK_UNROLL for (int j = 0; j < SIDE_BY_SIDE; j++) store_vec(weights + i * CK_LANES + j * CK_VL, acc[i][j]);
}

static void accumulate_outer_product(const ck_outer_product *p) {
  fetch_state state = begin_fetch(&p->fetch, p->depth / INPUTS);
  for (ptrdiff_t d = 0; d < p->depth; d += INPUTS) {
    fetching fetch = fetch_part(&state, p->weights);
    for (ptrdiff_t column = 0; column < CK_LANES; column += SIDE_BY_SIDE * CK_VL)
      if (p->stride == CK_LANES) some_inputs(p, d, CK_LANES, column, fetch);
      else some_inputs(p, d, p->stride, column, fetch);
  }
}
