#pragma once
#include <stdlib.h>

#include "pixel_tables.h"

/// Of left, above and above left the one that is nearest to left + above − corner; where two are, the first.
static int paeth(int left, int above, int corner) {
  int to_left = abs(above - corner), to_above = abs(left - corner), to_corner = abs(left + above - 2 * corner);
  if (to_left <= to_above && to_left <= to_corner) return left;
  return to_above <= to_corner ? above : corner;
}

static int unfilter(uint8_t *rows, ptrdiff_t width, ptrdiff_t height, ptrdiff_t unit, uint8_t *workspace) {
  (void)workspace;
  ptrdiff_t length = width * unit;
  for (ptrdiff_t y = 0; y < height; y++) {
    // A byte is written before the place where it was read, so that no row is overwritten unread.
    const uint8_t *filtered = rows + y * (length + 1);
    uint8_t *row = rows + y * length;
    int type = *filtered++;
    if (type > 4) return 1;
    for (ptrdiff_t x = 0; x < length; x++) {
      int left = x >= unit ? row[x - unit] : 0, above = y > 0 ? row[x - length] : 0;
      int corner = x >= unit && y > 0 ? row[x - unit - length] : 0;
      int prediction = type == 1   ? left
                       : type == 2 ? above
                       : type == 3 ? (left + above) / 2
                       : type == 4 ? paeth(left, above, corner)
                                   : 0;
      row[x] = (uint8_t)(filtered[x] + prediction);
    }
  }
  return 0;
}
