// The stand-in driver: maps of matrices, for bulk copies.
#include "driver.h"
#include "matrix.h"

using namespace driver;

// cuda.h's numbers: of elements bf16, of swizzles those of 64 and of 128 bytes.
enum : int { bf16 = 9, swizzle64 = 2, swizzle128 = 3 };

// What the driver's documentation wants of a matrix, and what this emulator's machine can copy. A driver does not look at the memory either.
API cuTensorMapEncodeTiled(void* map, int type, uint32_t rank, void* address, const uint64_t* sizes, const uint64_t* strides, const uint32_t* box,
    const uint32_t* steps, int interleave, int swizzle, int promotion, int fill) {
    CALL(context);
    REQUIRE(map && sizes && strides && box && steps, invalidValue, "one of the lists, or the place for the map, is missing");
    REQUIRE(uintptr_t(map) % 64 == 0, invalidValue, "the place for the map is not aligned to 64");
    REQUIRE(type == bf16 && rank == 2 && interleave == 0 && fill == 0, invalidValue, "the emulator copies bf16 in rows, with zeros around");
    REQUIRE(address && uintptr_t(address) % 16 == 0, invalidValue, "the address is not aligned to 16");
    for (int i = 0; i < 2; i++) {
        REQUIRE(sizes[i] > 0 && sizes[i] <= uint64_t(1) << 32, invalidValue, "no such size: " + std::to_string(sizes[i]));
        REQUIRE(box[i] > 0 && box[i] <= 256, invalidValue, "no such box: " + std::to_string(box[i]));
        REQUIRE(steps[i] == 1, invalidValue, "the emulator leaves nothing out between elements");
    }
    REQUIRE(strides[0] % 16 == 0 && strides[0] < uint64_t(1) << 40 && strides[0] >= sizes[0] * 2, invalidValue,
        "no such stride: " + std::to_string(strides[0]));
    REQUIRE(swizzle == swizzle64 || swizzle == swizzle128, invalidValue, "the emulator knows swizzles of 64 and 128 bytes");
    const uint32_t row = swizzle == swizzle64 ? 64 : 128;
    REQUIRE(box[0] * 2 == row, invalidValue, "the rows of the emulator's boxes are as long as the swizzle");
    REQUIRE(promotion >= 0 && promotion <= 3, invalidValue, "no such promotion");
    const emu::Matrix matrix{emu::Matrix::mark, uint64_t(uintptr_t(address)), sizes[1], sizes[0], strides[0], box[1], box[0], row};
    memset(map, 0, 128);
    memcpy(map, &matrix, sizeof matrix);
    return success;
}
