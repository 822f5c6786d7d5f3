// Every template, and the table's places for them.
#include "convolution_vector.h"
#include "optimizer_vector.h"
#include "outer_product_vector.h"
#include "packing_vector.h"
#include "peak_vector.h"
#include "pooling_vector.h"
#include "tables.h"
#include "winograd_vector.h"

/// Replaces the reference's; what is not replaced takes no time that counts.
static void fill(ck_kernels *table) {
  table->convolution = (ck_convolution){store, store_float, store_rectified, store_summed, accumulate_gated};
  table->accumulate_outer_product = accumulate_outer_product;
  table->packing.normalize = normalize;
  table->packing.normalize_pooled = normalize_pooled;
  table->packing.resolve = resolve;
  table->packing.resolve_float = resolve_float;
  table->packing.pack_block = pack_block;
  table->packing.unpack_block = unpack_block;
#if CK_IS_BF16
  table->packing.pair = pair;
  table->packing.pair_pixels = pair_pixels;
#endif
  table->winograd = (ck_winograd){transform_normalized, transform_resolved, spread_resolved,   gather,
                                  gather_summed,        gather_gated,       transform_weights, gather_weights};
  table->pooling = (ck_pooling){max_pool, max_unpool, average_unpool, head_sum, head_unpool, sums, scale_summed};
  table->optimizer = (ck_optimizer){sum_of_squares, sgd, adam};
  table->multiply_add = multiply_add;
}
