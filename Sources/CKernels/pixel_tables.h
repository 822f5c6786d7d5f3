#pragma once
#include "pixels.h"

// Each level's file fills the table; all levels have all of it.

void ck_fill_reference_pixels(ck_pixels *table);

#if defined(__x86_64__)
void ck_fill_avx2_pixels(ck_pixels *table);
void ck_fill_avx512_pixels(ck_pixels *table);
#elif defined(__aarch64__)
void ck_fill_neon_pixels(ck_pixels *table);
#endif

/// The most rows that are unfiltered at once; of pixels of four bytes, a quarter of them.
enum { CK_MOST_GROUP_ROWS = 64 };

/// From a row of a group to the next, in bytes: room for the row of `length` bytes, and for as many pixels before and behind it as the
/// group has rows. An odd number of cache lines: the same column of all rows would else compete for the same places of the cache.
static inline ptrdiff_t group_pitch(ptrdiff_t length) { return (length + 2 * CK_MOST_GROUP_ROWS) / 64 * 64 | 64; }
