// Where threads meet: whoever comes last does the work for all.
#pragma once
#include "memory.h"

namespace emu {

void meetBlock(Place place);

// `work` is called once, with the arguments of all 32 lanes.
template <class Arguments, class Work> inline void collective(const char* operation, Arguments& mine, Place place, Work work) {
    Fibre* self = machine.current;
    Warp& warp = machine.warps[self->thread / 32];
    if (warp.arrived == 0) {
        warp.operation = operation;
        warp.place = place;
    } else if (warp.operation != operation || !(warp.place == place)) {
        fail(launchFailed, place, "%s, while another lane of the warp is at %s, %s:%d", operation, warp.operation, warp.place.name(), warp.place.line);
    }
    warp.arguments[self->thread % 32] = &mine;
    if (++warp.arrived < 32) return suspend(operation, place);
    warp.arrived = 0;
    makeWarpReady(self->thread / 32 * 32, self->thread);
    work(reinterpret_cast<Arguments* const*>(warp.arguments));
}

inline void meetWarp(Place place) {
    char none = 0;
    collective("syncWarp", none, place, [](char* const*) { machine.lastSync[machine.current->thread / 32] = machine.time += tick; });
}

struct Shuffle {
    float value, result;
    int mask;
};

struct MatrixRows {
    uint32_t* r;
    const uint16_t* row;
};
void loadMatrices(MatrixRows* const* all, bool isTransposed);

struct Multiplication {
    float* c;
    const uint32_t (&a)[4];
    uint32_t b0, b1;
};
void multiplyFragments(Multiplication* const* all);
// The part that a lane holds of a[16][16].
void unpack(const uint32_t (&registers)[4], unsigned lane, float (*a)[16]);
// c[16][8] += a[16][16] · b[16][8]
void multiplyAdd(const float (*a)[16], const float (&b)[16][8], float (&c)[16][8]);

inline float fromBits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}
inline float fromBf16(uint32_t bits) { return fromBits(bits << 16); }
inline uint32_t toBf16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return f != f ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

}  // namespace emu
