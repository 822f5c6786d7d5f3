// Products of warpgroups (wgmma): four warps together, operands in shared memory by their descriptors, or A in registers, sums in registers, later.
//
// They happen when they are waited for, as late as they may. From the first product on, until a wait names them, the accumulators are a NaN that
// no arithmetic gives; the sums are kept here meanwhile. So are the registers of A, until a wait for their product. What is checked, beside the
// descriptors:
//   * all 128 threads issue the same;
//   * registers, of accumulators and of A, were named by a warpgroupFence since anything else touched them, and nothing touches them before the wait;
//   * what is read was written before its writer's last fenceAsyncProxy that a barrier followed, and is not written before the wait. What comes
//     behind the wait needs a barrier too: warps read each other's part, and one of them may be done before another;
//   * nothing is under way at the end.
#pragma once
#include "collectives.h"
#include "proxy.h"

namespace emu {

constexpr unsigned warpgroupThreads = 128;

// The registers of one thread, and how many.
struct Registers {
    float* first;
    int count;
};

// Accumulators that belong to products: sums [64][columns], and where each thread has its part.
struct Accumulators {
    float* registers[warpgroupThreads];
    int columns;
    int underWay;  // products that are not done
    std::vector<float> sums;
};

// An operand by its descriptor.
struct Operand {
    size_t start, leading, stride, row;  // bytes; of a row what the swizzle permutes
    bool isTransposed;
    int count;  // rows of A or columns of B
};

// What a thread holds of A, and in which registers.
struct Fragment {
    uint32_t* registers;
    uint32_t values[4];
};

struct Product {
    Operand a, b;
    std::vector<Fragment> fragments;  // of all threads, where A is in registers; else none, and a is where it is
    float* registers;  // of the first thread: which accumulators
    Place place;
    std::vector<uint64_t> writes;  // the last writes of each word of the operands, as they were at the issue
};

// Four registers that a warpgroupFence has seen, with what was in them.
struct FencedRegisters {
    const float* first;
    uint32_t contents[4];
};

struct Warpgroup {
    bool isUsed = false;  // in this block
    unsigned arrived = 0;
    const char* operation = "";
    Place place;
    void* arguments[warpgroupThreads];

    bool isFenced = false;  // a warpgroupFence came since the last wait
    std::vector<FencedRegisters> fenced[warpgroupThreads];
    std::vector<Accumulators> held;
    // Products [firstProduct...] are under way; group g ends at groupEnds[g]; groups [firstGroup...] are under way.
    std::vector<Product> products;
    std::vector<size_t> groupEnds;
    size_t firstProduct = 0, firstGroup = 0;
};
inline Warpgroup warpgroups[maximumThreads / warpgroupThreads];

// For a new block.
void forgetWarpgroups();
// Ends the launch where a thread ends before its products.
void requireNoProducts();

// `work` is called once, with the arguments of all 128 threads.
template <class Arguments, class Work> inline void warpgroupCollective(const char* operation, Arguments& mine, Place place, Work work) {
    const unsigned thread = machine.current->thread, first = thread / warpgroupThreads * warpgroupThreads;
    if (first + warpgroupThreads > machine.threads) fail(launchFailed, place, "%s in a warpgroup of less than four warps", operation);
    Warpgroup& group = warpgroups[thread / warpgroupThreads];
    group.isUsed = true;
    if (group.arrived == 0) {
        group.operation = operation;
        group.place = place;
    } else if (group.operation != operation || !(group.place == place)) {
        fail(launchFailed, place, "%s, while another thread of the warpgroup is at %s, %s:%d", operation, group.operation, group.place.name(),
            group.place.line);
    }
    group.arguments[thread - first] = &mine;
    if (++group.arrived < warpgroupThreads) return suspend(operation, place);
    group.arrived = 0;
    for (unsigned warp = first; warp < first + warpgroupThreads; warp += 32) makeWarpReady(warp, thread);
    work(group, reinterpret_cast<Arguments* const*>(group.arguments));
}

struct RegisterList {
    Registers list[2];
    int count;
};
void fenceRegisters(Warpgroup& group, RegisterList* const* all);
// Until at most `pending` groups are under way; then the registers have their sums.
void finishProducts(Warpgroup& group, RegisterList* const* all, size_t pending, Place place);

struct ProductArguments {
    Registers c;
    uint32_t* fragment;  // of A; null: `a` is where it is
    uint64_t a, b;
};
void issueProduct(Warpgroup& group, ProductArguments* const* all, bool isTransposedA, bool isTransposedB, Place place);
inline void commitProducts(Warpgroup& group) { group.groupEnds.push_back(group.products.size()); }

}  // namespace emu
