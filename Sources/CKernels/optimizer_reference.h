// Optimizer steps as PyTorch has them.
#include <math.h>

#include "kernels.h"

static double sum_of_squares(const float *x, ptrdiff_t count) {
  double sum = 0;
  for (ptrdiff_t i = 0; i < count; i++) sum += (double)x[i] * x[i];
  return sum;
}

static void sgd(float *weights, float *velocity, const float *gradients, const ck_sgd_step *step, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    float g = gradients[i] * step->gradient_scale + step->decay * weights[i];
    velocity[i] = step->first_step ? g : step->momentum * velocity[i] + g;
    weights[i] -= step->rate * (step->nesterov ? g + step->momentum * velocity[i] : velocity[i]);
  }
}

static void adam(
  float *weights, float *first, float *second, const float *gradients, const ck_adam_step *step, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i++) {
    float w = weights[i] * step->shrink;
    float g = gradients[i] * step->gradient_scale + step->decay * w;
    first[i] = step->beta1 * first[i] + step->rest1 * g;
    second[i] = step->beta2 * second[i] + step->rest2 * g * g;
    weights[i] = w - step->step_size * first[i] / (sqrtf(second[i]) / step->root + step->epsilon);
  }
}
