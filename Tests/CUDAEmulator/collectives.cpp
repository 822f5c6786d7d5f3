#include "collectives.h"

#include <math.h>

#include <algorithm>

#if defined(__clang__)
#pragma clang fp contract(off)
#endif

namespace emu {

void meetBlock(Place place) {
    Machine& m = machine;
    if (m.atBarrier && !(m.barrierPlace == place))
        fail(launchFailed, place, "barrier, while others wait at the one in %s:%d", m.barrierPlace.name(), m.barrierPlace.line);
    m.barrierPlace = place;
    if (++m.atBarrier < m.threads) return suspend("barrier", place);
    m.atBarrier = 0;
    m.lastBarrier = m.time += tick;
    for (unsigned w = 0; w < m.threads / 32; w++) m.lastSync[w] = m.time;
    memcpy(m.proxyFenced, m.proxyFence, m.threads * sizeof *m.proxyFence);
    makeBlockReady(m.current->thread);
}

void loadMatrices(MatrixRows* const* all, bool isTransposed) {
    for (int m = 0; m < 4; m++) {
        const uint16_t* rows[8];
        for (int i = 0; i < 8; i++) rows[i] = all[8 * m + i]->row;
        int used[8] = {}, worst = 0;
        for (int i = 0; i < 8; i++) {
            bool again = false;  // lanes that read one address share the cycle
            for (int j = 0; j < i; j++) again |= rows[i] == rows[j];
            if (!again) worst = std::max(worst, ++used[uintptr_t(rows[i]) / 16 % 8]);
        }
        machine.counters.matrixRows++;
        machine.counters.matrixWavefronts += uint64_t(worst);
        for (int l = 0; l < 32; l++) {
            const int g = l / 4, t = l % 4;
            if (isTransposed) all[l]->r[m] = rows[2 * t][g] | uint32_t(rows[2 * t + 1][g]) << 16;
            else memcpy(&all[l]->r[m], rows[g] + 2 * t, 4);
        }
    }
}

// Four floats at once, with the arithmetic of one: no fused multiply-adds, sums in the order of k.
typedef float float4s __attribute__((vector_size(16)));

void multiplyAdd(const float (*a)[16], const float (&b)[16][8], float (&c)[16][8]) {
    if (truncatesSums) {
        for (int r = 0; r < 16; r++)
            for (int n = 0; n < 8; n++) {
                double sum = c[r][n];
                for (int k = 0; k < 16; k++) sum += double(a[r][k]) * double(b[k][n]);
                const float nearest = float(sum);
                c[r][n] = fabs(double(nearest)) > fabs(sum) ? nextafterf(nearest, 0) : nearest;
            }
        return;
    }
    for (int r = 0; r < 16; r += 4) {
        float4s sums[4][2];
        memcpy(sums, c[r], sizeof sums);
        for (int k = 0; k < 16; k++) {
            float4s row[2];
            memcpy(row, b[k], sizeof row);
            for (int i = 0; i < 4; i++) {
                const float x = a[r + i][k];
                const float4s factor = {x, x, x, x};
                sums[i][0] += factor * row[0];
                sums[i][1] += factor * row[1];
            }
        }
        memcpy(c[r], sums, sizeof sums);
    }
}

// mma.sync.m16n8k16: lane 4·g + t holds of c rows g, g + 8 and columns 2t, 2t + 1; of a these rows and depths 2t, 2t + 1 (+ 8); of b depths
// 2t, 2t + 1 (+ 8) and column g.
void unpack(const uint32_t (&registers)[4], unsigned lane, float (*a)[16]) {
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned i = 0; i < 4; i++) {
        a[g + i % 2 * 8][2 * t + i / 2 * 8] = fromBits(registers[i] << 16);
        a[g + i % 2 * 8][2 * t + i / 2 * 8 + 1] = fromBits(registers[i] & 0xffff0000);
    }
}

void multiplyFragments(Multiplication* const* all) {
    float a[16][16];
    alignas(16) float b[16][8], c[16][8];
    for (int l = 0; l < 32; l++) {
        const int g = l / 4, t = l % 4;
        const Multiplication& x = *all[l];
        unpack(x.a, unsigned(l), a);
        b[2 * t][g] = fromBits(x.b0 << 16);
        b[2 * t + 1][g] = fromBits(x.b0 & 0xffff0000);
        b[2 * t + 8][g] = fromBits(x.b1 << 16);
        b[2 * t + 9][g] = fromBits(x.b1 & 0xffff0000);
        memcpy(&c[g][2 * t], x.c, 8);
        memcpy(&c[g + 8][2 * t], x.c + 2, 8);
    }
    multiplyAdd(a, b, c);
    for (int l = 0; l < 32; l++) {
        memcpy(all[l]->c, &c[l / 4][l % 4 * 2], 8);
        memcpy(all[l]->c + 2, &c[l / 4 + 8][l % 4 * 2], 8);
    }
    machine.counters.multiplyAdds += 2048;
}

}  // namespace emu
