// Elements: bf16, widening to float, narrowing from it, and the copy of a node's parameters.
#include "node_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

float stub_bf16_to_float(uint16_t bits) {
  const uint32_t wide = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

uint16_t stub_float_to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (value != value) {
    // Rounding could carry a NaN's payload away and leave an infinity.
    return (uint16_t)((bits >> 16) | 0x0040u);
  }
  const uint32_t lowest_kept = (bits >> 16) & 1u;
  return (uint16_t)((bits + 0x7fffu + lowest_kept) >> 16);
}

uint64_t stub_element_count(const struct stub_tensor *tensor) {
  uint64_t count = 1;
  for (uint32_t dim = 0; dim < tensor->dims; ++dim) {
    count *= tensor->sizes[dim];
  }
  return count;
}

void *stub_allocate(uint64_t count, size_t bytes) {
  void *memory = calloc(count > 0 ? count : 1, bytes);
  if (memory == NULL) {
    fprintf(stderr, "GaudiStub: no memory for %llu elements\n", (unsigned long long)count);
    abort();
  }
  return memory;
}

float *stub_widen(const struct stub_tensor *tensor) {
  const uint64_t count = stub_element_count(tensor);
  float *values = stub_allocate(count, sizeof *values);
  if (tensor->type == type_f32) {
    memcpy(values, tensor->data, count * sizeof *values);
  } else if (tensor->type == type_bf16) {
    const uint16_t *elements = tensor->data;
    for (uint64_t index = 0; index < count; ++index) {
      values[index] = stub_bf16_to_float(elements[index]);
    }
  } else if (tensor->type == type_uint8) {
    const uint8_t *elements = tensor->data;
    for (uint64_t index = 0; index < count; ++index) {
      values[index] = (float)elements[index];
    }
  }
  return values;
}

void stub_narrow(const struct stub_tensor *tensor, const float *values) {
  const uint64_t count = stub_element_count(tensor);
  if (tensor->type == type_f32) {
    memcpy(tensor->data, values, count * sizeof *values);
    return;
  }
  uint16_t *elements = tensor->data;
  for (uint64_t index = 0; index < count; ++index) {
    elements[index] = stub_float_to_bf16(values[index]);
  }
}

void stub_copy_parameters(const struct stub_node *node, void *parameters, size_t bytes) {
  memset(parameters, 0, bytes);
  if (node->parameters != NULL) {
    memcpy(parameters, node->parameters, node->parameter_bytes < bytes ? node->parameter_bytes : bytes);
  }
}

/// A name for a type, in texts.
struct type_row {
  uint32_t type;
  const char *name;
  size_t bytes;
};

static const struct type_row types[] = {
    {type_int8, "int8", 1},     {type_bf16, "bf16", 2},     {type_f32, "f32", 4},     {type_int16, "int16", 2},
    {type_int32, "int32", 4},   {type_uint8, "uint8", 1},   {type_f16, "f16", 2},     {type_uint16, "uint16", 2},
    {type_uint32, "uint32", 4}, {type_int64, "int64", 8},   {type_uint64, "uint64", 8},
};

const char *stub_type_name(uint32_t type) {
  for (size_t index = 0; index < sizeof types / sizeof types[0]; ++index) {
    if (types[index].type == type) {
      return types[index].name;
    }
  }
  return "an unknown type";
}

size_t stub_type_bytes(uint32_t type) {
  for (size_t index = 0; index < sizeof types / sizeof types[0]; ++index) {
    if (types[index].type == type) {
      return types[index].bytes;
    }
  }
  return 0;
}
