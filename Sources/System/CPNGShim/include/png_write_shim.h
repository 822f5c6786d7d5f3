// The writing half of png_shim.h: one call starts, runs and ends one libpng writer, so that its longjmp never crosses a
// Swift frame.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum png_write_shim_status {
  PNG_WRITE_SHIM_OK = 0,
  // The PNG does not fit `bytes_capacity`.
  PNG_WRITE_SHIM_TOO_SMALL = 1,
  // libpng refused: a side of 0 or above 2³¹ − 1, or memory that it could not have.
  PNG_WRITE_SHIM_REFUSED = 2,
} png_write_shim_status;

// A capacity, in bytes, that the PNG of width × height pixels of `channels` always fits.
size_t png_write_shim_bound(uint32_t width, uint32_t height, int channels);

// Encodes width × height pixels, rows from the top and without gaps, as a PNG that is not interlaced: gray where `channels` is 1, red,
// green and blue where it is 3, of 8 bits each. Overwrites the first `*bytes_size` of `bytes`, and `*bytes_size`.
//
// Every row has the filter Up, and the stream is entropy coded without a search for matches (zlib's Z_HUFFMAN_ONLY):
// noise has none, and the search would take most of the time.
png_write_shim_status png_write_shim(
    uint8_t *bytes, size_t *bytes_size, size_t bytes_capacity, const uint8_t *pixels, uint32_t width, uint32_t height,
    int channels);
