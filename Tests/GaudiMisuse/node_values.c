// What is wrong with a node though each of its operands is there: values of parameters, shapes that do not belong
// together, guids that nobody knows.
#include <math.h>

#include "nodes.h"
#include "subjects.h"

struct row {
  const char *what, *guid;
  struct shape inputs[most_operands], outputs[most_operands];
  struct parameters parameters;
  struct expectation expected;
};

static void try_rows(const struct row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const struct row *row = &rows[i];
    checking("%s, %s", row->guid, row->what);
    const struct operands operands = operands_of(row->inputs, row->outputs);
    CHECK(try_node(row->guid, syn_type_float, &operands, row->parameters), row->expected);
  }
  checking("%s", "");
}

#define WRONG_VALUE {synInvalidArgument, "node-parameter-value"}
#define WRONG_INPUT {synFail, "node-input-shape"}
#define WRONG_OUTPUT {synFail, "node-output-shape"}
#define FINE {synSuccess, ""}

// MARK: Guids and counts

static void try_guids(void) {
  const struct row rows[] = {
      {"of one that is", "relu_fwd_f32", {IMAGE}, {IMAGE}, {0}, FINE},
      {"of one that nobody knows", "no_such_node", {IMAGE}, {IMAGE}, {0}, {synFail, "node-unknown-guid"}},
      {"without a type", "relu_fwd", {IMAGE}, {IMAGE}, {0}, {synFail, "node-unknown-guid"}},
      {"with a type that is none", "relu_fwd_f16", {IMAGE}, {IMAGE}, {0}, {synFail, "node-unknown-guid"}},
      {"with a type though it has none", "spatial_convolution_f32", {IMAGE, WEIGHTS}, {FILTERED},
       {&three_by_three, convolution_bytes}, {synFail, "node-unknown-guid"}},
      {"from a type to itself", "cast_f32_to_f32", {IMAGE}, {IMAGE}, {0}, {synFail, "node-unknown-guid"}},
  };
  try_rows(rows, sizeof rows / sizeof *rows);
}

// Operands that may be there or not.
static void try_more_operands(void) {
  const struct parameters convolution = {&three_by_three, convolution_bytes};
  const struct parameters normalization = {&usual_normalization, normalization_2_bytes};
  const struct shape bias = {element, 1, {6}}, nothing = {element, 0, {0}};
  const struct row rows[] = {
      {"with a bias", "spatial_convolution", {IMAGE, WEIGHTS, bias}, {FILTERED}, convolution, FINE},
      {"with a bias and a place for more", "spatial_convolution", {IMAGE, WEIGHTS, bias, nothing}, {FILTERED},
       convolution, FINE},
      {"with a residual", "spatial_convolution", {IMAGE, WEIGHTS, nothing, FILTERED}, {FILTERED}, convolution,
       {synFail, "node-input-count"}},
      {"with a bias of another size", "spatial_convolution", {IMAGE, WEIGHTS, CHANNELS}, {FILTERED}, convolution,
       WRONG_INPUT},
      {"with a bias of another type", "spatial_convolution", {IMAGE, WEIGHTS, {syn_type_bf16, 1, {6}}}, {FILTERED},
       convolution, {synFail, "node-input-type"}},
      {"with running statistics", "batch_norm_fwd_f32", {IMAGE, CHANNELS, CHANNELS, CHANNELS, CHANNELS},
       {IMAGE, CHANNELS, CHANNELS, CHANNELS, CHANNELS}, normalization, FINE},
      {"with one running statistic", "batch_norm_fwd_f32", {IMAGE, CHANNELS, CHANNELS, CHANNELS, CHANNELS},
       {IMAGE, CHANNELS, CHANNELS, CHANNELS}, normalization, {synFail, "node-output-count"}},
      {"of one part", "concat", {IMAGE}, {IMAGE}, {0}, FINE},
      {"of bytes", "concat", {{syn_type_uint8, 1, {4}}, {syn_type_uint8, 1, {3}}}, {{syn_type_uint8, 1, {7}}}, {0},
       FINE},
  };
  try_rows(rows, sizeof rows / sizeof *rows);
}

// MARK: Convolutions

static void try_convolutions(void) {
  struct convolution none = three_by_three, still = three_by_three, negative = three_by_three,
                     rectified = three_by_three, after = three_by_three, grouped = three_by_three,
                     as_same = three_by_three, ungrouped = three_by_three, dilated = three_by_three;
  none.kernel_width = 0;
  still.stride_height = 0;
  negative.left = -1;
  rectified.activation_relu = 1;
  after.activation_after = 1;
  grouped.groups = 2;
  as_same.padding_type = 1;
  ungrouped.groups = 0;  // the compiler takes it as 1
  dilated.dilation_width = 0;
  const struct parameters right = {&three_by_three, convolution_bytes};
  const struct shape whole_image = {syn_type_int32, 4, {4, 8, 8, 2}}, whole_weights = {syn_type_int32, 4, {6, 4, 3, 3}};
  const struct row rows[] = {
      {"of integers", "spatial_convolution", {whole_image, whole_weights}, {FILTERED}, right,
       {synFail, "node-input-type"}},
      {"without groups", "spatial_convolution", {IMAGE, WEIGHTS}, {FILTERED}, {&ungrouped, convolution_bytes}, FINE},
      {"without a kernel", "spatial_convolution", {IMAGE, WEIGHTS}, {FILTERED}, {&none, convolution_bytes},
       WRONG_VALUE},
      {"without a stride", "dedx", {FILTERED, WEIGHTS}, {IMAGE}, {&still, convolution_bytes}, WRONG_VALUE},
      {"without a dilation", "dedw", {FILTERED, IMAGE}, {WEIGHTS}, {&dilated, convolution_bytes}, WRONG_VALUE},
      {"padded by less than nothing", "spatial_convolution", {IMAGE, WEIGHTS}, {FILTERED},
       {&negative, convolution_bytes}, WRONG_VALUE},
      {"rectified", "spatial_convolution", {IMAGE, WEIGHTS}, {FILTERED}, {&rectified, convolution_bytes}, WRONG_VALUE},
      {"with something after it", "dedw", {FILTERED, IMAGE}, {WEIGHTS}, {&after, convolution_bytes}, WRONG_VALUE},
      {"in groups", "spatial_convolution", {IMAGE, WEIGHTS}, {FILTERED}, {&grouped, convolution_bytes}, WRONG_VALUE},
      {"padded as same", "spatial_convolution", {IMAGE, WEIGHTS}, {FILTERED}, {&as_same, convolution_2_bytes},
       WRONG_VALUE},
      {"of one image", "spatial_convolution", {{element, 3, {4, 8, 8}}, WEIGHTS}, {FILTERED}, right, WRONG_INPUT},
      {"of other channels", "spatial_convolution", {IMAGE, {element, 4, {6, 5, 3, 3}}}, {FILTERED}, right,
       WRONG_OUTPUT},
      {"by another kernel", "spatial_convolution", {IMAGE, {element, 4, {6, 4, 3, 2}}}, {FILTERED}, right,
       WRONG_OUTPUT},
      {"to other rows", "spatial_convolution", {IMAGE, WEIGHTS}, {{element, 4, {6, 8, 7, 2}}}, right, WRONG_OUTPUT},
      {"to other columns", "dedx", {FILTERED, WEIGHTS}, {{element, 4, {4, 9, 8, 2}}}, right, WRONG_OUTPUT},
      {"with its kernel in another order", "dedw", {FILTERED, IMAGE}, {{element, 4, {4, 6, 3, 3}}}, right,
       WRONG_OUTPUT},
  };
  try_rows(rows, sizeof rows / sizeof *rows);
}

static void try_gemms(void) {
  const uint8_t transposes_b[] = {0, 1}, transposes_twice[] = {2, 0};
  const struct row rows[] = {
      {"transposed", "gemm", {{element, 2, {7, 5}}, {element, 2, {7, 3}}}, {{element, 2, {3, 5}}}, {transposes_b, 2},
       FINE},
      {"of integers", "gemm", {{syn_type_int32, 2, {7, 5}}, {syn_type_int32, 2, {3, 7}}}, {{element, 2, {3, 5}}}, {0},
       {synFail, "node-input-type"}},
      {"transposed twice", "gemm", {{element, 2, {7, 5}}, {element, 2, {3, 7}}}, {{element, 2, {3, 5}}},
       {transposes_twice, 2}, WRONG_VALUE},
      {"without a common size", "gemm", {{element, 2, {7, 5}}, {element, 2, {3, 6}}}, {{element, 2, {3, 5}}}, {0},
       WRONG_INPUT},
      {"of several", "gemm", {{element, 3, {7, 5, 2}}, {element, 2, {3, 7}}}, {{element, 2, {3, 5}}}, {0}, WRONG_INPUT},
      {"of a vector", "gemm", {{element, 2, {7, 5}}, {element, 1, {7}}}, {{element, 2, {3, 5}}}, {0}, WRONG_INPUT},
      {"to its transpose", "gemm", {{element, 2, {7, 5}}, {element, 2, {3, 7}}}, {{element, 2, {5, 3}}}, {0},
       WRONG_OUTPUT},
  };
  try_rows(rows, sizeof rows / sizeof *rows);
}

// MARK: Batch norms and pools

static void try_normalizations(void) {
  struct normalization fixed = usual_normalization, negative = usual_normalization, nan_momentum = usual_normalization,
                       nan_epsilon = usual_normalization, neither = usual_normalization;
  fixed.is_training = 0;
  negative.epsilon = -1;
  nan_momentum.momentum = NAN;
  nan_epsilon.epsilon = NAN;
  neither.is_training = 2;
  const struct row rows[] = {
      {"not in training", "batch_norm_fwd_f32", {IMAGE, CHANNELS, CHANNELS, CHANNELS, CHANNELS},
       {IMAGE, CHANNELS, CHANNELS}, {&fixed, normalization_2_bytes}, WRONG_VALUE},
      {"not in training", "batch_norm_bwd_f32", {IMAGE, IMAGE, CHANNELS, CHANNELS, CHANNELS},
       {IMAGE, CHANNELS, CHANNELS}, {&fixed, normalization_2_bytes}, FINE},
      {"neither in training nor not", "batch_norm_bwd_f32", {IMAGE, IMAGE, CHANNELS, CHANNELS, CHANNELS},
       {IMAGE, CHANNELS, CHANNELS}, {&neither, normalization_2_bytes}, WRONG_VALUE},
      {"with an epsilon below 0", "batch_norm_fwd_f32", {IMAGE, CHANNELS, CHANNELS, CHANNELS, CHANNELS},
       {IMAGE, CHANNELS, CHANNELS}, {&negative, normalization_bytes}, WRONG_VALUE},
      {"with no momentum", "batch_norm_fwd_f32", {IMAGE, CHANNELS, CHANNELS, CHANNELS, CHANNELS},
       {IMAGE, CHANNELS, CHANNELS}, {&nan_momentum, normalization_bytes}, WRONG_VALUE},
      {"with no epsilon", "batch_norm_inf_f32", {IMAGE, CHANNELS, CHANNELS, CHANNELS, CHANNELS}, {IMAGE},
       {&nan_epsilon, normalization_bytes}, WRONG_VALUE},
      {"with a gamma of another size", "batch_norm_inf_f32",
       {IMAGE, CHANNELS, {syn_type_float, 1, {5}}, CHANNELS, CHANNELS}, {IMAGE},
       {&usual_normalization, normalization_bytes}, WRONG_INPUT},
      {"of one image", "batch_norm_inf_f32", {{element, 3, {4, 8, 8}}, CHANNELS, CHANNELS, CHANNELS, CHANNELS}, {IMAGE},
       {&usual_normalization, normalization_bytes}, WRONG_INPUT},
  };
  try_rows(rows, sizeof rows / sizeof *rows);
}

static void try_pools(void) {
  struct pool full = two_by_two, none = two_by_two, negative = two_by_two, half = two_by_two, divided = two_by_two,
              padded = two_by_two, large = two_by_two;
  full.convention = 1;
  none.kernel_width = 0;
  negative.left = -1;
  half.include_padding = 2;
  divided.divisor = -1;
  padded.left = padded.right = 2;  // so its first and last windows have nothing of the image
  large.kernel_width = large.kernel_height = 17;
  const struct shape sevenths = {element, 4, {1, 17, 17, 1}}, one = {element, 4, {1, 1, 1, 1}};
  const struct row rows[] = {
      {"by another convention", "maxpool_2d_fwd_f32", {IMAGE}, {POOL_INDICES, POOLED}, {&full, max_pool_bytes},
       WRONG_VALUE},
      {"without a kernel", "maxpool_2d_bwd_f32", {POOLED, POOL_INDICES}, {IMAGE}, {&none, max_pool_bytes}, WRONG_VALUE},
      {"padded by less than nothing", "avg_pool_2d_fwd_f32", {IMAGE}, {POOLED}, {&negative, average_pool_bytes},
       WRONG_VALUE},
      {"including half the padding", "avg_pool_2d_fwd_f32", {IMAGE}, {POOLED}, {&half, average_pool_bytes},
       WRONG_VALUE},
      {"divided by less than nothing", "avg_pool_2d_bwd_f32", {POOLED}, {IMAGE}, {&divided, average_pool_2_bytes},
       WRONG_VALUE},
      {"of padding", "avg_pool_2d_fwd_f32", {IMAGE}, {{element, 4, {4, 6, 4, 2}}}, {&padded, average_pool_bytes},
       WRONG_VALUE},
      {"with more elements than an index can tell", "maxpool_2d_fwd_f32", {sevenths},
       {{pool_index, 4, {1, 1, 1, 1}}, one}, {&large, max_pool_bytes}, WRONG_VALUE},
      {"with as many elements", "avg_pool_2d_fwd_f32", {sevenths}, {one}, {&large, average_pool_bytes}, FINE},
      {"of other indices", "maxpool_2d_bwd_f32", {POOLED, {pool_index, 4, {4, 4, 5, 2}}}, {IMAGE},
       {&two_by_two, max_pool_bytes}, WRONG_INPUT},
      {"of one image", "avg_pool_2d_fwd_f32", {{element, 3, {4, 8, 8}}}, {POOLED}, {&two_by_two, average_pool_bytes},
       WRONG_INPUT},
      {"to other rows", "avg_pool_2d_fwd_f32", {IMAGE}, {{element, 4, {4, 4, 5, 2}}},
       {&two_by_two, average_pool_bytes}, WRONG_OUTPUT},
  };
  try_rows(rows, sizeof rows / sizeof *rows);
}

// MARK: The rest

static void try_elements_and_layouts(void) {
  const uint32_t channels_axis = 0, past_the_dims = 4, rows_axis = 2, upwards = 3, no_rounding = 7;
  const float threshold = 1;
  const struct cuts_of_5 too_long = {{0}, {1}, {5}, {1}}, empty = {{0}, {3}, {3}, {1}}, still = {{0}, {1}, {3}, {0}},
                         elsewhere = {{6}, {1}, {3}, {1}};
  const struct shape cut = {element, 4, {2, 8, 8, 2}};
  const struct row rows[] = {
      {"of a channel's values", "add_fwd_f32", {IMAGE, CHANNELS}, {IMAGE}, {0}, FINE},
      {"of other channels' values", "add_fwd_f32", {IMAGE, {element, 1, {5}}}, {IMAGE}, {0}, WRONG_INPUT},
      {"to less than the larger", "mult_fwd_f32", {IMAGE, CHANNELS}, {CHANNELS}, {0}, WRONG_OUTPUT},
      {"from another threshold", "relu_fwd_f32", {IMAGE}, {IMAGE}, {&threshold, 4}, WRONG_VALUE},
      {"of another shape", "relu_bwd_f32", {IMAGE, FILTERED}, {IMAGE}, {0}, WRONG_INPUT},
      {"along rows", "reduce_sum_fwd_f32", {IMAGE}, {{element, 4, {4, 8, 1, 2}}}, {&rows_axis, 4}, FINE},
      {"along what is not", "reduce_sum_fwd_f32", {IMAGE}, {IMAGE}, {&past_the_dims, 4}, WRONG_VALUE},
      {"to fewer dims", "reduce_sum_fwd_f32", {IMAGE}, {{element, 3, {8, 8, 2}}}, {&channels_axis, 4},
       WRONG_OUTPUT},
      {"upwards", "cast_f32_to_bf16", {IMAGE}, {{syn_type_bf16, 4, {4, 8, 8, 2}}}, {&upwards, 4}, WRONG_VALUE},
      {"upwards", "cast_bf16_to_f32", {{syn_type_bf16, 4, {4, 8, 8, 2}}}, {IMAGE}, {&upwards, 4}, FINE},
      {"by a way that is none", "cast_bf16_to_f32", {{syn_type_bf16, 4, {4, 8, 8, 2}}}, {IMAGE}, {&no_rounding, 4},
       WRONG_VALUE},
      {"along rows", "concat", {IMAGE, IMAGE}, {{element, 4, {4, 8, 16, 2}}}, {&rows_axis, 4}, FINE},
      {"along what is not", "concat", {IMAGE, IMAGE}, {DOUBLED}, {&past_the_dims, 4}, WRONG_VALUE},
      {"of what is wider", "concat", {IMAGE, FILTERED}, {{element, 4, {4, 8, 16, 2}}}, {&rows_axis, 4}, WRONG_INPUT},
      {"of fewer dims", "concat", {IMAGE, {element, 3, {4, 8, 8}}}, {DOUBLED}, {0}, WRONG_INPUT},
      {"along what is not", "split", {DOUBLED}, {IMAGE, IMAGE}, {&past_the_dims, 4}, WRONG_VALUE},
      {"into too little", "split", {DOUBLED}, {IMAGE}, {0}, WRONG_OUTPUT},
      {"past the end", "slice", {IMAGE}, {cut}, {&too_long, sizeof too_long}, WRONG_VALUE},
      {"of nothing", "slice", {IMAGE}, {cut}, {&empty, sizeof empty}, WRONG_VALUE},
      {"without a step", "slice", {IMAGE}, {cut}, {&still, sizeof still}, WRONG_VALUE},
      {"along what is not", "slice", {IMAGE}, {cut}, {&elsewhere, sizeof elsewhere}, WRONG_VALUE},
  };
  try_rows(rows, sizeof rows / sizeof *rows);
}

void misuse_node_values(void) {
  CHECK(api.synInitialize(), accepted);
  try_guids();
  try_more_operands();
  try_convolutions();
  try_gemms();
  try_normalizations();
  try_pools();
  try_elements_and_layouts();
  CHECK(api.synDestroy(), accepted);
}
