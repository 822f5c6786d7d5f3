// Deliberate mistakes: what a kernel does at one place, done wrong, to see whether a test notices.
#pragma once
#include "machine.h"

namespace emu {

// What can be done wrong at a place.
enum class Kind {
    barrier,    // barrier does nothing
    syncWarp,   // syncWarp does nothing
    wait,       // waitCopies, warpgroupWait or waitBoxes leaves one group more under way; waitBytes does nothing
    index,      // a load, a store, the source of a copy or an operand of a product is one element further, a box one row; of bytes 16 more are expected
    predicate,  // `when`, or the `valid` of a copy, is always true
    fence,      // warpgroupFence or fenceAsyncProxy does nothing
};

struct Faults {
    bool watching = false;  // whether anybody wants to know the places
    bool recording = false;
    bool isPlanted = false, isHere = false;  // here: in the kernel that runs
    std::string kernel, file;
    int line = 0;
    Kind kind = Kind::barrier;
    uint64_t lies = 0;  // of this launch
};
inline Faults faults;

bool visit(Kind kind, Place place);
// Whether to do it wrong this time.
inline bool isFaulty(Kind kind, Place place) { return faults.watching && visit(kind, place); }

// A predicate, or true where it is planted to be. A loop that loses its end by that is ended.
void countLie(Place place);
inline bool orFaulty(bool inside, Place place) {
    if (!isFaulty(Kind::predicate, place) || inside) return inside;
    countLie(place);
    return true;
}

// "kernel\tkind\tfile:line", as recordedSites has them; empty: nothing. False where it is no such line.
bool plant(const std::string& site);
void recordSites(bool on);
// Of all places visited since, a line each, sorted.
std::string recordedSites();
void beginFaults();  // of a launch, when the machine knows its kernel

}  // namespace emu
