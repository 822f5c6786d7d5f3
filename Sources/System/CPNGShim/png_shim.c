#include "png_shim.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>

// One reader and what it is to fill. It lives in the frame below the one that calls setjmp, so that its fields keep
// their values when libpng jumps (C11 7.13.2.1).
typedef struct reader {
  const uint8_t *bytes;
  size_t size;
  size_t offset;
  png_shim_header *header;
  uint8_t *pixels;
  size_t pixels_size;
  int channels;
  png_shim_failure *failure;
  png_shim_status status;
  png_structp png;
  png_infop info;
  jmp_buf escape;
} reader;

// More than any text or colour profile of a radiograph; bounds what a compressed chunk may unpack to (bytes).
enum { chunk_limit = 8 << 20 };

// Compressed bytes that libpng asks for at once: small, so that the row at which a file ends is nearly the right one.
enum { piece = 512 };

const char *png_shim_version(void) { return png_get_libpng_ver(NULL); }

static void on_error(png_structp png, png_const_charp message) {
  reader *r = png_get_error_ptr(png);
  if (r->status == PNG_SHIM_OK) r->status = PNG_SHIM_DAMAGED;
  strncpy(r->failure->message, message, sizeof r->failure->message - 1);
  longjmp(r->escape, 1);
}

// Warnings are about chunks that no pixel depends on.
static void on_warning(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static void read_bytes(png_structp png, png_bytep to, size_t count) {
  reader *r = png_get_io_ptr(png);
  if (count > r->size - r->offset) {
    r->status = PNG_SHIM_TRUNCATED;
    png_error(png, "the file ends inside the image");
  }
  memcpy(to, r->bytes + r->offset, count);
  r->offset += count;
}

static void read_header(reader *r) {
  png_set_read_fn(r->png, r, read_bytes);
  // Any wrong checksum means that the file was damaged; what else was damaged, nobody knows.
  png_set_crc_action(r->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  // The caller has limits of its own; these are PNG's.
  png_set_user_limits(r->png, 0x7fffffff, 0x7fffffff);
  png_set_chunk_malloc_max(r->png, chunk_limit);
  png_set_compression_buffer_size(r->png, piece);
  png_read_info(r->png, r->info);
  r->header->width = png_get_image_width(r->png, r->info);
  r->header->height = png_get_image_height(r->png, r->info);
  r->header->bit_depth = png_get_bit_depth(r->png, r->info);
  r->header->color_type = png_get_color_type(r->png, r->info);
}

// Reads every row of every pass, `stride` bytes apart. libpng looks at the end of the compressed stream, with its
// Adler-32 checksum, while it reads the last row, and calls what is wrong there benign: for that one row it is an
// error.
static void read_rows(reader *r, size_t stride) {
  int passes = png_set_interlace_handling(r->png);
  png_read_update_info(r->png, r->info);
  uint32_t height = r->header->height;
  size_t row_bytes = png_get_rowbytes(r->png, r->info);
  if (row_bytes > stride || height > r->pixels_size / stride) {
    png_error(r->png, "the image does not have the layout that its header promised");
  }
  for (int pass = 0; pass < passes; pass++) {
    for (uint32_t row = 0; row < height; row++) {
      r->failure->row = row;
      if (pass == passes - 1 && row == height - 1) png_set_benign_errors(r->png, 0);
      png_read_row(r->png, r->pixels + row * stride, NULL);
    }
  }
  png_set_benign_errors(r->png, 1);
}

// Replaces the indices at the start of each row by their colours, from the right, so that none is overwritten unread.
// libpng would take an index beyond the palette for black.
static void look_up_palette(reader *r, size_t stride) {
  png_colorp palette = NULL;
  int entries = 0;
  png_get_PLTE(r->png, r->info, &palette, &entries);
  for (uint32_t y = 0; y < r->header->height; y++) {
    uint8_t *row = r->pixels + y * stride;
    for (size_t x = r->header->width; x-- > 0;) {
      uint8_t index = row[x];
      if (index >= entries) {
        r->failure->row = y;
        png_error(r->png, "a pixel's colour is not in the palette");
      }
      row[3 * x] = palette[index].red;
      row[3 * x + 1] = palette[index].green;
      row[3 * x + 2] = palette[index].blue;
    }
  }
}

static void read_pixels(reader *r) {
  read_header(r);
  size_t stride = (size_t)r->header->width * (size_t)r->channels;
  int is_palette = r->header->color_type == PNG_COLOR_TYPE_PALETTE;
  if (is_palette) png_set_packing(r->png);
  if (r->header->color_type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(r->png);
  png_set_strip_alpha(r->png);
  png_set_strip_16(r->png);
  read_rows(r, stride);
  // The chunks up to the end, for their checksums, and for a file that was cut after its pixels.
  png_read_end(r->png, r->info);
  if (is_palette) look_up_palette(r, stride);
}

// Runs `body` with a libpng reader, and comes back whether or not libpng jumps out of it.
static png_shim_status run(reader *r, void (*body)(reader *)) {
  memset(r->failure, 0, sizeof *r->failure);
  if (setjmp(r->escape) == 0) {
    r->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error, on_warning);
    if (r->png) r->info = png_create_info_struct(r->png);
    if (r->info) {
      body(r);
    } else {
      r->status = PNG_SHIM_OUT_OF_MEMORY;
    }
  }
  png_destroy_read_struct(&r->png, &r->info, NULL);
  return r->status;
}

png_shim_status png_shim_read_header(
    png_shim_header *header, png_shim_failure *failure, const uint8_t *bytes, size_t size) {
  reader r = {.bytes = bytes, .size = size, .header = header, .failure = failure};
  return run(&r, read_header);
}

png_shim_status png_shim_read_pixels(
    uint8_t *pixels, size_t pixels_size, int channels, png_shim_failure *failure, const uint8_t *bytes, size_t size) {
  png_shim_header header = {0};
  reader r = {
      .bytes = bytes, .size = size, .header = &header, .pixels = pixels, .pixels_size = pixels_size,
      .channels = channels, .failure = failure};
  return run(&r, read_pixels);
}
