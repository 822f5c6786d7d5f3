// Compares every level of CKernels that this processor can run with the reference, in both precisions: each function of the table on
// random numbers, in shapes that have edges. What is compared is every array of a call, those that it should only have read too. The
// operations on pixels come last.
#include <stdio.h>

#include "calls.h"
#include "compare_pixels.h"

static int failures;

/// Reports one failure: of which call, and what it is.
#define FAIL(r, o, shape, ...) (describe(r, o, shape), printf(__VA_ARGS__), putchar('\n'), failures++)

static void describe(const run *r, const operation *o, const ptrdiff_t *shape) {
  printf("%s, %s: %s of", r->level, r->precision == CK_BF16 ? "bf16" : "fp32", o->name);
  const char *comma = o->meaning;
  for (int i = 0; comma; i++, comma = strchr(comma + 1, ',')) printf(" %td", shape[i]);
  printf(" (%s): ", o->meaning);
}

static run call(ck_level level, ck_precision precision, const operation *o, const ptrdiff_t *shape) {
  run r = {.level = ck_level_name(level), .kernels = ck_kernels_of(level, precision), .precision = precision};
  o->call(&r, shape);
  return r;
}

/// How far apart two numbers are, as a multiple of what is allowed; infinite where they are to be the same.
static double distance(float found, float expected, double allowed) {
  if (found == expected || (isnan(found) && isnan(expected))) return 0;
  double distance = fabs((double)found - expected) / allowed;
  return isnan(distance) ? INFINITY : distance;
}

/// The largest distance of an array's elements from what they should be.
///
/// Sums of n random terms differ by the order of their rounding and by what is fused: √n · 2⁻²⁴ of the array's largest, 2·10⁻⁶
/// for the 1152 terms of the longest; 10⁻⁵ leaves a factor of five. A wrong index is off by 1. Values of bf16 that differ by so
/// little before they are rounded are then the same or neighbours: one unit in the last place of 8 bits is at most 2⁻⁷ of
/// the value. A gate, or a pool's choice, could turn on such a difference; the numbers are always the same, and none does.
static double compare(const run *r, const operation *o, const ptrdiff_t *shape, const array *mine, const array *theirs) {
  double largest = 0, worst = 0, unit = r->precision == CK_BF16 && mine->is_act ? 0x1p-7 : 0;
  ptrdiff_t worst_at = 0;
  for (ptrdiff_t i = 0; i < theirs->count; i++) largest = fmax(largest, fabs(value(theirs, i)));
  for (ptrdiff_t i = 0; i < theirs->count; i++) {
    float expected = value(theirs, i);
    double here = distance(value(mine, i), expected, o->is_exact ? 0 : 1e-5 * largest + unit * fabs(expected));
    if (here > worst) worst = here, worst_at = i;
  }
  if (worst > 1)
    FAIL(
      r, o, shape, "%s[%td] is %.9g, not %.9g: %.3g times what is allowed", mine->name, worst_at, value(mine, worst_at),
      value(theirs, worst_at), worst);
  if (!guards_are_intact(mine) || !guards_are_intact(theirs)) FAIL(r, o, shape, "written beyond %s", mine->name);
  return worst;
}

/// Returns how many comparisons that were.
static int compare_level(ck_level level, ck_precision precision) {
  int comparisons = 0;
  double worst = 0;
  // Tables are nothing but pointers to functions.
  ck_kernels reference = ck_kernels_of(CK_REFERENCE, precision), mine = ck_kernels_of(level, precision);
  if (memcmp(&mine, &reference, sizeof mine) == 0) printf("%s has the reference's kernels\n", ck_level_name(level)), failures++;
  for (size_t n = 0; n < OPERATIONS; n++)
    for (size_t i = 0; i < operations[n].count; i++) {
      const operation *o = &operations[n];
      const ptrdiff_t *shape = o->shapes[i];
      run expected = call(CK_REFERENCE, precision, o, shape), found = call(level, precision, o, shape);
      for (int a = 0; a < found.count; a++)
        worst = fmax(worst, compare(&found, o, shape, &found.arrays[a], &expected.arrays[a]));
      comparisons += found.count > 0;
      release(&expected);
      release(&found);
    }
  printf(
    "%s, %s: %d comparisons, largest difference %.2f of its bound\n", ck_level_name(level),
    precision == CK_BF16 ? "bf16" : "fp32", comparisons, worst);
  return comparisons;
}

int main(void) {
  // What was found is said even if something crashes later.
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  int comparisons = 0;
  for (int level = CK_REFERENCE + 1; level < CK_LEVELS; level++)
    if (ck_can_run((ck_level)level)) {
      for (int precision = CK_FP32; precision <= CK_BF16; precision++)
        comparisons += compare_level((ck_level)level, (ck_precision)precision);
      failures += compare_pixels((ck_level)level);
    }
  if (comparisons == 0) printf("this processor has no level to compare\n");
  return failures > 0 || comparisons == 0;
}
