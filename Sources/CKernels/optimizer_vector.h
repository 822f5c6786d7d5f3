// Optimizer steps, one element like the other: plain loops that the compiler makes vectors of.
#include "vector.h"

/// 16 sums side by side, then added in order: the same for any width of vectors.
static double sum_of_squares(const float *x, ptrdiff_t count) {
  double sums[16] = {0};
  ptrdiff_t whole = count / 16 * 16;
  for (ptrdiff_t i = 0; i < whole; i += 16)
    CK_UNROLL for (int j = 0; j < 16; j++) sums[j] += (double)x[i + j] * x[i + j];
  double sum = 0;
  for (int j = 0; j < 16; j++) sum += sums[j];
  for (ptrdiff_t i = whole; i < count; i++) sum += (double)x[i] * x[i];
  return sum;
}

static void sgd(
  float *restrict weights, float *restrict velocity, const float *restrict gradients, const ck_sgd_step *step,
  ptrdiff_t count) {
  const ck_sgd_step s = *step;
  for (ptrdiff_t i = 0; i < count; i++) {
    float g = gradients[i] * s.gradient_scale + s.decay * weights[i];
    float v = s.first_step ? g : s.momentum * velocity[i] + g;
    velocity[i] = v;
    weights[i] -= s.rate * (s.nesterov ? g + s.momentum * v : v);
  }
}

static void adam(
  float *restrict weights, float *restrict first, float *restrict second, const float *restrict gradients,
  const ck_adam_step *step, ptrdiff_t count) {
  const ck_adam_step s = *step;
  for (ptrdiff_t i = 0; i < count; i++) {
    float w = weights[i] * s.shrink;
    float g = gradients[i] * s.gradient_scale + s.decay * w;
    float m = s.beta1 * first[i] + s.rest1 * g;
    float v = s.beta2 * second[i] + s.rest2 * g * g;
    first[i] = m;
    second[i] = v;
    weights[i] = w - s.step_size * m / (__builtin_elementwise_sqrt(v) / s.root + s.epsilon);
  }
}
