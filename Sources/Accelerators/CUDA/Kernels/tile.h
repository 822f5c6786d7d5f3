// Tiles of bf16 in shared memory, and what warps do with them.
#pragma once
#include "device.h"

// Rows of `Columns` bf16. The 16-byte chunks of a row are permuted, so that eight consecutive rows at one chunk column, which is what ldmatrix
// reads at a time, lie in eight different groups of banks.
template <int Rows, int Columns> struct Tile {
    static constexpr int chunks = Columns / 8;
    static_assert(chunks == 4 || chunks % 8 == 0, "rows of 64 bytes or of whole multiples of 128");
    uint4 data[Rows * chunks];

    DEVICE uint4* at(int row, int chunk) { return data + row * chunks + (chunks == 4 ? chunk ^ (row >> 1 & 3) : chunk ^ (row & 7)); }
    DEVICE uint32_t* pair(int row, int column) { return reinterpret_cast<uint32_t*>(at(row, column / 8)) + column % 8 / 2; }
};

// One thread's share of the asynchronous copies that fill a tile from a matrix in global memory: one chunk of every `step`-th row.
// Rows from rowsLeft on and columns outside the matrix become zero.
template <int Rows, int Columns, int Threads> struct TileCopy {
    static constexpr int chunks = Columns / 8, step = Threads / chunks, count = Rows / step;
    static_assert(Threads % chunks == 0 && Rows % step == 0, "every thread copies equally much");
    const uint16_t* source;
    const int64_t rowStride;
    const int row, chunk;
    const bool inside;
    DEVICE TileCopy(const void* matrix, int stride, int64_t firstRow, int firstColumn, int columns, int thread) :
        source(static_cast<const uint16_t*>(matrix) + (firstRow + thread / chunks) * stride + firstColumn + thread % chunks * 8),
        rowStride(stride), row(thread / chunks), chunk(thread % chunks), inside(when(firstColumn + thread % chunks * 8 < columns)) {}
    // From the first column on, where the matrix is at least as wide as the tile.
    DEVICE TileCopy(const void* matrix, int stride, int64_t firstRow, int thread) :
        source(static_cast<const uint16_t*>(matrix) + (firstRow + thread / chunks) * stride + thread % chunks * 8),
        rowStride(stride), row(thread / chunks), chunk(thread % chunks), inside(true) {}
    DEVICE void start(Tile<Rows, Columns>& tile, int rowsLeft) const {
        UNROLL for (int i = 0; i < count; i++)
            copyAsync16(tile.at(row + i * step, chunk), source + i * step * rowStride, inside && when(row + i * step < rowsLeft));
    }
    DEVICE void advanceRows(int rows) { source += rows * rowStride; }
    DEVICE void advanceColumns(int columns) { source += columns; }
};

// Where a lane points ldmatrix to. `Along`: stored rows are the rows of the fragment A, or transposed the k of the fragment B.
// `Across`: stored rows are the columns n of B, or transposed the k of A.
DEVICE int alongRow(int lane) { return lane & 15; }
DEVICE int alongChunk(int lane) { return lane >> 4; }
DEVICE int acrossRow(int lane) { return (lane & 7) + (lane >> 4) * 8; }
DEVICE int acrossChunk(int lane) { return lane >> 3 & 1; }

// relu(scale·x + shift) on a pair of neighbouring channels; affine = scale, shift of the one, scale, shift of the other.
DEVICE uint32_t normaliseRectify(uint32_t pair, float4 affine) {
    return packRectified(fmaf(lowHalf(pair), affine.x, affine.y), fmaf(highHalf(pair), affine.z, affine.w));
}
// The same on eight channels; affine in shared memory.
DEVICE uint4 normaliseRectify(uint4 v, const affine_pair* affine) {
    const float4* a = reinterpret_cast<const float4*>(affine);
    return {normaliseRectify(v.x, loadShared(a)), normaliseRectify(v.y, loadShared(a + 1)),
            normaliseRectify(v.z, loadShared(a + 2)), normaliseRectify(v.w, loadShared(a + 3))};
}

// Sums v over the eight lanes with equal lane % 4. A lane keeps N / 8 of the sums, those from firstKept() on, in v[0 ..< N / 8].
template <int N, int Width = N / 2, int Mask = 16> DEVICE void sumRows(float (&v)[N], int lane) {
    const bool upper = lane & Mask;
    UNROLL for (int i = 0; i < Width; i++) {
        float kept = upper ? v[i + Width] : v[i], given = upper ? v[i] : v[i + Width];
        v[i] = kept + shuffleXor(given, Mask);
    }
    if constexpr (Mask > 4) sumRows<N, Width / 2, Mask / 2>(v, lane);
}
template <int N> DEVICE int firstKept(int lane) { return (lane >> 4 & 1) * (N / 2) + (lane >> 3 & 1) * (N / 4) + (lane >> 2 & 1) * (N / 8); }
