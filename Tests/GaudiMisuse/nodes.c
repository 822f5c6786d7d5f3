// Every operator that the stub knows: used rightly, and then with one thing wrong at a time.
#include "nodes.h"

#include <stdio.h>
#include <string.h>

#include "subjects.h"

_Static_assert(sizeof(struct convolution) == convolution_2_bytes, "synConvolutionParamsV2 has 112 bytes");
_Static_assert(offsetof(struct convolution, padding_type) == convolution_bytes, "synConvolutionParams has 72 bytes");
_Static_assert(sizeof(struct pool) == average_pool_2_bytes, "with divisor_override it has 52 bytes");
_Static_assert(sizeof(struct normalization) == normalization_2_bytes, "with isTraining it has 16 bytes");
_Static_assert(sizeof(struct wide_cuts) == 704, "synSliceParamsV2 has 704 bytes");

static const uint32_t axis_0[2], rounding_as_usual[2];
static const float threshold_0[2];
static const uint8_t not_transposed[2];
static const struct cuts_of_5 cuts_of_5 = {{0}, {1}, {3}, {1}};
static const struct cuts_of_25 cuts_of_25 = {{0}, {1}, {3}, {1}};
static const struct wide_cuts wide_cuts = {{0}, 0, {1}, {3}, {1}};

// A guid, or its beginning: where it does not name the type, `_bf16` or `_f32` follows.
struct family {
  const char *guid;
  bool names_type, has_one_type;  // one: that of its shapes
  struct shape inputs[most_operands], outputs[most_operands];
  struct parameters right[3];
  uint32_t right_count;
  uint32_t most_inputs;                              // 0: as many as there are
  bool takes_any_inputs, makes_any_outputs;          // any number of them
  const char *other_input_type, *other_output_type;  // the kinds where one has another type; NULL: as one would think
};

#define BINARY(guid) {guid, .inputs = {IMAGE, IMAGE}, .outputs = {IMAGE}, .right = {{NULL, 0}}, .right_count = 1}
#define UNARY(guid) {guid, .inputs = {IMAGE}, .outputs = {IMAGE}, .right = {{NULL, 0}}, .right_count = 1}
#define CAST(guid, from, to)                                             \
  {guid,                                                                 \
   true,                                                                 \
   true,                                                                 \
   {{from, 2, {5, 3}}},                                                  \
   {{to, 2, {5, 3}}},                                                    \
   .right = {{NULL, 0}, {rounding_as_usual, 4}, {rounding_as_usual, 8}}, \
   .right_count = 3}

static const struct family families[] = {
    {"spatial_convolution", true, .inputs = {IMAGE, WEIGHTS}, .outputs = {FILTERED},
     .right = {{&three_by_three, convolution_bytes}, {&three_by_three, convolution_2_bytes}}, .right_count = 2,
     .most_inputs = 4},
    {"dedx", true, .inputs = {FILTERED, WEIGHTS}, .outputs = {IMAGE},
     .right = {{&three_by_three, convolution_bytes}, {&three_by_three, convolution_2_bytes}}, .right_count = 2},
    {"dedw", true, .inputs = {FILTERED, IMAGE}, .outputs = {WEIGHTS},
     .right = {{&three_by_three, convolution_bytes}, {&three_by_three, convolution_2_bytes}}, .right_count = 2},
    {"gemm", true, .inputs = {{element, 2, {7, 5}}, {element, 2, {3, 7}}}, .outputs = {{element, 2, {3, 5}}},
     .right = {{not_transposed, 2}, {NULL, 0}}, .right_count = 2, .most_inputs = 3},
    {"batch_norm_fwd", .inputs = {IMAGE, CHANNELS, CHANNELS, CHANNELS, CHANNELS},
     .outputs = {IMAGE, CHANNELS, CHANNELS},
     .right = {{&usual_normalization, normalization_bytes}, {&usual_normalization, normalization_2_bytes}},
     .right_count = 2},
    {"batch_norm_bwd", .inputs = {IMAGE, IMAGE, CHANNELS, CHANNELS, CHANNELS}, .outputs = {IMAGE, CHANNELS, CHANNELS},
     .right = {{&usual_normalization, normalization_bytes}, {&usual_normalization, normalization_2_bytes}, {NULL, 0}},
     .right_count = 3},
    {"batch_norm_inf", .inputs = {IMAGE, CHANNELS, CHANNELS, CHANNELS, CHANNELS}, .outputs = {IMAGE},
     .right = {{&usual_normalization, normalization_bytes}}, .right_count = 1},
    {"relu_fwd", .inputs = {IMAGE}, .outputs = {IMAGE}, .right = {{NULL, 0}, {threshold_0, 4}, {threshold_0, 8}},
     .right_count = 3},
    {"relu_bwd", .inputs = {IMAGE, IMAGE}, .outputs = {IMAGE}, .right = {{NULL, 0}, {threshold_0, 4}, {threshold_0, 8}},
     .right_count = 3},
    {"maxpool_2d_fwd", .inputs = {IMAGE}, .outputs = {POOL_INDICES, POOLED},
     .right = {{&two_by_two, max_pool_bytes}, {&two_by_two, max_pool_2_bytes}}, .right_count = 2},
    {"maxpool_2d_bwd", .inputs = {POOLED, POOL_INDICES}, .outputs = {IMAGE},
     .right = {{&two_by_two, max_pool_bytes}, {&two_by_two, max_pool_2_bytes}}, .right_count = 2},
    {"avg_pool_2d_fwd", .inputs = {IMAGE}, .outputs = {POOLED},
     .right = {{&two_by_two, average_pool_bytes}, {&two_by_two, average_pool_2_bytes}}, .right_count = 2},
    {"avg_pool_2d_bwd", .inputs = {POOLED}, .outputs = {IMAGE},
     .right = {{&two_by_two, average_pool_bytes}, {&two_by_two, average_pool_2_bytes}}, .right_count = 2},
    {"concat", true, .inputs = {IMAGE, IMAGE}, .outputs = {DOUBLED}, .right = {{axis_0, 4}, {NULL, 0}},
     .right_count = 2, .takes_any_inputs = true, .other_output_type = "node-input-type"},
    {"split", true, .inputs = {DOUBLED}, .outputs = {IMAGE, IMAGE}, .right = {{axis_0, 4}, {NULL, 0}}, .right_count = 2,
     .makes_any_outputs = true, .other_input_type = "node-output-type"},
    {"reshape", true, .inputs = {IMAGE}, .outputs = {{element, 2, {256, 2}}}, .right = {{NULL, 0}}, .right_count = 1,
     .other_input_type = "node-output-type"},
    {"slice", true, .inputs = {IMAGE}, .outputs = {{element, 4, {2, 8, 8, 2}}},
     .right = {{&cuts_of_5, sizeof cuts_of_5}, {&cuts_of_25, sizeof cuts_of_25}, {&wide_cuts, sizeof wide_cuts}},
     .right_count = 3, .other_input_type = "node-output-type"},
    BINARY("add_fwd"),
    BINARY("sub_fwd"),
    BINARY("mult_fwd"),
    BINARY("div_fwd"),
    UNARY("sqrt_fwd"),
    UNARY("sigmoid_fwd"),
    {"reduce_sum_fwd", .inputs = {IMAGE}, .outputs = {{element, 4, {1, 8, 8, 2}}}, .right = {{axis_0, 4}},
     .right_count = 1},
    CAST("cast_f32_to_bf16", syn_type_float, syn_type_bf16),
    CAST("cast_bf16_to_f32", syn_type_bf16, syn_type_float),
    CAST("cast_u8_to_f32", syn_type_uint8, syn_type_float),
    CAST("cast_u8_to_bf16", syn_type_uint8, syn_type_bf16),
};

// MARK: Trying

struct operands operands_of(const struct shape *inputs, const struct shape *outputs) {
  struct operands operands = {0};
  for (; operands.input_count < most_operands && inputs[operands.input_count].type; operands.input_count++)
    operands.inputs[operands.input_count] = inputs[operands.input_count];
  for (; operands.output_count < most_operands && outputs[operands.output_count].type; operands.output_count++)
    operands.outputs[operands.output_count] = outputs[operands.output_count];
  return operands;
}

struct tensors {
  synTensor inputs[most_operands], outputs[most_operands];
};

static synTensor make_tensor(synGraphHandle graph, int element_type, const struct shape *shape) {
  synTensor tensor = NULL;
  if (shape->dims == 0) return NULL;
  synTensorGeometry geometry = {.dims = shape->dims};
  memcpy(geometry.sizes, shape->sizes, sizeof shape->sizes);
  const int index_type = element_type == syn_type_bf16 ? syn_type_int16 : syn_type_uint8;
  const int type = shape->type == element ? element_type : shape->type == pool_index ? index_type : shape->type;
  api.synTensorHandleCreate(&tensor, graph, DATA_TENSOR, NULL);
  api.synTensorSetGeometry(tensor, &geometry, synGeometrySizes);
  api.synTensorSetDeviceDataType(tensor, type);
  return tensor;
}

static struct tensors make_tensors(synGraphHandle graph, int element_type, const struct operands *operands) {
  struct tensors tensors;
  for (uint32_t i = 0; i < operands->input_count; i++)
    tensors.inputs[i] = make_tensor(graph, element_type, &operands->inputs[i]);
  for (uint32_t i = 0; i < operands->output_count; i++)
    tensors.outputs[i] = make_tensor(graph, element_type, &operands->outputs[i]);
  return tensors;
}

static int create_node(synGraphHandle graph, const char *guid, const struct operands *operands,
                       const struct tensors *tensors, struct parameters parameters) {
  return api.synNodeCreate(graph, tensors->inputs, tensors->outputs, operands->input_count, operands->output_count,
                           parameters.values, parameters.bytes, guid, "node", NULL, NULL);
}

int try_node(const char *guid, int element_type, const struct operands *operands, struct parameters parameters) {
  synGraphHandle graph = NULL;
  api.synGraphCreate(&graph, synDeviceGaudi2);
  const struct tensors tensors = make_tensors(graph, element_type, operands);
  const int status = create_node(graph, guid, operands, &tensors, parameters);
  api.synGraphDestroy(graph);
  return status;
}

static bool is_right_size(unsigned bytes, const struct parameters *right, uint32_t right_count) {
  for (uint32_t i = 0; i < right_count; i++)
    if (right[i].bytes == bytes) return true;
  return false;
}

int first_wrong_size(const char *guid, int element_type, const struct operands *operands,
                     const struct parameters *right, uint32_t right_count, unsigned end) {
  static const char zeros[1024];
  synGraphHandle graph = NULL;
  api.synGraphCreate(&graph, synDeviceGaudi2);
  const struct tensors tensors = make_tensors(graph, element_type, operands);
  int found = -1;
  for (unsigned bytes = 0; bytes < end && found < 0; bytes++) {
    if (is_right_size(bytes, right, right_count)) continue;
    const int status = create_node(graph, guid, operands, &tensors, (struct parameters){bytes ? zeros : NULL, bytes});
    if (status != synInvalidArgument || strcmp(api.gaudi_stub_last_fault(), "node-parameter-bytes")) found = (int)bytes;
  }
  api.synGraphDestroy(graph);
  if (found < 0) api.gaudi_stub_forget();
  return found;
}

// MARK: One thing wrong

struct trial {
  const struct family *family;
  char guid[64];
  int element_type;
  struct operands operands;
};

static int try_with(const struct trial *trial, const struct operands *operands) {
  return try_node(trial->guid, trial->element_type, operands, trial->family->right[0]);
}

static void check_parameters(const struct trial *trial) {
  const struct family *family = trial->family;
  const struct expectation wrong = refused(synInvalidArgument, "node-parameter-bytes");
  for (uint32_t i = 0; i < family->right_count; i++)
    CHECK(try_node(trial->guid, trial->element_type, &trial->operands, family->right[i]), accepted);
  CHECK(try_node(trial->guid, trial->element_type, &trial->operands, (struct parameters){NULL, 4}), wrong);
  CHECK(try_node(trial->guid, trial->element_type, &trial->operands, (struct parameters){families, 0}), wrong);
  CHECK(try_node(trial->guid, trial->element_type, &trial->operands, (struct parameters){families, 3}), wrong);
  CHECK(first_wrong_size(trial->guid, trial->element_type, &trial->operands, family->right, family->right_count, 800),
        returns(-1));
}

static void check_counts(const struct trial *trial) {
  const struct family *family = trial->family;
  struct operands changed = trial->operands;
  changed.input_count = family->takes_any_inputs ? 0 : trial->operands.input_count - 1;
  CHECK(try_with(trial, &changed), refused(synFail, "node-input-count"));
  changed = trial->operands;
  changed.input_count = (family->most_inputs ? family->most_inputs : trial->operands.input_count) + 1;
  if (!family->takes_any_inputs) CHECK(try_with(trial, &changed), refused(synFail, "node-input-count"));
  changed = trial->operands;
  changed.output_count = family->makes_any_outputs ? 0 : trial->operands.output_count - 1;
  CHECK(try_with(trial, &changed), refused(synFail, "node-output-count"));
  changed.output_count = trial->operands.output_count + 1;
  changed.outputs[trial->operands.output_count] = changed.outputs[trial->operands.output_count - 1];
  if (!family->makes_any_outputs) CHECK(try_with(trial, &changed), refused(synFail, "node-output-count"));
}

static void check_inputs(const struct trial *trial) {
  const char *other_type = trial->family->other_input_type ? trial->family->other_input_type : "node-input-type";
  for (uint32_t i = 0; i < trial->operands.input_count; i++) {
    checking("%s, input %u", trial->guid, i);
    struct operands changed = trial->operands;
    changed.inputs[i].dims = 0;
    CHECK(try_with(trial, &changed), refused(synFail, "node-missing-input"));
    changed = trial->operands;
    changed.inputs[i].type = syn_type_int32;
    CHECK(try_with(trial, &changed), refused(synFail, other_type));
  }
}

static void check_outputs(const struct trial *trial) {
  const char *other_type = trial->family->other_output_type ? trial->family->other_output_type : "node-output-type";
  for (uint32_t i = 0; i < trial->operands.output_count; i++) {
    checking("%s, output %u", trial->guid, i);
    struct operands changed = trial->operands;
    changed.outputs[i].dims = 0;
    CHECK(try_with(trial, &changed), refused(synFail, "node-output-count"));
    changed = trial->operands;
    changed.outputs[i].type = syn_type_int32;
    CHECK(try_with(trial, &changed), refused(synFail, other_type));
    changed = trial->operands;
    changed.outputs[i].sizes[0]++;
    CHECK(try_with(trial, &changed), refused(synFail, "node-output-shape"));
  }
}

static bool was_tried(const char *guid) {
  for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
    const size_t length = strlen(families[i].guid);
    if (strncmp(families[i].guid, guid, length)) continue;
    if (families[i].names_type ? !guid[length] : !strcmp(guid + length, "_bf16") || !strcmp(guid + length, "_f32"))
      return true;
  }
  return false;
}

static void check_every_guid_was_tried(void) {
  size_t count = 0;
  const struct gaudi_stub_rule *rules = api.gaudi_stub_rules(&count);
  for (size_t i = 0; i < count; i++) {
    checking("%s", rules[i].guid);
    CHECK(was_tried(rules[i].guid), returns(true));
  }
}

void misuse_every_node(void) {
  CHECK(api.synInitialize(), accepted);
  for (size_t i = 0; i < sizeof families / sizeof *families; i++)
    for (int type = syn_type_bf16; type <= syn_type_float; type += syn_type_float - syn_type_bf16) {
      const struct family *family = &families[i];
      if (family->has_one_type && type != syn_type_float) continue;
      struct trial trial = {family, "", type, operands_of(family->inputs, family->outputs)};
      const char *suffix = type == syn_type_float ? "_f32" : "_bf16";
      snprintf(trial.guid, sizeof trial.guid, "%s%s", family->guid, family->names_type ? "" : suffix);
      checking("%s of type %d", trial.guid, type);
      check_parameters(&trial);
      check_counts(&trial);
      check_inputs(&trial);
      check_outputs(&trial);
    }
  check_every_guid_was_tried();
  checking("%s", "");
  CHECK(api.synDestroy(), accepted);
}
