// What is called, and with which shapes: arrays end where the call's last pixel does, and results are named for their function.
#pragma once
#include <math.h>

#include "arrays.h"

enum { BLOCK = CK_LANES * CK_LANES, SHAPE = 5 };

// Convolutions: rows, width, segments, depth, stride.

static ptrdiff_t output_size(const ptrdiff_t *s) { return ((s[0] - 1) * (s[1] + 2) + s[1]) * CK_LANES; }

/// A tile whose segments stand at odd places, and whose arrays end where it ends.
static ck_tile tile_of(run *r, const ptrdiff_t *s) {
  for (ptrdiff_t i = 0; i < s[2]; i++) r->segment[i] = i * 41;
  ptrdiff_t pitch = s[1] * s[4] + 3, size = (s[2] - 1) * 41 + (s[0] - 1) * pitch + (s[1] - 1) * s[4] + s[3];
  ck_tile t = {
    .segment = r->segment, .segments = s[2], .depth = s[3], .stride = s[4], .input_pitch = pitch,
    .output_pitch = (s[1] + 2) * CK_LANES, .rows = s[0], .width = s[1]};
  t.input = acts(r, "input", size);
  t.weights = acts(r, "weights", s[2] * s[3] * CK_LANES);
  t.fetch = (ck_fetch){t.input, 3, s[2], 41};
  return t;
}

/// An output of its own for each function; they are named for them.
static void convolution(run *r, const ptrdiff_t *s) {
  // Words of bf16 are two inputs.
  if (r->precision == CK_BF16 && s[3] % 2 != 0) return;
  const ck_convolution *c = &r->kernels.convolution;
  ck_tile t = tile_of(r, s);
  t.output = acts(r, "store", output_size(s));
  c->store(&t);
  t.output = floats(r, "store_float", output_size(s));
  c->store_float(&t);
  t.output = acts(r, "store_rectified", output_size(s));
  c->store_rectified(&t, lanes(r, "bias"));
  t.output = acts(r, "store_summed", output_size(s));
  c->store_summed(&t, lanes(r, "pivot"), lanes(r, "store_summed's sum"), lanes(r, "store_summed's square"));
  ck_gate gate = gate_of(r, acts(r, "x", output_size(s)));
  t.output = floats(r, "accumulate_gated", output_size(s));
  c->accumulate_gated(&t, &gate);
}

/// A row at once and in parts: writes how many outputs' bits differ, which should be none.
static void cut(run *r, const ptrdiff_t *s) {
  ck_tile t = tile_of(r, s), part = t;
  float *whole = floats(r, "whole", output_size(s)), *parts = floats(r, "parts", output_size(s));
  float *differing = floats(r, "differing", 1);
  t.output = whole;
  r->kernels.convolution.store_float(&t);
  size_t size = r->precision == CK_BF16 ? 2 : 4;
  for (ptrdiff_t q = 0; q < t.width; q += 5) {
    part.input = (const char *)t.input + (size_t)(q * t.stride) * size;
    part.output = parts + q * CK_LANES;
    part.width = t.width - q < 5 ? t.width - q : 5;
    r->kernels.convolution.store_float(&part);
  }
  *differing = 0;
  for (ptrdiff_t i = 0; i < output_size(s); i++) *differing += whole[i] != parts[i];
}

/// Rows, width, stride, depth: in words.
static void outer_product(run *r, const ptrdiff_t *s) {
  ptrdiff_t word = r->precision == CK_BF16 ? 2 : 1, pitch = s[1] * s[2] + 5, gradient_pitch = (s[1] + 2) * CK_LANES;
  ck_outer_product p = {
    .input_pitch = pitch, .stride = s[2], .depth = s[3], .gradient_pitch = gradient_pitch, .rows = s[0], .width = s[1]};
  p.input = acts(r, "input", word * ((s[0] - 1) * pitch + (s[1] - 1) * s[2] + s[3]));
  p.gradient = acts(r, "gradient", word * output_size(s));
  p.weights = floats(r, "weights", s[3] * CK_LANES);
  p.fetch = (ck_fetch){p.input, 2, s[0], 41};
  r->kernels.accumulate_outer_product(&p);
}

// Packing.

static void interleave(run *r, const ptrdiff_t *s) {
  ptrdiff_t plane = s[1] + 3;
  r->kernels.packing.interleave(
    acts(r, "out", s[0] * s[1]), floats(r, "planes", (s[0] - 1) * plane + s[1]), s[0], plane, s[1]);
}

static void widen(run *r, const ptrdiff_t *s) {
  r->kernels.packing.widen(floats(r, "out", s[0]), acts(r, "x", s[0]), s[0]);
}

static void pair(run *r, const ptrdiff_t *s) {
  r->kernels.packing.pair(acts(r, "out", 2 * s[0]), acts(r, "low", s[0]), acts(r, "high", s[0]), s[0]);
}

static void pair_pixels(run *r, const ptrdiff_t *s) {
  ptrdiff_t room = (s[0] + 1) / 2 * 2 * CK_LANES;
  void *in_place = acts(r, "in place", room);
  r->kernels.packing.pair_pixels(acts(r, "out", room), acts(r, "x", s[0] * CK_LANES), s[0]);
  r->kernels.packing.pair_pixels(in_place, in_place, s[0]);
}

static void normalize(run *r, const ptrdiff_t *s) {
  ptrdiff_t size = s[0] * CK_LANES;
  r->kernels.packing.normalize(acts(r, "out", size), acts(r, "x", size), lanes(r, "scale"), lanes(r, "shift"), s[0]);
}

static void normalize_pooled(run *r, const ptrdiff_t *s) {
  r->kernels.packing.normalize_pooled(
    acts(r, "out", s[0] * (s[1] / 2) * CK_LANES), acts(r, "x", 2 * s[0] * s[1] * CK_LANES), lanes(r, "scale"),
    lanes(r, "shift"), s[0], s[1] / 2, s[1]);
}

static void resolve(run *r, const ptrdiff_t *s) {
  ptrdiff_t size = s[0] * CK_LANES;
  ck_line line = line_of(r);
  const void *x = acts(r, "x", size);
  r->kernels.packing.resolve(acts(r, "out", size), acts(r, "g", size), x, &line, s[0]);
  r->kernels.packing.resolve_float(acts(r, "out of floats", size), floats(r, "float g", size), x, &line, s[0]);
}

/// What is hard to round: ties to the lower and to the upper neighbour, their neighbours, what becomes infinite, what is not a number
/// though its upper half looks infinite, infinity, and zero.
static void rounding(run *r, const ptrdiff_t *s) {
  static const uint32_t hard[8] = {0x3f808000, 0xbf818000, 0x3f807fff, 0xbf808001, 0x7f7fffff, 0x7f800001, 0xff800000, 0};
  ptrdiff_t size = s[0] * CK_LANES;
  float *g = floats(r, "g", size), *shift = lanes(r, "shift"), *zeros = lanes(r, "zeros");
  char *x = acts(r, "x", size);
  size_t element = r->precision == CK_BF16 ? 2 : 4;
  for (ptrdiff_t i = 0; i < size; i++) set(g, sizeof *g, i, hard[i % 8]), set(x, element, i, 0);
  for (ptrdiff_t k = 0; k < CK_LANES; k++) set(shift, sizeof *shift, k, hard[k % 8]), zeros[k] = 0;
  ck_line line = {zeros, zeros};
  r->kernels.packing.resolve_float(acts(r, "out", size), g, x, &line, s[0]);
  r->kernels.packing.normalize(acts(r, "rectified", size), x, lanes(r, "scale"), shift, s[0]);
}

/// Inputs, outputs, the strides of both, depth.
static void blocks(run *r, const ptrdiff_t *s) {
  enum { GROUPS = 3, GROUP_STRIDE = BLOCK + 5 };
  ptrdiff_t size = (s[0] - 1) * s[2] + (s[1] - 1) * s[3] + 1;
  const float *weights = floats(r, "weights", size + 8);
  const ck_packing *p = &r->kernels.packing;
  p->pack_block(acts(r, "out", s[4] * CK_LANES), weights, s[0], s[1], s[2], s[3], s[4]);
  p->spread_taps(floats(r, "taps", 9 * BLOCK), weights, s[0], s[1], s[2], s[3], 0);
  p->spread_taps(floats(r, "turned taps", 9 * BLOCK), weights, s[0], s[1], s[2], s[3], 1);
  const float *groups = floats(r, "blocks", GROUPS * GROUP_STRIDE);
  p->unpack_block(floats(r, "gradient", size), groups, GROUPS, GROUP_STRIDE, s[0], s[1], s[2], s[3]);
}

// Winograd's transforms: height, width, the first tile, and how many.

static ptrdiff_t tiles_pitch(const ptrdiff_t *s) { return s[3] * CK_LANES + 7; }
static ptrdiff_t tiles_size(const ptrdiff_t *s) { return 15 * tiles_pitch(s) + s[3] * CK_LANES; }
static ptrdiff_t map_size(const ptrdiff_t *s) { return s[0] * s[1] * CK_LANES; }

static void transform(run *r, const ptrdiff_t *s) {
  ck_tiles t = {s[0], s[1], s[2], s[3]};
  ck_line line = line_of(r);
  const void *x = acts(r, "x", map_size(s));
  const float *g = floats(r, "g", map_size(s));
  const ck_winograd *w = &r->kernels.winograd;
  w->transform_normalized(acts(r, "normalized", tiles_size(s)), tiles_pitch(s), x, line.constant, line.slope, &t);
  w->transform_resolved(acts(r, "resolved", tiles_size(s)), tiles_pitch(s), g, x, &line, &t);
  w->spread_resolved(acts(r, "spread", tiles_size(s)), tiles_pitch(s), g, x, &line, &t);
}

static void gather(run *r, const ptrdiff_t *s) {
  ck_tiles t = {s[0], s[1], s[2], s[3]};
  const float *m = floats(r, "m", tiles_size(s));
  const ck_winograd *w = &r->kernels.winograd;
  ck_gate gate = gate_of(r, acts(r, "x", map_size(s)));
  w->gather(acts(r, "out", map_size(s)), m, tiles_pitch(s), &t);
  w->gather_summed(
    acts(r, "summed", map_size(s)), m, tiles_pitch(s), lanes(r, "pivot"), lanes(r, "first"), lanes(r, "square"), &t);
  w->gather_gated(acts(r, "gated", map_size(s)), m, tiles_pitch(s), &gate, &t);
}

static void winograd_weights(run *r, const ptrdiff_t *s) {
  ptrdiff_t pitch = BLOCK + 5, size = 15 * pitch + BLOCK, group_stride = size + 3;
  r->kernels.winograd.transform_weights(acts(r, "places", size), pitch, floats(r, "taps", 9 * BLOCK));
  r->kernels.winograd.gather_weights(
    floats(r, "gradient", 9 * BLOCK), floats(r, "gradients", (s[0] - 1) * group_stride + size), pitch, s[0],
    group_stride);
}

// Pools: of a map's height and width, of rows and width, of pixels.

static void max_pool(run *r, const ptrdiff_t *s) {
  size_t element = r->precision == CK_BF16 ? 2 : 4, row = (size_t)(s[1] * CK_LANES) * element;
  size_t out_row = (size_t)((s[1] + 1) / 2 * CK_LANES) * element;
  ptrdiff_t pooled_size = (s[0] + 1) / 2 * ((s[1] + 1) / 2) * CK_LANES;
  const char *x = acts(r, "x", map_size(s));
  char *pooled = acts(r, "pooled", pooled_size);
  const float *scale = lanes(r, "scale"), *shift = lanes(r, "shift");
  for (ptrdiff_t y = 0; y < s[0]; y += 2) {
    const char *middle = x + (size_t)y * row;
    r->kernels.pooling.max_pool(
      pooled + (size_t)(y / 2) * out_row, y > 0 ? middle - row : NULL, middle, y + 1 < s[0] ? middle + row : NULL, scale,
      shift, s[1]);
  }
  r->kernels.pooling.max_unpool(
    acts(r, "gradient", map_size(s)), x, pooled, acts(r, "g", pooled_size), scale, shift, s[0], s[1]);
}

static void average_unpool(run *r, const ptrdiff_t *s) {
  ptrdiff_t size = 2 * s[0] * s[1] * CK_LANES;
  ck_gate gate = gate_of(r, acts(r, "x", size));
  r->kernels.pooling.average_unpool(
    floats(r, "out", size), floats(r, "g", s[0] * (s[1] / 2) * CK_LANES), &gate, s[0], s[1] / 2, s[1]);
}

static void head(run *r, const ptrdiff_t *s) {
  ptrdiff_t size = s[0] * CK_LANES;
  float floor = s[1] ? 0 : -INFINITY;
  const void *x = acts(r, "x", size);
  ck_gate gate = gate_of(r, x);
  r->kernels.pooling.head_sum(lanes(r, "values"), x, gate.scale, gate.shift, floor, s[0]);
  r->kernels.pooling.head_unpool(floats(r, "out", size), lanes(r, "gradient"), floor, &gate, s[0]);
}

static void sums(run *r, const ptrdiff_t *s) {
  const void *x = acts(r, "x", s[0] * CK_LANES);
  ck_gate gate = gate_of(r, x);
  r->kernels.pooling.sums(x, lanes(r, "pivot"), lanes(r, "first"), lanes(r, "square"), s[0]);
  r->kernels.pooling.scale_summed(acts(r, "d", s[0] * CK_LANES), &gate, s[0]);
}

/// Elements, and whether it is the first step.
static void optimizer(run *r, const ptrdiff_t *s) {
  ck_sgd_step sgd = {0.5f, 0.01f, 0.1f, 0.9f, (int)s[1], (int)s[1]};
  ck_adam_step adam = {0.5f, 0.01f, 0.999f, 0.9f, 0.999f, 0.1f, 0.001f, 0.01f, 0.5f, 1e-8f};
  const float *gradients = floats(r, "gradients", s[0]);
  float *second = floats(r, "second", s[0]);
  for (ptrdiff_t i = 0; i < s[0]; i++) second[i] = fabsf(second[i]);
  const ck_optimizer *o = &r->kernels.optimizer;
  o->sgd(floats(r, "weights of SGD", s[0]), floats(r, "velocity", s[0]), gradients, &sgd, s[0]);
  o->adam(floats(r, "weights of Adam", s[0]), floats(r, "first", s[0]), second, gradients, &adam, s[0]);
  *floats(r, "sum of squares", 1) = (float)o->sum_of_squares(gradients, s[0]);
}

/// Each level has a peak of its own: only whether it counts, and stays within its 64 floats.
static void peak(run *r, const ptrdiff_t *s) {
  float *scratch = floats(r, "sums", 64), *counts = floats(r, "counts", 1);
  *counts = r->kernels.multiply_add(scratch, s[0]) > 0;
  for (int i = 0; i < 64; i++) *counts *= isfinite(scratch[i]) != 0, scratch[i] = 0;
}

typedef const ptrdiff_t shapes[SHAPE];

// Each width that a tile in registers has at some level, at its edges, and more; a stem of three channels and of one.
static shapes tiles[] = {
  {1, 1, 2, 32, 32}, {1, 2, 2, 32, 32}, {1, 3, 2, 32, 32}, {1, 4, 2, 32, 32}, {1, 5, 2, 32, 32}, {1, 6, 2, 32, 32},
  {1, 7, 1, 32, 32}, {1, 8, 1, 32, 32}, {1, 9, 1, 32, 32}, {1, 10, 1, 32, 32}, {1, 11, 1, 32, 32}, {1, 12, 1, 32, 32},
  {1, 13, 1, 32, 32}, {1, 14, 1, 32, 32}, {1, 15, 1, 32, 32}, {1, 28, 1, 32, 32}, {1, 29, 1, 32, 32}, {3, 2, 36, 32, 32},
  {2, 15, 7, 21, 6}, {2, 15, 7, 22, 6}, {2, 9, 7, 7, 2}, {2, 9, 7, 8, 2}, {1, 5, 7, 14, 4}, {1, 3, 1, 1, 1}, {1, 3, 1, 2, 1}};
static shapes wide_tiles[] = {{1, 27, 5, 32, 32}};
static shapes products[] = {{1, 1, 32, 32}, {1, 7, 32, 32}, {3, 14, 32, 32}, {4, 9, 6, 24}, {2, 7, 2, 8}};
static shapes rows[] = {{1, 1}, {3, 7}, {3, 16}, {1, 9}};
static shapes counts[] = {{1}, {3}, {4}, {7}, {16}, {45}};
static shapes pixels[] = {{1}, {2}, {3}, {7}, {14}};
static shapes pools[] = {{1, 2}, {2, 3}, {3, 8}, {2, 9}};
static shapes packed[] = {{32, 32, 1, 32, 32}, {32, 32, 288, 9, 32}, {5, 3, 3, 1, 32}, {21, 32, 9, 193, 22}, {1, 1, 1, 1, 2}};
// One pixel, one row, one column, odd and even sides; tiles from the middle of a row to the middle of another.
static shapes maps[] = {{1, 1, 0, 1}, {1, 5, 0, 3}, {4, 1, 0, 2}, {2, 2, 0, 1}, {3, 3, 0, 4}, {4, 4, 0, 4},
                        {7, 7, 0, 16}, {6, 9, 0, 15}, {8, 6, 1, 10}, {7, 8, 5, 1}, {5, 14, 9, 12}};
static shapes groups[] = {{1}, {3}};
static shapes pooled_maps[] = {{1, 1}, {2, 2}, {3, 5}, {6, 7}, {5, 8}};
static shapes heads[] = {{1, 0}, {1, 1}, {2, 0}, {49, 1}};
static shapes steps[] = {{1, 0}, {15, 1}, {16, 0}, {133, 0}, {133, 1}};
static shapes rounds[] = {{1}, {3}};

typedef struct {
  const char *name;
  void (*call)(run *, const ptrdiff_t *);
  /// What a shape's numbers are.
  const char *meaning;
  /// Whether results are to be the same to the bit: where nothing is computed.
  int is_exact;
  shapes *shapes;
  size_t count;
} operation;

#define SHAPES(s) s, sizeof s / sizeof *s

static const operation operations[] = {
  {"convolution", convolution, "rows, width, segments, depth, stride", 0, SHAPES(tiles)},
  {"store_float of a row's parts", cut, "rows, width, segments, depth, stride", 0, SHAPES(wide_tiles)},
  {"accumulate_outer_product", outer_product, "rows, width, stride, depth", 0, SHAPES(products)},
  {"interleave", interleave, "channels, width", 1, SHAPES(rows)},
  {"widen", widen, "elements", 1, SHAPES(counts)},
  {"pair", pair, "elements", 1, SHAPES(counts)},
  {"pair_pixels", pair_pixels, "pixels", 1, SHAPES(pixels)},
  {"normalize", normalize, "pixels", 0, SHAPES(pixels)},
  {"normalize_pooled", normalize_pooled, "rows, width", 0, SHAPES(pools)},
  {"resolve, resolve_float", resolve, "pixels", 0, SHAPES(pixels)},
  {"resolve_float, normalize of hard numbers", rounding, "pixels", 1, SHAPES(pixels)},
  {"pack_block, spread_taps, unpack_block", blocks, "inputs, outputs, input stride, output stride, depth", 1, SHAPES(packed)},
  {"Winograd's transforms", transform, "height, width, first, count", 0, SHAPES(maps)},
  {"Winograd's gathering", gather, "height, width, first, count", 0, SHAPES(maps)},
  {"transform_weights, gather_weights", winograd_weights, "groups", 0, SHAPES(groups)},
  {"max_pool, max_unpool", max_pool, "height, width", 0, SHAPES(pooled_maps)},
  {"average_unpool", average_unpool, "rows, width", 0, SHAPES(pools)},
  {"head_sum, head_unpool", head, "pixels, floor", 0, SHAPES(heads)},
  {"sums, scale_summed", sums, "pixels", 0, SHAPES(pixels)},
  {"sgd, adam, sum_of_squares", optimizer, "elements, first", 0, SHAPES(steps)},
  {"multiply_add", peak, "rounds", 0, SHAPES(rounds)},
};

enum { OPERATIONS = sizeof operations / sizeof *operations };
