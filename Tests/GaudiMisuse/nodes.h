// Nodes as trials: shapes, parameters, and what synNodeCreate says of them.
#pragma once

#include "rig.h"

/// A tensor's: fastest first, so that an image is (channels, width, height, images). `dims` 0: the tensor is left out.
struct shape {
  int type;  // a synDataType, or one of these
  uint32_t dims;
  uint64_t sizes[4];
};
enum { element = -1, pool_index = -2 };  // what the node computes with; where a pool's maximum was

enum { most_operands = 6 };
struct operands {
  uint32_t input_count, output_count;
  struct shape inputs[most_operands], outputs[most_operands];
};

/// `count` operands of the lists, which end at the first shape of type 0.
struct operands operands_of(const struct shape *inputs, const struct shape *outputs);

/// Parameters, of which `bytes` are given.
struct parameters {
  const void *values;
  unsigned bytes;
};

/// Makes the tensors in a graph of their own, where `element` is the type given, and asks for the node.
int try_node(const char *guid, int element_type, const struct operands *operands, struct parameters parameters);

/// The first number of bytes below `end` that is not refused as the size of the parameters and is none of the right
/// ones; -1 where all are.
int first_wrong_size(const char *guid, int element_type, const struct operands *operands,
                     const struct parameters *right, uint32_t right_count, unsigned end);

// The structures of parameters, under the names of Intel's headers' fields as far as they matter here.
struct convolution {
  uint32_t kernel_width, kernel_height, stride_width, stride_height;
  int32_t left, right, top, bottom;
  uint32_t dilation_width, dilation_height;
  uint8_t activation_relu, activation_after;
  uint16_t activation_padding;
  uint32_t activation_channels;
  uint64_t activation_pointers[2];
  uint32_t groups, padding, padding_type, reserved[9];
};
struct pool {
  int32_t left, right, top, bottom, kernel_width, kernel_height, stride_width, stride_height, dilation_width,
      dilation_height, convention, include_padding, divisor;
};
struct normalization {
  float threshold, momentum, epsilon;
  uint8_t is_training, padding[3];
};
struct cuts_of_5 {
  uint32_t axes[5], starts[5], ends[5], steps[5];
};
struct cuts_of_25 {
  uint32_t axes[25], starts[25], ends[25], steps[25];
};
struct wide_cuts {
  uint32_t axes[25], padding;
  uint64_t starts[25], ends[25], steps[25];
};
enum {
  convolution_bytes = 72,  // up to padding_type
  convolution_2_bytes = 112,
  max_pool_bytes = 44,
  max_pool_2_bytes = 48,
  average_pool_bytes = 48,
  average_pool_2_bytes = 52,
  normalization_bytes = 12,  // without is_training
  normalization_2_bytes = 16,
};

// The shapes that most trials are made of.
#define IMAGE {element, 4, {4, 8, 8, 2}}
#define FILTERED {element, 4, {6, 8, 8, 2}}
#define WEIGHTS {element, 4, {6, 4, 3, 3}}
#define POOLED {element, 4, {4, 4, 4, 2}}
#define POOL_INDICES {pool_index, 4, {4, 4, 4, 2}}
#define CHANNELS {syn_type_float, 1, {4}}
#define DOUBLED {element, 4, {8, 8, 8, 2}}

static const struct convolution three_by_three = {
    .kernel_width = 3, .kernel_height = 3, .stride_width = 1, .stride_height = 1, .left = 1, .right = 1, .top = 1,
    .bottom = 1, .dilation_width = 1, .dilation_height = 1, .groups = 1};
static const struct pool two_by_two = {
    .kernel_width = 2, .kernel_height = 2, .stride_width = 2, .stride_height = 2, .dilation_width = 1,
    .dilation_height = 1};
static const struct normalization usual_normalization = {.momentum = 0.1f, .epsilon = 1e-5f, .is_training = 1};
