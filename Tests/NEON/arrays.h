// The arrays of one call of kernels: random numbers between guards.
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

enum { MOST_ARRAYS = 24, MOST_SEGMENTS = 36 };

/// Elements before and behind each array: more than a row of any map, and odd, so that an array begins where an element of its may, and
/// not where all vectors do.
enum { GUARD = 1001 };

/// Not a number as a float and as a bf16: seen where it is written over, and where it is read and goes into a sum.
enum { GUARD_BYTE = 0xff };

typedef struct {
  const char *name;
  int is_act;
  ptrdiff_t count;
  size_t size;
  unsigned char *block;
} array;

/// One call with one table's kernels.
typedef struct {
  /// Its name.
  const char *level;
  ck_kernels kernels;
  ck_precision precision;
  array arrays[MOST_ARRAYS];
  int count;
  ptrdiff_t segment[MOST_SEGMENTS];
} run;

/// The i-th number of a stream: of mean 0 and variance 1, nearly normal; a sum of four that are uniform.
static float random_at(uint64_t stream, ptrdiff_t i) {
  float sum = -2;
  uint64_t bits = stream + (uint64_t)i * 0x9e3779b97f4a7c15u;
  // SplitMix64's mixer.
  bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9u;
  bits = (bits ^ bits >> 27) * 0x94d049bb133111ebu;
  bits ^= bits >> 31;
  for (int part = 0; part < 64; part += 16) sum += (float)(bits >> part & 0xffff) * 0x1p-16f;
  return sum * 1.7320508f;
}

static float value(const array *a, ptrdiff_t i) {
  uint32_t bits = 0;
  // Of little-endian machines, as all levels' are.
  memcpy((char *)&bits + (4 - a->size), a->block + (size_t)(GUARD + i) * a->size, a->size);
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static void set(void *values, size_t size, ptrdiff_t i, uint32_t bits) {
  memcpy((char *)values + (size_t)i * size, (char *)&bits + (4 - size), size);
}

/// A new array of random numbers, of A or of float; they depend on its name.
static void *add(run *r, const char *name, int is_act, ptrdiff_t count) {
  array a = {name, is_act, count, is_act && r->precision == CK_BF16 ? 2 : 4, NULL};
  size_t guard = GUARD * a.size, values = (size_t)count * a.size;
  a.block = malloc(values + 2 * guard);
  if (!a.block || r->count == MOST_ARRAYS) abort();
  memset(a.block, GUARD_BYTE, values + 2 * guard);
  uint64_t stream = 0;
  for (const char *c = name; *c; c++) stream = stream * 0x100000001b3u + (unsigned char)*c;
  for (ptrdiff_t i = 0; i < count; i++) {
    float x = random_at(stream << 32, i);
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    set(a.block + guard, a.size, i, bits);
  }
  r->arrays[r->count++] = a;
  return a.block + guard;
}

static void *acts(run *r, const char *name, ptrdiff_t count) { return add(r, name, 1, count); }
static float *floats(run *r, const char *name, ptrdiff_t count) { return add(r, name, 0, count); }
static float *lanes(run *r, const char *name) { return floats(r, name, CK_LANES); }

static ck_gate gate_of(run *r, const void *x) {
  return (ck_gate){x, lanes(r, "mean"), lanes(r, "scale"), lanes(r, "shift"), lanes(r, "sum"), lanes(r, "product")};
}

static ck_line line_of(run *r) { return (ck_line){lanes(r, "constant"), lanes(r, "slope")}; }

static int guards_are_intact(const array *a) {
  size_t guard = GUARD * a->size, behind = guard + (size_t)a->count * a->size;
  int intact = 1;
  for (size_t i = 0; i < guard; i++) intact &= a->block[i] == GUARD_BYTE && a->block[behind + i] == GUARD_BYTE;
  return intact;
}

static void release(run *r) {
  for (int i = 0; i < r->count; i++) free(r->arrays[i].block);
}
