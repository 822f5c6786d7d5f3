// PointwiseGradients whose maps come, and whose G goes, by bulk copies: no thread computes an address or holds what is on its way, and memory is
// asked for what comes one and two tiles later.
#pragma once
#include "pointwise_gradients.h"

// A ring of slots, each for two maps of a tile: by turns d and y, of which dy and g take the places, and x and G, of which the activations and the
// new G do. Behind the barrier that follows a tile's products one thread asks for what takes the place of that tile's two slots.
template <class Products> struct PointwiseGradientsBulk {
    static constexpr int pixels = 64, threads = 256, channels = 128, slots = 5;
    using Slot = TilePairs<pixels, 2>;
    using Share = PointwiseShare<pixels>;
    struct Shared {
        TilePairs<channels> weight;
        Slot ring[slots];
        PointwiseConstants constants;
        CopyBarrier weightArrived, arrived[slots];
    };

    // 128 columns, as two boxes of 64.
    template <int Rows> static DEVICE void copyPair(Tile<Rows, 64>* halves, const tensor_map& map, int row, int column, CopyBarrier& arrived) {
        UNROLL for (int half = 0; half < 2; half++) copyBox(halves + half, map, row, column + half * 64, arrived);
    }

    static DEVICE void run(const pointwise_gradients_bulk_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x;
        const PointwiseChunk own(p.given, thread);
        const PartOfTiles part((p.given.pixels + pixels - 1) / pixels);

        auto start = [&](int number) {
            if (when(number < (part.end - part.first) * 2)) {
                Tile<pixels, 64>* halves = shared.ring[number % slots].halves;
                CopyBarrier& arrived = shared.arrived[number % slots];
                const int pixel = (part.first + number / 2) * pixels;
                expectBytes(arrived, sizeof(Slot));
                if (number % 2 == 0) {
                    copyPair(halves, p.d, pixel, 0, arrived);
                    copyPair(halves + 2, p.y, pixel, 0, arrived);
                } else {
                    copyPair(halves, p.x, pixel, own.firstChannel, arrived);
                    copyPair(halves + 2, p.gradient, pixel, own.firstChannel, arrived);
                }
            }
        };
        if (thread == 0) {
            prepare(shared.weightArrived);
            ROLLED for (int slot = 0; slot < slots; slot++) prepare(shared.arrived[slot]);
        }
        shared.constants.put(p.given, own);
        barrier();
        if (thread == 0) {
            expectBytes(shared.weightArrived, sizeof shared.weight);
            copyPair(shared.weight.halves, p.weight, own.firstChannel, 0, shared.weightArrived);
            ROLLED for (int number = 0; number < slots; number++) start(number);
        }

        Products products(thread);
        double total = 0;                // of one channel's Σd or Σd·(x − mean)
        waitBytes(shared.weightArrived, 0);
        for (int number = 0, pixel = part.first * pixels; pixel < part.end * pixels; number += 2, pixel += pixels) {
            Slot& outputs = shared.ring[number % slots];
            Slot& inputs = shared.ring[(number + 1) % slots];
            Share g, x, gradient;
            waitBytes(shared.arrived[number % slots], number / slots);
            g.take(outputs, 0, own);     // d, and x is y
            x.take(outputs, 1, own);
            shared.constants.resolve(g, x, own.chunk, p.given.pixels - pixel - own.row);
            g.store(outputs, 0, own);
            products.publish();
            products.finish();
            barrier();                   // dy is there, and nobody reads the slots of the tile before any more
            if (thread == 0 && when(number > 0)) {
                waitBoxes<0>();
                start(number + slots - 2);
                start(number + slots - 1);
            }
            products.multiplyByWeights(outputs, 0, shared.weight);
            products.put(outputs, 1);
            barrier();

            waitBytes(shared.arrived[(number + 1) % slots], (number + 1) / slots);
            g.take(outputs, 1, own);
            x.take(inputs, 0, own);
            gradient.take(inputs, 1, own);
            shared.constants.gate(g, x, gradient, own);
            g.store(inputs, 0, own);
            gradient.store(inputs, 1, own);
            fenceAsyncProxy();           // of all that was written to both slots: boxes are stored from there, and will be copied there
            barrier();
            if (thread == 0) {
                UNROLL for (int half = 0; half < 2; half++) storeBox(p.gradient, pixel, own.firstChannel + half * 64, inputs.halves + 2 + half);
                commitBoxes();
            }
            total += double(shared.constants.sum(thread));
            products.addWeights(inputs, 0, outputs, 0);
        }
        if (thread == 0) waitBoxes<0>();
        PointwiseGradients<pixels, Products>::finish(p.given, own, products, total, thread);
    }
};
