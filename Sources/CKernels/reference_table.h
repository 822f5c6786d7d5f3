// Everything in plain C: what the other levels are compared with, and what runs where none of them can.
#include "convolution_reference.h"
#include "optimizer_reference.h"
#include "outer_product_reference.h"
#include "packing_reference.h"
#include "peak_reference.h"
#include "pooling_reference.h"
#include "tables.h"
#include "winograd_reference.h"

static void fill(ck_kernels *table) {
  *table = (ck_kernels){
    .convolution = {store, store_float, store_rectified, store_summed, accumulate_gated},
    .accumulate_outer_product = accumulate_outer_product,
    .packing = {interleave, widen, normalize, normalize_pooled, resolve, resolve_float, pair, pair_pixels, pack_block,
                spread_taps, unpack_block},
    .winograd = {transform_normalized, transform_resolved, spread_resolved, gather, gather_summed, gather_gated,
                 transform_weights, gather_weights},
    .pooling = {max_pool, max_unpool, average_unpool, head_sum, head_unpool, sums, scale_summed},
    .optimizer = {sum_of_squares, sgd, adam},
    .multiply_add = multiply_add,
  };
}
