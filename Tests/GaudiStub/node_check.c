// What every node is asked before its family's own rules, and the questions that the families ask of tensors.
#include "node_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool stub_sound(const struct node_check *check) {
  return check->fault == stub_node_fine;
}

void stub_refuse(struct node_check *check, enum stub_node_fault fault, const char *format, ...) {
  if (!stub_sound(check)) {
    return;
  }
  check->fault = fault;
  if (check->text == NULL || check->text_bytes == 0) {
    return;
  }
  int written = snprintf(check->text, check->text_bytes, "%s: ", check->node->guid ? check->node->guid : "(no guid)");
  if (written < 0 || (size_t)written >= check->text_bytes) {
    return;
  }
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(check->text + written, check->text_bytes - (size_t)written, format, arguments);
  va_end(arguments);
}

/// One tensor of the node as the texts name it.
struct named_tensor {
  const struct stub_tensor *tensor;
  bool output;
  uint32_t index;
  const char *role;
};

static struct named_tensor input_of(const struct node_check *check, uint32_t index, const char *role) {
  return (struct named_tensor){&check->node->inputs[index], false, index, role};
}

static struct named_tensor output_of(const struct node_check *check, uint32_t index, const char *role) {
  return (struct named_tensor){&check->node->outputs[index], true, index, role};
}

static const char *side(struct named_tensor named) {
  return named.output ? "output" : "input";
}

static void expect_type(struct node_check *check, struct named_tensor named, uint32_t type) {
  if (named.tensor->type != type) {
    stub_refuse(check, named.output ? stub_output_type : stub_input_type, "%s %u (%s) is %s, expected %s", side(named),
                named.index, named.role, stub_type_name(named.tensor->type), stub_type_name(type));
  }
}

static void expect_dims(struct node_check *check, struct named_tensor named, uint32_t dims) {
  if (named.tensor->dims != dims) {
    stub_refuse(check, named.output ? stub_output_shape : stub_input_shape, "%s %u (%s) has %u dims, expected %u",
                side(named), named.index, named.role, named.tensor->dims, dims);
  }
}

static void write_sizes(char *text, size_t bytes, uint32_t dims, const uint64_t *sizes) {
  size_t used = 0;
  text[0] = '\0';
  for (uint32_t dim = 0; dim < dims && used < bytes; ++dim) {
    const int written = snprintf(text + used, bytes - used, "%s%" PRIu64, dim ? "," : "", sizes[dim]);
    used += written > 0 ? (size_t)written : 0;
  }
}

static void expect_sizes(struct node_check *check, struct named_tensor named, uint32_t dims, const uint64_t *sizes) {
  expect_dims(check, named, dims);
  if (!stub_sound(check) || memcmp(named.tensor->sizes, sizes, dims * sizeof sizes[0]) == 0) {
    return;
  }
  char found[128];
  char expected[128];
  write_sizes(found, sizeof found, dims, named.tensor->sizes);
  write_sizes(expected, sizeof expected, dims, sizes);
  stub_refuse(check, named.output ? stub_output_shape : stub_input_shape,
              "%s %u (%s) has sizes (%s), expected (%s), fastest first", side(named), named.index, named.role, found,
              expected);
}

void stub_expect_input_type(struct node_check *check, uint32_t index, const char *role, uint32_t type) {
  expect_type(check, input_of(check, index, role), type);
}

void stub_expect_output_type(struct node_check *check, uint32_t index, const char *role, uint32_t type) {
  expect_type(check, output_of(check, index, role), type);
}

void stub_expect_input_dims(struct node_check *check, uint32_t index, const char *role, uint32_t dims) {
  expect_dims(check, input_of(check, index, role), dims);
}

void stub_expect_output_dims(struct node_check *check, uint32_t index, const char *role, uint32_t dims) {
  expect_dims(check, output_of(check, index, role), dims);
}

void stub_expect_input_sizes(struct node_check *check, uint32_t index, const char *role, uint32_t dims,
                             const uint64_t *sizes) {
  expect_sizes(check, input_of(check, index, role), dims, sizes);
}

void stub_expect_output_sizes(struct node_check *check, uint32_t index, const char *role, uint32_t dims,
                              const uint64_t *sizes) {
  expect_sizes(check, output_of(check, index, role), dims, sizes);
}

// GC utils.cpp convOutputDimSize; pooling's VALID is the same floor (PT hpu_ops/backend/maxpool_gen.cpp
// OutputShapeComputation).
int64_t stub_window_count(int64_t size, int64_t kernel, int64_t stride, int64_t before, int64_t after,
                          int64_t dilation) {
  const int64_t room = size + before + after - ((kernel - 1) * dilation + 1);
  return room < 0 ? 0 : room / stride + 1;
}

static void check_counts(struct node_check *check, const struct stub_rule *rule) {
  const struct stub_node *node = check->node;
  if (node->input_count < rule->inputs_least || node->input_count > rule->inputs_most) {
    stub_refuse(check, stub_input_count, "%u inputs, expected %u to %u", node->input_count, rule->inputs_least,
                rule->inputs_most);
  }
  if (node->output_count < rule->outputs_least || node->output_count > rule->outputs_most) {
    stub_refuse(check, stub_output_count, "%u outputs, expected %u to %u", node->output_count, rule->outputs_least,
                rule->outputs_most);
  }
}

static void check_tensor(struct node_check *check, struct named_tensor named) {
  const enum stub_node_fault fault = named.output ? stub_output_shape : stub_input_shape;
  if (named.tensor->dims > 5) {
    stub_refuse(check, fault, "%s %u has %u dims, at most 5 are known", side(named), named.index, named.tensor->dims);
    return;
  }
  for (uint32_t dim = 0; dim < named.tensor->dims; ++dim) {
    if (named.tensor->sizes[dim] == 0) {
      stub_refuse(check, fault, "%s %u has the size 0 in dim %u", side(named), named.index, dim);
    }
  }
}

static void check_presence(struct node_check *check, const struct stub_rule *rule) {
  const struct stub_node *node = check->node;
  for (uint32_t index = 0; index < node->input_count && stub_sound(check); ++index) {
    // Concat has no input that may be left out, whatever its number.
    const bool needed = index < rule->inputs_least || rule->inputs_most == UINT32_MAX;
    if (needed && node->inputs[index].dims == 0) {
      stub_refuse(check, stub_missing_input, "input %u is left out", index);
    }
    check_tensor(check, input_of(check, index, ""));
  }
  for (uint32_t index = 0; index < node->output_count && stub_sound(check); ++index) {
    if (node->outputs[index].dims == 0) {
      stub_refuse(check, stub_output_count, "output %u is left out", index);
    }
    check_tensor(check, output_of(check, index, ""));
  }
}

static void check_parameter_bytes(struct node_check *check, const struct stub_rule *rule) {
  const uint32_t bytes = check->node->parameter_bytes;
  const uint32_t *taken = rule->parameter_bytes;
  if (bytes != taken[0] && bytes != taken[1] && bytes != taken[2]) {
    stub_refuse(check, stub_parameter_bytes, "%u bytes of parameters, expected %u, %u or %u", bytes, taken[0],
                taken[1], taken[2]);
  }
  if (bytes > 0 && check->node->parameters == NULL) {
    stub_refuse(check, stub_parameter_bytes, "%u bytes of parameters, but no parameters", bytes);
  }
}

enum stub_node_fault stub_check_node(const struct stub_node *node, char *text, size_t text_bytes) {
  struct node_check check = {node, stub_node_fine, text, text_bytes};
  if (text != NULL && text_bytes > 0) {
    text[0] = '\0';
  }
  const struct stub_rule *rule = node->guid ? stub_find_rule(node->guid) : NULL;
  const struct node_family *family = node->guid ? stub_find_family(node->guid) : NULL;
  if (rule == NULL || family == NULL) {
    const bool untyped = family != NULL && family->typed && stub_guid_type(node->guid) == 0;
    stub_refuse(&check, stub_unknown_guid, "%s",
                untyped ? "the guid must end in _bf16 or _f32" : "no such node is known");
    return check.fault;
  }
  check_counts(&check, rule);
  if (stub_sound(&check)) {
    check_presence(&check, rule);
  }
  check_parameter_bytes(&check, rule);
  if (stub_sound(&check)) {
    family->check(&check);
  }
  return check.fault;
}

void stub_run_node(const struct stub_node *node) {
  const struct node_family *family = stub_find_family(node->guid);
  if (family != NULL) {
    family->run(node);
  }
}
