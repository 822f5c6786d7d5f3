#include "warpgroups.h"

namespace emu {

// Not a number, nor are its halves; what arithmetic gives is 0x7fc00000 or 0xffc00000, and of bf16 0x7fff.
static constexpr uint32_t untouched = 0xffe1ffe1;

static bool isUntouched(Registers registers) {
    for (int i = 0; i < registers.count; i++) {
        uint32_t bits;
        memcpy(&bits, registers.first + i, 4);
        if (bits != untouched) return false;
    }
    return true;
}

void forgetWarpgroups() {
    for (Warpgroup& group : warpgroups)
        if (group.isUsed) group = {};
}

void requireNoProducts() {
    const Warpgroup& group = warpgroups[machine.current->thread / warpgroupThreads];
    if (group.firstProduct < group.products.size())
        fail(launchFailed, group.products[group.firstProduct].place, "the kernel ends with this product still under way");
}

// MARK: Registers

// Thread t holds of each eight columns, of row 16·warp + g and of the row eight below, columns 2·i and the next, where t % 32 = 4·g + i.
static void exchange(Accumulators& c, bool toRegisters) {
    for (unsigned t = 0; t < warpgroupThreads; t++)
        for (int j = 0; j < c.columns / 8; j++)
            for (int half = 0; half < 2; half++) {
                const unsigned row = t / 32 * 16 + t % 32 / 4 + unsigned(half) * 8;
                float* sums = &c.sums[row * unsigned(c.columns) + unsigned(j) * 8 + t % 4 * 2];
                float* registers = c.registers[t] + j * 4 + half * 2;
                memcpy(toRegisters ? registers : sums, toRegisters ? sums : registers, 8);
            }
}

static Accumulators* find(Warpgroup& group, float* registers) {
    for (Accumulators& c : group.held)
        if (c.registers[0] == registers) return &c;
    return nullptr;
}

static void requireUntouched(const Accumulators& c, Place place) {
    for (float* registers : c.registers)
        if (!isUntouched({registers, c.columns / 2}))
            fail(launchFailed, place, "accumulators of a product were touched before a warpgroupWait named them");
}

void fenceRegisters(Warpgroup& group, RegisterList* const* all) {
    group.isFenced = true;
    for (unsigned t = 0; t < warpgroupThreads; t++)
        for (int i = 0; i < all[t]->count; i++) {
            const Registers registers = all[t]->list[i];
            for (int first = 0; first < registers.count; first += 4) {
                FencedRegisters& fenced = group.fenced[t].emplace_back();
                fenced.first = registers.first + first;
                memcpy(fenced.contents, fenced.first, sizeof fenced.contents);
            }
        }
}

static void requireFenced(const Warpgroup& group, unsigned thread, Registers c, const char* what, Place place) {
    const auto& all = group.fenced[thread];
    for (const float* first = c.first; first < c.first + c.count; first += 4) {
        bool isNamed = false, isFenced = false;
        for (size_t i = 0; i < all.size() && !isFenced; i++) {
            if (all[i].first != first) continue;
            isNamed = true;
            isFenced = memcmp(all[i].contents, first, sizeof all[i].contents) == 0;
        }
        if (!isNamed) fail(launchFailed, place, "no warpgroupFence names these %s", what);
        if (!isFenced) fail(launchFailed, place, "%s have changed since the warpgroupFence", what);
    }
}

static Accumulators& hold(Warpgroup& group, ProductArguments* const* all, Place place) {
    const int count = all[0]->c.count;
    if (Accumulators* c = find(group, all[0]->c.first)) {
        if (c->columns != count * 2) fail(launchFailed, place, "products of different shapes with the same accumulators");
        requireUntouched(*c, place);
        return *c;
    }
    for (unsigned t = 0; t < warpgroupThreads; t++) requireFenced(group, t, all[t]->c, "accumulators", place);
    Accumulators& c = group.held.emplace_back();
    c.columns = count * 2;
    c.underWay = 0;
    c.sums.resize(size_t(64 * c.columns));
    for (unsigned t = 0; t < warpgroupThreads; t++) c.registers[t] = all[t]->c.first;
    exchange(c, false);
    for (float* registers : c.registers)
        for (int i = 0; i < count; i++) memcpy(registers + i, &untouched, 4);
    return c;
}

// A's registers are those of one product at a time.
static Registers registersOf(const Fragment& fragment) { return {reinterpret_cast<float*>(fragment.registers), 4}; }

static void take(Warpgroup& group, ProductArguments* const* all, std::vector<Fragment>& fragments, Place place) {
    if (!all[0]->fragment) return;
    fragments.resize(warpgroupThreads);
    for (unsigned t = 0; t < warpgroupThreads; t++) {
        Fragment& fragment = fragments[t];
        fragment.registers = all[t]->fragment;
        requireFenced(group, t, registersOf(fragment), "registers of A", place);
        memcpy(fragment.values, fragment.registers, sizeof fragment.values);
        for (int i = 0; i < 4; i++) fragment.registers[i] = untouched;
    }
}

static void giveBack(const std::vector<Fragment>& fragments, Place place) {
    for (const Fragment& fragment : fragments) {
        if (!isUntouched(registersOf(fragment))) fail(launchFailed, place, "registers of A were touched before a warpgroupWait for this product");
        memcpy(fragment.registers, fragment.values, sizeof fragment.values);
    }
}

// MARK: Operands

// PTX ISA, "Matrix Descriptor Format"; of the swizzles those of 128 and of 64 bytes.
static Operand decode(uint64_t descriptor, bool isTransposed, int count, Place place) {
    const auto bytes = [&](int shift) { return size_t(descriptor >> shift & 0x3fff) * 16; };
    const uint64_t swizzle = descriptor >> 62;
    const Operand operand{bytes(0), bytes(16), bytes(32), swizzle == 1 ? size_t(128) : size_t(64), isTransposed, count};
    if ((swizzle != 1 && swizzle != 2) || descriptor & 0x3ffec000c000c000)
        fail(launchFailed, place, "descriptor %016llx: not a swizzle of 128 or 64 bytes with base offset 0, or bits set that have no meaning",
            static_cast<unsigned long long>(descriptor));
    const size_t pattern = operand.row * 8, inRow = operand.start % operand.row;
    if (operand.start % pattern >= operand.row || operand.stride % pattern ||
        (isTransposed && size_t(count) * 2 > operand.row && operand.leading % pattern))
        fail(misalignedAddress, place, "descriptor %016llx: rows do not begin where the swizzle's pattern of %zu bytes does",
            static_cast<unsigned long long>(descriptor), pattern);
    if (isTransposed ? inRow != 0 : inRow > operand.row - 32)
        fail(misalignedAddress, place, "descriptor %016llx: the operand runs over the end of its rows of %zu bytes",
            static_cast<unsigned long long>(descriptor), operand.row);
    return operand;
}

// Calls `body` with the offset in shared memory of each 16 bytes, and with the row of A or column of B and the depth that their first element has.
template <class Body> static void forChunks(const Operand& o, Body body) {
    const auto swizzled = [&](size_t offset) { return offset ^ (offset >> 7 & (o.row / 16 - 1)) << 4; };
    // Of eights of rows, a row's place: rows are what does not lie side by side.
    const auto row = [&](int r) { return o.start + size_t(r / 8) * o.stride + size_t(r % 8) * o.row; };
    if (o.isTransposed) {
        for (int depth = 0; depth < 16; depth++)
            for (int i = 0; i < o.count; i += 8)
                body(swizzled(row(depth) + size_t(i) * 2 / o.row * o.leading + size_t(i) * 2 % o.row), i, depth);
    } else {
        for (int i = 0; i < o.count; i++)
            for (int depth = 0; depth < 16; depth += 8) body(swizzled(row(i) + size_t(depth) * 2), i, depth);
    }
}

// A read by all four warps.
static void issueRead(const Operand& operand, std::vector<uint64_t>& writes, Place place) {
    forChunks(operand, [&](size_t offset, int, int) {
        beginRead(offset, 16, ofWarps, writes, place);
    });
}

static void finishRead(const Operand& operand, const uint64_t*& writes, Place place) {
    forChunks(operand, [&](size_t offset, int, int) {
        machine.counters.warpgroupBytes += 16;
        endRead(offset, 16, ofWarps, writes, "product", place);
    });
}

// MARK: Products

void issueProduct(Warpgroup& group, ProductArguments* const* all, bool isTransposedA, bool isTransposedB, Place place) {
    for (unsigned t = 1; t < warpgroupThreads; t++)
        if (all[t]->a != all[0]->a || all[t]->b != all[0]->b) fail(launchFailed, place, "the threads of a warpgroup have different descriptors");
    if (!group.isFenced) fail(launchFailed, place, "no warpgroupFence came before this product, or none since the last warpgroupWait");
    Accumulators& c = hold(group, all, place);
    c.underWay++;
    Product& product = group.products.emplace_back();
    take(group, all, product.fragments, place);
    if (product.fragments.empty()) product.a = decode(all[0]->a, isTransposedA, 64, place);
    product.b = decode(all[0]->b, isTransposedB, c.columns, place);
    product.registers = c.registers[0];
    product.place = place;
    if (product.fragments.empty()) issueRead(product.a, product.writes, place);
    issueRead(product.b, product.writes, place);
}

static void multiply(const Product& product, Accumulators& c) {
    static float a[64][16], b[16][256];
    const auto element = [](size_t offset, int i) {
        uint16_t bits;
        memcpy(&bits, machine.shared + offset + i * 2, 2);
        return fromBf16(bits);
    };
    if (product.fragments.empty())
        forChunks(product.a, [&](size_t offset, int row, int depth) {
            for (int i = 0; i < 8; i++) (product.a.isTransposed ? a[row + i][depth] : a[row][depth + i]) = element(offset, i);
        });
    else
        for (unsigned t = 0; t < warpgroupThreads; t++) unpack(product.fragments[t].values, t % 32, a + t / 32 * 16);
    forChunks(product.b, [&](size_t offset, int column, int depth) {
        for (int i = 0; i < 8; i++) (product.b.isTransposed ? b[depth][column + i] : b[depth + i][column]) = element(offset, i);
    });
    for (int column = 0; column < c.columns; column += 8) {
        float right[16][8], sums[16][8];
        for (int k = 0; k < 16; k++) memcpy(right[k], &b[k][column], sizeof right[k]);
        for (int row = 0; row < 64; row += 16) {
            const auto first = [&](int r) { return &c.sums[size_t((row + r) * c.columns + column)]; };
            for (int r = 0; r < 16; r++) memcpy(sums[r], first(r), sizeof sums[r]);
            multiplyAdd(a + row, right, sums);
            for (int r = 0; r < 16; r++) memcpy(first(r), sums[r], sizeof sums[r]);
        }
    }
    machine.counters.multiplyAdds += 64 * 16 * uint64_t(c.columns);
}

void finishProducts(Warpgroup& group, RegisterList* const* all, size_t pending, Place place) {
    for (; group.groupEnds.size() - group.firstGroup > pending; group.firstGroup++)
        for (; group.firstProduct < group.groupEnds[group.firstGroup]; group.firstProduct++) {
            const Product& product = group.products[group.firstProduct];
            const uint64_t* writes = product.writes.data();
            if (product.fragments.empty()) finishRead(product.a, writes, product.place);
            else giveBack(product.fragments, product.place);
            finishRead(product.b, writes, product.place);
            Accumulators& c = *find(group, product.registers);
            multiply(product, c);
            c.underWay--;
        }
    if (group.firstProduct == group.products.size()) {
        group.products.clear();
        group.groupEnds.clear();
        group.firstProduct = group.firstGroup = 0;
    }
    for (int i = 0; i < all[0]->count; i++) {
        Accumulators* c = find(group, all[0]->list[i].first);
        if (!c) continue;
        if (c->underWay) fail(launchFailed, place, "names accumulators whose products are still under way");
        requireUntouched(*c, place);
        exchange(*c, true);
        if (c != &group.held.back()) *c = std::move(group.held.back());
        group.held.pop_back();
    }
    group.isFenced = false;
    for (auto& fenced : group.fenced) fenced.clear();
}

}  // namespace emu
