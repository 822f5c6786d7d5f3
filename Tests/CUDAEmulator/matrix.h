// What the stand-in driver puts into a tensor_map, and the machine reads from it. A real one's contents are the driver's secret.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace emu {

// Of two bytes an element, rows of `columns` elements, `stride` bytes apart; and its boxes.
struct Matrix {
    static constexpr uint64_t mark = 0x74656e736f726d61;
    uint64_t marked;
    uint64_t address, rows, columns, stride;
    uint32_t boxRows, boxColumns;
    uint32_t swizzle;  // bytes of a row, 64 or 128: in shared memory the chunks of 16 in it are permuted, and a row of a box has as many

    size_t boxBytes() const { return size_t(boxRows) * swizzle; }
};
static_assert(sizeof(Matrix) <= 128, "a tensor_map has room for it");

}  // namespace emu
