// Operands of warpgroupMultiply: sub-tiles of 64 columns, as many side by side as the matrix has.
//
// A matrix descriptor (PTX ISA, wgmma, "Matrix Descriptor Format") has, in units of 16 bytes,
//   bits 0-13   the start address
//   bits 16-29  the leading dimension byte offset
//   bits 32-45  the stride dimension byte offset
// and as they are
//   bits 49-51  the base offset: 0 where the swizzle's pattern begins at multiples of 1024 bytes
//   bits 62-63  the swizzle: 1, of 128 bytes.
// That swizzle permutes the eight chunks of 16 bytes in each 128: bits 4-6 of an address, before it is read, are XORed with bits 7-9. With the
// sub-tile at a multiple of 1024 bytes, these are the chunk and row & 7: what Tile<Rows, 64> does. It is done to the address that the offsets have
// led to ("Strides"), so that descriptors count as if nothing were permuted:
//   The depth along the rows (K-major): rows are those of A or the columns of B. The stride offset leads from eight rows to the next eight, 1024
//   bytes; the leading one is not used, since the 16 of a product's depth, 32 bytes, lie inside one row.
//   The depth down the columns (MN-major): a row is one of the depth, and has 64 of the rows of A or columns of B. The stride offset leads from
//   eight of the depth to the next eight, 1024 bytes; the leading one from 64 columns to the next 64: to the next sub-tile.
#pragma once
#include "tile.h"

template <bool Transposed, int Rows> DEVICE SharedOperand<Transposed> operandAt(const uint4* first) {
    constexpr uint64_t leading = sizeof(Tile<Rows, 64>) / 16, stride = 1024 / 16, swizzle = 1;
    static_assert(Rows % 8 == 0 && leading < 1 << 14, "whole patterns, and an offset that there are bits for");
    return {swizzle << 62 | stride << 32 | leading << 16 | uint64_t((sharedAddress(first) & 0x3ffff) >> 4)};
}

// Rows from `row` on, a multiple of 8, and of their columns the 16 from `depth` on.
template <int Rows> DEVICE SharedOperand<false> depthAlongRows(const Tile<Rows, 64>* tiles, int row, int depth) {
    return operandAt<false, Rows>(tiles[depth / 64].data + row * 8 + depth % 64 / 8);
}

// Of the 16 rows from `depth` on the columns from `column` on, a multiple of 64: as many as the operand has, in as many sub-tiles.
template <int Rows> DEVICE SharedOperand<true> depthDownColumns(const Tile<Rows, 64>* tiles, int depth, int column) {
    return operandAt<true, Rows>(tiles[column / 64].data + depth * 8);
}
