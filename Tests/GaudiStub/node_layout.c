// Nodes that move elements without looking at them.
#include "node_internal.h"

#include <string.h>

/// synConcatenateParams and synSplitParams are synAxisParams: the axis, fastest first (G3
/// synapse/include/synapse_common_types.h). Without parameters it is 0 (GC habana_nodes/concatenate_node.cpp
/// createConcatNode, habana_nodes.cpp createSplitNode).
static uint32_t axis_of(const struct stub_node *node) {
  uint32_t axis;
  stub_copy_parameters(node, &axis, sizeof axis);
  return axis;
}

/// The whole against its parts (GC habana_nodes/aggregation_node.cpp validateAggregation, which also takes parts that
/// lack the axis; the stub does not).
static void check_parts(struct node_check *check, const struct stub_tensor *whole, const struct stub_tensor *parts,
                        uint32_t count, bool parts_are_outputs) {
  const enum stub_node_fault shape = parts_are_outputs ? stub_output_shape : stub_input_shape;
  const enum stub_node_fault type = parts_are_outputs ? stub_output_type : stub_input_type;
  const char *side = parts_are_outputs ? "output" : "input";
  const uint32_t axis = axis_of(check->node);
  if (stub_type_bytes(whole->type) == 0) {
    stub_refuse(check, parts_are_outputs ? stub_input_type : stub_output_type, "the whole has %s",
                stub_type_name(whole->type));
  }
  if (axis >= whole->dims) {
    stub_refuse(check, stub_parameter_value, "axis is %u, the whole has %u dims", axis, whole->dims);
  }
  uint64_t sum = 0;
  for (uint32_t part = 0; part < count && stub_sound(check); ++part) {
    if (parts[part].type != whole->type) {
      stub_refuse(check, type, "%s %u is %s, expected %s", side, part, stub_type_name(parts[part].type),
                  stub_type_name(whole->type));
    }
    if (parts[part].dims != whole->dims) {
      stub_refuse(check, shape, "%s %u has %u dims, expected %u", side, part, parts[part].dims, whole->dims);
    }
    for (uint32_t dim = 0; dim < whole->dims && stub_sound(check); ++dim) {
      if (dim != axis && parts[part].sizes[dim] != whole->sizes[dim]) {
        stub_refuse(check, shape, "%s %u has the size %llu in dim %u, expected %llu", side, part,
                    (unsigned long long)parts[part].sizes[dim], dim, (unsigned long long)whole->sizes[dim]);
      }
    }
    sum += parts[part].sizes[axis];
  }
  if (stub_sound(check) && sum != whole->sizes[axis]) {
    stub_refuse(check, stub_output_shape, "the parts have %llu in dim %u, the whole has %llu", (unsigned long long)sum,
                axis, (unsigned long long)whole->sizes[axis]);
  }
}

void stub_check_concat(struct node_check *check) {
  check_parts(check, &check->node->outputs[0], check->node->inputs, check->node->input_count, false);
}

void stub_check_split(struct node_check *check) {
  check_parts(check, &check->node->inputs[0], check->node->outputs, check->node->output_count, true);
}

static void copy_parts(const struct stub_tensor *whole, const struct stub_tensor *parts, uint32_t count,
                       uint32_t axis, bool to_whole) {
  size_t inner = stub_type_bytes(whole->type);
  for (uint32_t dim = 0; dim < axis; ++dim) {
    inner *= whole->sizes[dim];
  }
  const size_t run = inner * whole->sizes[axis];
  const uint64_t runs = stub_element_count(whole) * stub_type_bytes(whole->type) / run;
  size_t offset = 0;
  for (uint32_t part = 0; part < count; ++part) {
    const size_t bytes = inner * parts[part].sizes[axis];
    for (uint64_t index = 0; index < runs; ++index) {
      char *in_whole = (char *)whole->data + index * run + offset;
      char *in_part = (char *)parts[part].data + index * bytes;
      memcpy(to_whole ? in_whole : in_part, to_whole ? in_part : in_whole, bytes);
    }
    offset += bytes;
  }
}

void stub_run_concat(const struct stub_node *node) {
  copy_parts(&node->outputs[0], node->inputs, node->input_count, axis_of(node), true);
}

void stub_run_split(const struct stub_node *node) {
  copy_parts(&node->inputs[0], node->outputs, node->output_count, axis_of(node), false);
}

/// Dims and sizes are free, the number of elements is not (GC habana_nodes.cpp ReshapeNode::validateNode).
void stub_check_reshape(struct node_check *check) {
  const struct stub_tensor *from = &check->node->inputs[0];
  const struct stub_tensor *to = &check->node->outputs[0];
  if (stub_type_bytes(from->type) == 0) {
    stub_refuse(check, stub_input_type, "input 0 has %s", stub_type_name(from->type));
  }
  stub_expect_output_type(check, 0, "y", from->type);
  if (stub_element_count(from) != stub_element_count(to)) {
    stub_refuse(check, stub_output_shape, "output 0 has %llu elements, input 0 has %llu",
                (unsigned long long)stub_element_count(to), (unsigned long long)stub_element_count(from));
  }
}

void stub_run_reshape(const struct stub_node *node) {
  const struct stub_tensor *from = &node->inputs[0];
  memcpy(node->outputs[0].data, from->data, stub_element_count(from) * stub_type_bytes(from->type));
}

/// Start, end and step for each dim of what is sliced.
struct cut {
  uint64_t starts[5], ends[5], steps[5];
  bool axes_known;
};

enum { bytes_of_five = 80, bytes_of_many = 400, many = 25 };

/// synSliceParams (5 axes), synSliceParamsNDims (25) or synSliceParamsV2 (25, 64 bits): for each entry an axis and its
/// start, end and step; an entry with axis, start and end 0 says nothing (GC habana_nodes/slice_node.cpp
/// userParams2NDimParams and getSliceParams).
static struct cut cut_of(const struct stub_node *node) {
  const struct stub_tensor *from = &node->inputs[0];
  struct cut cut = {.axes_known = true};
  for (uint32_t dim = 0; dim < from->dims; ++dim) {
    cut.ends[dim] = from->sizes[dim];
    cut.steps[dim] = 1;
  }
  struct {
    uint32_t axes[many], padding;
    uint64_t starts[many], ends[many], steps[many];
  } wide;
  _Static_assert(sizeof wide == 704, "synSliceParamsV2 has 704 bytes");
  uint32_t narrow[4 * many];
  stub_copy_parameters(node, &wide, sizeof wide);
  stub_copy_parameters(node, narrow, sizeof narrow);
  const uint32_t entries = node->parameter_bytes == bytes_of_five ? 5 : many;
  const bool is_narrow = node->parameter_bytes <= bytes_of_many;
  for (uint32_t entry = 0; entry < from->dims; ++entry) {
    const uint32_t axis = is_narrow ? narrow[entry] : wide.axes[entry];
    const uint64_t start = is_narrow ? narrow[entries + entry] : wide.starts[entry];
    const uint64_t end = is_narrow ? narrow[2 * entries + entry] : wide.ends[entry];
    const uint64_t step = is_narrow ? narrow[3 * entries + entry] : wide.steps[entry];
    if (axis == 0 && start == 0 && end == 0) {
      continue;
    }
    if (axis >= from->dims) {
      cut.axes_known = false;
      continue;
    }
    cut.starts[axis] = start;
    cut.ends[axis] = end;
    cut.steps[axis] = step;
  }
  return cut;
}

/// GC habana_nodes/slice_node.cpp validateSliceInExtraction.
void stub_check_slice(struct node_check *check) {
  const struct stub_tensor *from = &check->node->inputs[0];
  const struct cut cut = cut_of(check->node);
  if (stub_type_bytes(from->type) == 0) {
    stub_refuse(check, stub_input_type, "input 0 has %s", stub_type_name(from->type));
  }
  stub_expect_output_type(check, 0, "y", from->type);
  if (!cut.axes_known) {
    stub_refuse(check, stub_parameter_value, "an axis is not below the %u dims of x", from->dims);
  }
  uint64_t sizes[5];
  for (uint32_t dim = 0; dim < from->dims && stub_sound(check); ++dim) {
    if (cut.starts[dim] >= cut.ends[dim] || cut.ends[dim] > from->sizes[dim] || cut.steps[dim] == 0) {
      stub_refuse(check, stub_parameter_value, "dim %u of size %llu is cut from %llu to %llu by %llu", dim,
                  (unsigned long long)from->sizes[dim], (unsigned long long)cut.starts[dim],
                  (unsigned long long)cut.ends[dim], (unsigned long long)cut.steps[dim]);
      return;
    }
    sizes[dim] = (cut.ends[dim] - cut.starts[dim] + cut.steps[dim] - 1) / cut.steps[dim];
  }
  if (stub_sound(check)) {
    stub_expect_output_sizes(check, 0, "y", from->dims, sizes);
  }
}

void stub_run_slice(const struct stub_node *node) {
  const struct stub_tensor *from = &node->inputs[0];
  const struct stub_tensor *to = &node->outputs[0];
  const struct cut cut = cut_of(node);
  const size_t bytes = stub_type_bytes(from->type);
  for (uint64_t index = 0; index < stub_element_count(to); ++index) {
    uint64_t rest = index;
    uint64_t place = 0;
    uint64_t step = 1;
    for (uint32_t dim = 0; dim < to->dims; ++dim) {
      place += (cut.starts[dim] + rest % to->sizes[dim] * cut.steps[dim]) * step;
      rest /= to->sizes[dim];
      step *= from->sizes[dim];
    }
    memcpy((char *)to->data + index * bytes, (const char *)from->data + place * bytes, bytes);
  }
}
