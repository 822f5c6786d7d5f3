// Operands of warpgroupMultiply: sub-tiles of 64 or of 32 columns, as many side by side as the matrix has.
//
// A matrix descriptor (PTX ISA, wgmma, "Matrix Descriptor Format") has, in units of 16 bytes,
//   bits 0-13   the start address
//   bits 16-29  the leading dimension byte offset
//   bits 32-45  the stride dimension byte offset
// and as they are
//   bits 49-51  the base offset: 0 where the swizzle's pattern, of eight rows, begins at multiples of its own size
//   bits 62-63  the swizzle: 1, of 128 bytes, or 2, of 64.
// The swizzle of 128 bytes permutes the eight chunks of 16 bytes in each 128: bits 4-6 of an address, before it is read, are XORed with bits 7-9.
// With the sub-tile at a multiple of 1024 bytes, these are the chunk and row & 7: what Tile<Rows, 64> does. The swizzle of 64 bytes permutes the four
// chunks in each 64: bits 4-5 are XORed with bits 7-8. With the sub-tile at a multiple of 512 bytes, bit 6 is row & 1, and so these are the chunk and
// row >> 1 & 3: what Tile<Rows, 32> does. It is done to the address that the offsets have led to ("Strides"), so that descriptors count as if nothing
// were permuted, here with rows of 128 or of 64 bytes:
//   The depth along the rows (K-major): rows are those of A or the columns of B. The stride offset leads from eight rows to the next eight, 1024 or
//   512 bytes; the leading one is not used, since the 16 of a product's depth, 32 bytes, lie inside one row.
//   The depth down the columns (MN-major): a row is one of the depth, and has 64 or 32 of the rows of A or columns of B. The stride offset leads from
//   eight of the depth to the next eight, 1024 or 512 bytes; the leading one from 64 or 32 columns to the next as many: to the next sub-tile.
#pragma once
#include "tile.h"

template <bool Transposed, int Rows, int Columns> DEVICE SharedOperand<Transposed> operandAt(const uint4* first) {
    constexpr uint64_t leading = sizeof(Tile<Rows, Columns>) / 16, stride = Columns, swizzle = Columns == 64 ? 1 : 2;   // 8 · Columns · 2 bytes
    static_assert(Columns == 64 || Columns == 32, "rows as long as a swizzle");
    static_assert(Rows % 8 == 0 && leading < 1 << 14, "whole patterns, and an offset that there are bits for");
    return {swizzle << 62 | stride << 32 | leading << 16 | uint64_t((sharedAddress(first) & 0x3ffff) >> 4)};
}

// Rows from `row` on, a multiple of 8, and of their columns the 16 from `depth` on.
template <int Rows, int Columns> DEVICE SharedOperand<false> depthAlongRows(const Tile<Rows, Columns>* tiles, int row, int depth) {
    return operandAt<false, Rows, Columns>(tiles[depth / Columns].data + row * tiles->chunks + depth % Columns / 8);
}

// Of the 16 rows from `depth` on the columns from `column` on, a multiple of a sub-tile's: as many as the operand has, in as many sub-tiles.
template <int Rows, int Columns> DEVICE SharedOperand<true> depthDownColumns(const Tile<Rows, Columns>* tiles, int depth, int column) {
    return operandAt<true, Rows, Columns>(tiles[column / Columns].data + depth * tiles->chunks);
}
