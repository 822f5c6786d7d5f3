#include "png_write_shim.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>
#include <zlib.h>

// One writer and where it writes. It lives in the frame below the one that calls setjmp, so that its fields keep their
// values when libpng jumps (C11 7.13.2.1).
typedef struct writer {
  uint8_t *bytes;
  size_t size;
  size_t capacity;
  png_write_shim_status status;
  png_structp png;
  png_infop info;
  jmp_buf escape;
} writer;

static void on_error(png_structp png, png_const_charp message) {
  (void)message;
  writer *w = png_get_error_ptr(png);
  if (w->status == PNG_WRITE_SHIM_OK) w->status = PNG_WRITE_SHIM_REFUSED;
  longjmp(w->escape, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static void append(png_structp png, png_bytep from, size_t count) {
  writer *w = png_get_io_ptr(png);
  if (count > w->capacity - w->size) {
    w->status = PNG_WRITE_SHIM_TOO_SMALL;
    png_error(png, "the buffer is full");
  }
  memcpy(w->bytes + w->size, from, count);
  w->size += count;
}

static void flush(png_structp png) { (void)png; }

static void encode(writer *w, const uint8_t *pixels, uint32_t width, uint32_t height, int channels) {
  png_set_write_fn(w->png, w, append, flush);
  png_set_IHDR(
      w->png, w->info, width, height, 8, channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
      PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_filter(w->png, PNG_FILTER_TYPE_BASE, PNG_FILTER_UP);
  png_set_compression_level(w->png, Z_BEST_SPEED);
  png_set_compression_strategy(w->png, Z_HUFFMAN_ONLY);
  png_write_info(w->png, w->info);
  for (uint32_t row = 0; row < height; row++) png_write_row(w->png, pixels + (size_t)row * width * (size_t)channels);
  png_write_end(w->png, w->info);
}

// What jumps is below this frame, and what is needed after a jump is behind `w`.
static void start_and_encode(writer *w, const uint8_t *pixels, uint32_t width, uint32_t height, int channels) {
  if (setjmp(w->escape)) return;
  w->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, w, on_error, on_warning);
  w->info = w->png ? png_create_info_struct(w->png) : NULL;
  if (!w->info) {
    w->status = PNG_WRITE_SHIM_REFUSED;
    return;
  }
  encode(w, pixels, width, height, channels);
}

size_t png_write_shim_bound(uint32_t width, uint32_t height, int channels) {
  // A filter byte a row; an eighth more for a stream that only grows and for the headers of its chunks (12 bytes in
  // 8 KiB); signature, header and end of the file.
  size_t filtered = (size_t)height * ((size_t)width * (size_t)channels + 1);
  return filtered + filtered / 8 + 4096;
}

png_write_shim_status png_write_shim(
    uint8_t *bytes, size_t *bytes_size, size_t bytes_capacity, const uint8_t *pixels, uint32_t width, uint32_t height,
    int channels) {
  writer w = {.bytes = bytes, .capacity = bytes_capacity, .status = PNG_WRITE_SHIM_OK};
  start_and_encode(&w, pixels, width, height, channels);
  png_destroy_write_struct(&w.png, &w.info);
  *bytes_size = w.size;
  return w.status;
}
