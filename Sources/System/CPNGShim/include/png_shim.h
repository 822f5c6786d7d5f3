// libpng reports errors by longjmp, which must never cross a Swift frame: each call here starts, runs and ends one
// libpng reader, and comes back with a status. Nothing is printed, and only the caller's buffers are kept.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum png_shim_status {
  PNG_SHIM_OK = 0,
  // The bytes ended before the image did.
  PNG_SHIM_TRUNCATED = 1,
  // libpng refused: a bad checksum, chunk, filter or compressed stream; see `message`.
  PNG_SHIM_DAMAGED = 2,
  PNG_SHIM_OUT_OF_MEMORY = 3,
} png_shim_status;

typedef struct png_shim_header {
  uint32_t width;   // pixels
  uint32_t height;  // pixels
  int bit_depth;    // 1, 2, 4, 8 or 16 bits a sample
  int color_type;   // PNG's: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA
} png_shim_header;

typedef struct png_shim_failure {
  // The row of pixels at which reading stopped; rows above it were read. 0 while no row was reached.
  uint32_t row;
  // libpng's own words, ended by 0.
  char message[128];
} png_shim_failure;

// Reads the header of the PNG in `bytes`. Every chunk's checksum is checked.
png_shim_status png_shim_read_header(
    png_shim_header *header, png_shim_failure *failure, const uint8_t *bytes, size_t size);

// Decodes the PNG in `bytes` to 8 bits a sample: gray stays one channel (1, 2 and 4 bits are spread over 0 … 255), RGB
// and palettes become three, interleaved; of 16 bits the upper 8 stay; alpha is dropped and gamma is not applied. Overwrites `pixels`, which holds
// height · width · channels bytes. `channels` (1 or 3) says what the caller expects; an image that decodes to something
// else is damaged.
png_shim_status png_shim_read_pixels(
    uint8_t *pixels, size_t pixels_size, int channels, png_shim_failure *failure, const uint8_t *bytes, size_t size);

// libpng's own version, such as `1.6.39`.
const char *png_shim_version(void);
