#include "pixel_tables.h"

ck_pixels ck_pixels_of(ck_level level) {
  ck_pixels table;
  ck_fill_reference_pixels(&table);
  while (!ck_can_run(level)) level--;
  switch (level) {
    case CK_REFERENCE: break;
#if defined(__x86_64__)
    case CK_AVX2: ck_fill_avx2_pixels(&table); break;
    case CK_AVX512: case CK_AVX512_BF16: ck_fill_avx512_pixels(&table); break;
    case CK_NEON: break;
#elif defined(__aarch64__)
    case CK_NEON: ck_fill_neon_pixels(&table); break;
    case CK_AVX2: case CK_AVX512: case CK_AVX512_BF16: break;
#else
    default: break;
#endif
  }
  return table;
}

/// A group's rows, and the one above them.
ptrdiff_t ck_unfilter_workspace(ptrdiff_t length) { return (CK_MOST_GROUP_ROWS + 1) * group_pitch(length); }

/// 16 inputs are 8 pairs, of 16 lanes of 2 bytes; the last pairs are made whole.
ptrdiff_t ck_resize_workspace(ptrdiff_t inputs) { return (inputs + 15) / 16 * 8 * 32; }
