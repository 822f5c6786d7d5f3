// Growth whose activations and weights come by bulk copies: no thread computes their addresses, and the next slice is normalised between the products
// of the one before, while memory is asked for the one behind it.
#pragma once
#include "growth.h"

// The halo of a tile, at widths up to 56, is one run of pixels and comes in boxes of 64: whole ones, whose pixels behind the halo nobody reads.
// Activations have three places, for those that are multiplied, those that are normalised in place, and those on their way; weights, which are
// multiplied as they come, have two.
template <bool Normalises, template <int> class Products> struct GrowthBulk {
    using Base = Growth<256, 56, Normalises, Products>;
    static constexpr int pixels = 256, threads = Base::threads, depth = Base::depth, outputs = Base::outputs, rowTiles = Base::rowTiles;
    static constexpr int boxRows = 64, mostBoxes = (Base::rows + boxRows - 1) / boxRows, zeroRow = mostBoxes * boxRows, places = 3, weightPlaces = 2;
    static_assert(boxRows == threads / 4, "of a box each thread normalises one chunk");
    static constexpr int firstTap = taps - mostBoxes;   // behind whose products boxes are normalised, one behind each from then on
    static constexpr int weightThread = threads / 2;   // which asks for weights as the first does for activations: no warpgroup waits for both
    using Activations = Tile<zeroRow + 8, depth>;
    using Weights = Tile<taps * depth, outputs>;
    struct Shared {
        union {
            struct {
                Activations x[places];
                Weights weight[weightPlaces];
            };
            OutputTile<pixels, outputs, threads> out;
        };
        CopyBarrier arrived[places], weightArrived[weightPlaces];
    };
    // What products are told of a slice.
    struct Stage {
        static constexpr int depth = GrowthBulk::depth;
        Activations& x;
        Weights& weight;
    };

    static DEVICE void run(const growth_bulk_parameters& p) {
        Shared& shared = sharedMemory<Shared>();
        const int thread = threadIdx.x, lane = thread % 32, warpPixel = thread / 32 * (rowTiles * 16), chunk = thread % 4;
        const int firstPixel = blockIdx.x * pixels, firstOutput = blockIdx.y * outputs, slices = p.given.channels / depth;
        const int haloPixel = firstPixel - p.given.width - 1, boxes = (pixels + 2 * p.given.width + 2 + boxRows - 1) / boxRows;

        auto start = [&](int slice) {
            if (when(slice < slices)) {
                Activations& x = shared.x[slice % places];
                CopyBarrier& arrived = shared.arrived[slice % places];
                expectBytes(arrived, boxes * int(sizeof(Tile<boxRows, depth>)));
                ROLLED for (int box = 0; when(box < boxes); box++)
                    copyBox(x.at(box * boxRows, 0), p.x, haloPixel + box * boxRows, slice * depth, arrived);
            }
        };
        auto startWeights = [&](int slice) {
            if (when(slice < slices)) {
                Weights& weight = shared.weight[slice % weightPlaces];
                CopyBarrier& arrived = shared.weightArrived[slice % weightPlaces];
                expectBytes(arrived, sizeof(Weights));
                ROLLED for (int tap = 0; tap < taps; tap++)
                    copyBox(weight.at(tap * depth, 0), p.weight, tap * p.given.channels + slice * depth, firstOutput, arrived);
            }
        };
        if (thread == 0) {
            ROLLED for (int place = 0; place < places; place++) prepare(shared.arrived[place]);
            start(0);
            start(1);
        } else if (thread == weightThread) {
            ROLLED for (int place = 0; place < weightPlaces; place++) prepare(shared.weightArrived[place]);
            startWeights(0);
        }
        if (when(thread < places * 32)) storeShared(shared.x[thread / 32].at(zeroRow + thread % 32 / 4, chunk), uint4{0, 0, 0, 0});
        const TapRows<rowTiles, zeroRow> tapRows(p.given, firstPixel, warpPixel, p.given.width, lane);

        float4 affine[4];                // of this thread's eight channels of the next slice
        auto loadAffine = [&](int slice) {
            if (Normalises && when(slice < slices))
                UNROLL for (int i = 0; i < 4; i++)
                    affine[i] = loadGlobal(reinterpret_cast<const float4*>(p.given.affine + slice * depth + chunk * 8) + i);
        };
        auto normalise = [&](int slice, int box) {
            uint4* at = shared.x[slice % places].at(box * boxRows + thread / 4, chunk);
            const uint4 v = loadShared(at);
            storeShared(at, uint4{normaliseRectify(v.x, affine[0]), normaliseRectify(v.y, affine[1]), normaliseRectify(v.z, affine[2]),
                                  normaliseRectify(v.w, affine[3])});
        };
        loadAffine(0);
        barrier();                       // the CopyBarriers are prepared
        waitBytes(shared.arrived[0], 0);
        if constexpr (Normalises)
            for (int box = 0; box < boxes; box++) normalise(0, box);

        Products<rowTiles> products;
        for (int slice = 0; slice < slices; slice++) {
            const int next = slice + 1;
            const bool hasNext = when(next < slices);
            if constexpr (Normalises) fenceAsyncProxy();   // boxes will be copied to where it was normalised
            products.finish();
            barrier();                   // the slice is normalised, and nobody reads the one before any more
            if (thread == 0) start(slice + 2);
            else if (thread == weightThread) startWeights(next);
            loadAffine(next);
            waitBytes(shared.weightArrived[slice % weightPlaces], slice / weightPlaces);
            Stage stage{shared.x[slice % places], shared.weight[slice % weightPlaces]};
            UNROLL for (int tap = 0; tap < taps; tap++) {
                int row[rowTiles];
                tapRows.find(tap, row);
                products.add(stage, tap, row, lane);
                if (tap == firstTap && hasNext) waitBytes(shared.arrived[next % places], next / places);
                if constexpr (Normalises)
                    if (tap >= firstTap && tap - firstTap < boxes && hasNext) normalise(next, tap - firstTap);
            }
        }
        products.finish();
        barrier();                       // nothing is read any more, and no box is under way
        finishGrowth(p.given, shared.out, products.sum);
    }
};
