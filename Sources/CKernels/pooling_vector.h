// Pools and their gradients, the head, and the sums of batch norm over stored pixels; a vector's channels at a time.
#include "vector.h"

static void max_pool(
  void *out, const void *top, const void *middle, const void *bottom, const float *scale, const float *shift,
  ptrdiff_t width) {
  const act *rows[3];
  int count = 0;
  if (top) rows[count++] = top;
  rows[count++] = middle;
  if (bottom) rows[count++] = bottom;
  for (int j = 0; j < CK_PV; j++) {
    vec s = load(scale + j * CK_VL), t = load(shift + j * CK_VL);
    for (ptrdiff_t q = 0; q < (width + 1) / 2; q++) {
      ptrdiff_t first = q == 0 ? 0 : 2 * q - 1, last = 2 * q + 1 < width ? 2 * q + 1 : width - 1;
      vec best = {0};
      for (int r = 0; r < count; r++)
        for (ptrdiff_t x = first; x <= last; x++)
          best = larger(best, load_act(rows[r] + x * CK_LANES + j * CK_VL) * s + t);
      store_act((act *)out + q * CK_LANES + j * CK_VL, best);
    }
  }
}

static void max_unpool(
  void *d, const void *x, const void *pooled, const void *g, const float *scale, const float *shift,
  ptrdiff_t height, ptrdiff_t width) {
  act *out = d;
  const act *from = x;
  memset(out, 0, sizeof(act) * (size_t)(height * width * CK_LANES));
  ptrdiff_t out_width = (width + 1) / 2;
  for (ptrdiff_t p = 0; p < (height + 1) / 2; p++) {
    ptrdiff_t top = p == 0 ? 0 : 2 * p - 1, bottom = 2 * p + 1 < height ? 2 * p + 1 : height - 1;
    for (int j = 0; j < CK_PV; j++) {
      vec s = load(scale + j * CK_VL), t = load(shift + j * CK_VL);
      for (ptrdiff_t q = 0; q < out_width; q++) {
        ptrdiff_t i = (p * out_width + q) * CK_LANES + j * CK_VL;
        ptrdiff_t first = q == 0 ? 0 : 2 * q - 1, last = 2 * q + 1 < width ? 2 * q + 1 : width - 1;
        vec best = load_act((const act *)pooled + i), gradient = load_act((const act *)g + i);
        mask open = best > 0;
        for (ptrdiff_t y = top; y <= bottom; y++)
          for (ptrdiff_t c = first; c <= last; c++) {
            ptrdiff_t source = (y * width + c) * CK_LANES + j * CK_VL;
            mask here = open & (round_act(relu(load_act(from + source) * s + t)) == best);
            open &= ~here;
            store_act(out + source, load_act(out + source) + keep(here, gradient));
          }
      }
    }
  }
}

/// What a gate's sums are made with, for the channels of vector j.
typedef struct {
  vec scale, shift, mean, sum, product;
} sums_of_gate;

CK_INLINE sums_of_gate begin(const ck_gate *gate, int j) {
  ptrdiff_t k = j * CK_VL;
  return (sums_of_gate){load(gate->scale + k), load(gate->shift + k), load(gate->mean + k), load(gate->sum + k),
                        load(gate->product + k)};
}

CK_INLINE void end(sums_of_gate sums, const ck_gate *gate, int j) {
  store_vec(gate->sum + j * CK_VL, sums.sum);
  store_vec(gate->product + j * CK_VL, sums.product);
}

/// Accumulates; returns scale · d.
CK_INLINE vec through(vec d, vec x, sums_of_gate *sums) {
  sums->sum += d;
  sums->product += d * (x - sums->mean);
  return sums->scale * d;
}

CK_INLINE vec x_of(const ck_gate *gate, ptrdiff_t at) { return load_act((const act *)gate->x + at); }

static void average_unpool(
  float *out, const float *g, const ck_gate *gate, ptrdiff_t rows, ptrdiff_t out_width, ptrdiff_t width) {
  for (int j = 0; j < CK_PV; j++) {
    sums_of_gate sums = begin(gate, j);
    for (ptrdiff_t y = 0; y < 2 * rows; y++) {
      const float *pooled = g + y / 2 * out_width * CK_LANES + j * CK_VL;
      ptrdiff_t at = y * width * CK_LANES + j * CK_VL;
      for (ptrdiff_t q = 0; q < out_width; q++, pooled += CK_LANES) {
        vec share = 0.25f * load(pooled);
        CK_UNROLL for (int side = 0; side < 2; side++, at += CK_LANES) {
          vec x = x_of(gate, at);
          store_vec(out + at, through(keep(x * sums.scale + sums.shift > 0, share), x, &sums));
        }
      }
      if (width > 2 * out_width) store_vec(out + at, (vec){0});
    }
    end(sums, gate, j);
  }
}

static void head_sum(
  float *sum, const void *x, const float *scale, const float *shift, float floor, ptrdiff_t pixels) {
  for (int j = 0; j < CK_PV; j++) {
    vec s = load(scale + j * CK_VL), t = load(shift + j * CK_VL), lowest = splat(floor), total = {0};
    for (ptrdiff_t i = 0; i < pixels; i++) total += at_least(lowest, load_act((const act *)x + i * CK_LANES + j * CK_VL) * s + t);
    store_vec(sum + j * CK_VL, total);
  }
}

static void head_unpool(float *out, const float *gradient, float floor, const ck_gate *gate, ptrdiff_t pixels) {
  for (int j = 0; j < CK_PV; j++) {
    sums_of_gate sums = begin(gate, j);
    vec share = load(gradient + j * CK_VL), lowest = splat(floor);
    for (ptrdiff_t i = 0; i < pixels; i++) {
      ptrdiff_t at = i * CK_LANES + j * CK_VL;
      vec x = x_of(gate, at);
      store_vec(out + at, through(keep(x * sums.scale + sums.shift > lowest, share), x, &sums));
    }
    end(sums, gate, j);
  }
}

static void sums(const void *x, const float *pivot, float *sum, float *square, ptrdiff_t pixels) {
  for (int j = 0; j < CK_PV; j++) {
    vec center = load(pivot + j * CK_VL), first = load(sum + j * CK_VL), second = load(square + j * CK_VL);
    for (ptrdiff_t i = 0; i < pixels; i++) {
      vec centered = load_act((const act *)x + i * CK_LANES + j * CK_VL) - center;
      first += centered;
      second += centered * centered;
    }
    store_vec(sum + j * CK_VL, first);
    store_vec(square + j * CK_VL, second);
  }
}

static void scale_summed(void *d, const ck_gate *gate, ptrdiff_t pixels) {
  act *out = d;
  for (int j = 0; j < CK_PV; j++) {
    sums_of_gate sums = begin(gate, j);
    for (ptrdiff_t i = 0; i < pixels; i++) {
      ptrdiff_t at = i * CK_LANES + j * CK_VL;
      store_act(out + at, through(load_act(out + at), x_of(gate, at), &sums));
    }
    end(sums, gate, j);
  }
}
