// Vectors of 16 bytes, for the templates *_vector.h of pixels. A file of one instruction set defines CK_GROUP_VECTORS and the
// attribute that names the set, then includes this and the templates.
#pragma once
#include <string.h>

#include "pixel_tables.h"

#define CK_INLINE static inline __attribute__((always_inline))

enum { CK_BYTES = 16 };

typedef uint8_t bytes __attribute__((vector_size(16)));
typedef uint8_t bytes_in_memory __attribute__((vector_size(16), aligned(1)));
typedef uint32_t quads __attribute__((vector_size(16)));

CK_INLINE bytes load_bytes(const uint8_t *p) { return *(const bytes_in_memory *)p; }
CK_INLINE void store_bytes(uint8_t *p, bytes v) { *(bytes_in_memory *)p = v; }
/// a where the mask is set, else b.
CK_INLINE bytes pick(bytes mask, bytes a, bytes b) { return (mask & a) | (~mask & b); }

/// ⌊(a + b) / 2⌋
CK_INLINE bytes average(bytes a, bytes b) { return (a & b) + ((a ^ b) >> 1); }

// A vector of pixels of `unit` bytes, 1 or 4: so many bytes are a lane.

/// Each lane's value in the next lane, and the last of `before` in the first.
CK_INLINE bytes shifted(bytes before, bytes v, int unit) {
  if (unit == 4) return (bytes)__builtin_shufflevector((quads)before, (quads)v, 3, 4, 5, 6);
  return __builtin_shufflevector(before, v, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
}

/// The first value in the last lane; elsewhere anything.
CK_INLINE bytes first_as_last(bytes v, int unit) {
  if (unit == 4) return (bytes)__builtin_shufflevector((quads)v, (quads)v, 0, 0, 0, 0);
  return __builtin_shufflevector(v, v, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

/// Each lane's value in the lane before; in the last, anything.
CK_INLINE bytes without_first(bytes v, int unit) {
  if (unit == 4) return (bytes)__builtin_shufflevector((quads)v, (quads)v, 1, 2, 3, 3);
  return __builtin_shufflevector(v, v, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15);
}

CK_INLINE bytes low_pairs(bytes a, bytes b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
CK_INLINE bytes high_pairs(bytes a, bytes b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/// Rows become columns: of 16 × 16 bytes, by four times dealing the second half of the rows among the first.
CK_INLINE void transpose(bytes *rows) {
  _Pragma("clang loop unroll(full)") for (int round = 0; round < 4; round++) {
    bytes dealt[CK_BYTES];
    _Pragma("clang loop unroll(full)") for (int i = 0; i < CK_BYTES / 2; i++) {
      dealt[2 * i] = low_pairs(rows[i], rows[i + CK_BYTES / 2]);
      dealt[2 * i + 1] = high_pairs(rows[i], rows[i + CK_BYTES / 2]);
    }
    memcpy(rows, dealt, sizeof dealt);
  }
}

/// The same of 4 × 4 pixels of four bytes.
CK_INLINE void transpose_quads(bytes *rows) {
  _Pragma("clang loop unroll(full)") for (int round = 0; round < 2; round++) {
    quads dealt[4];
    _Pragma("clang loop unroll(full)") for (int i = 0; i < 2; i++) {
      dealt[2 * i] = __builtin_shufflevector((quads)rows[i], (quads)rows[i + 2], 0, 4, 1, 5);
      dealt[2 * i + 1] = __builtin_shufflevector((quads)rows[i], (quads)rows[i + 2], 2, 6, 3, 7);
    }
    memcpy(rows, dealt, sizeof dealt);
  }
}
