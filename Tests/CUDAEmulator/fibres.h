// The threads of a block as fibres on one host thread: whoever has to wait lets another go on.
#pragma once
#include "machine.h"

extern "C" void emu_fibre_switch(void** save, void* load);

namespace emu {

// Gives a fibre an empty stack on which it will run the machine's kernel.
void prepareFibre(unsigned thread);

inline void resume(Fibre* next) {
    void** save = machine.current ? &machine.current->stackPointer : &machine.mainStack;
    machine.current = next;
    threadIdx = next->index;
    emu_fibre_switch(save, next->stackPointer);
}

inline void resumeMain() {
    Fibre* self = machine.current;
    machine.current = nullptr;
    emu_fibre_switch(&self->stackPointer, machine.mainStack);
}

inline Fibre* takeReady() {
    Machine& m = machine;
    Fibre* next = &m.fibres[m.ready[m.head]];
    m.head = (m.head + 1) % maximumThreads;
    m.readyCount--;
    return next;
}

// Returns when this fibre is ready again and its turn has come. With nobody ready, the launch is over or stuck.
inline void suspend(const char* operation, Place place) {
    Fibre* self = machine.current;
    self->waitsAt = operation;
    self->place = place;
    if (machine.readyCount == 0) resumeMain();
    else resume(takeReady());
}

// Behind all others that are.
inline void makeReady(unsigned thread) { machine.ready[(machine.head + machine.readyCount++) % maximumThreads] = uint16_t(thread); }

// Threads first ..< first + 32 but `except` may go on: mostly before all others, at times after them, in a rotated order.
inline void makeWarpReady(unsigned first, unsigned except) {
    Machine& m = machine;
    const unsigned draw = random(256), turn = draw % 32;
    if (draw / 32 == 0) {
        for (unsigned i = 0; i < 32; i++) {
            const unsigned thread = first + (i + turn) % 32;
            if (thread != except) makeReady(thread);
        }
    } else {
        unsigned head = m.head;
        for (unsigned i = 0; i < 32; i++) {
            const unsigned thread = first + (i + turn) % 32;
            if (thread == except) continue;
            head = (head - 1) % maximumThreads;
            m.ready[head] = uint16_t(thread);
        }
        const unsigned added = except - first < 32 ? 31 : 32;
        m.head = head;
        m.readyCount += added;
    }
}

inline void makeBlockReady(unsigned except) {
    const unsigned warps = machine.threads / 32, turn = random(warps);
    for (unsigned w = 0; w < warps; w++) makeWarpReady((w + turn) % warps * 32, except);
}

}  // namespace emu
