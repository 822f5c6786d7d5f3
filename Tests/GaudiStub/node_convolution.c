// spatial_convolution, dedx and dedw in NHWC and RSCK: sizes (C, W, H, N) and (K, C, S, R), S being the kernel's width.
// The weights' dims are read from GC habana_nodes/convolution_node.cpp calculateConvolution and utils.cpp
// validateConvolutionSize (kernel width is dim 2, height dim 3).
#include "node_internal.h"

#include <stdlib.h>
#include <string.h>

/// synConvolutionParamsV2 (G3 synapse/include/synapse_common_types.hpp); its first 72 bytes are synConvolutionParams.
struct convolution_parameters {
  uint32_t kernel_width, kernel_height;
  uint32_t stride_width, stride_height;
  int32_t left, right, top, bottom;
  uint32_t dilation_width, dilation_height;
  uint8_t activation_relu, activation_after;
  uint16_t activation_padding;
  uint32_t activation_channels;      // not read: one coefficient or one per channel
  uint64_t activation_coefficients[2];  // not read: the header calls them unused
  uint32_t groups;
  uint32_t padding;
  uint32_t padding_type;  // 0 explicit, 1 same
  uint32_t reserved[9];
};
_Static_assert(sizeof(struct convolution_parameters) == 112, "synConvolutionParamsV2 has 112 bytes");
_Static_assert(offsetof(struct convolution_parameters, padding_type) == 72, "synConvolutionParams has 72 bytes");

/// A convolution's extents, as the loops want them.
struct geometry {
  int64_t batch, height, width, channels;       // of x
  int64_t rows, columns, filters;               // of y
  int64_t kernel_height, kernel_width;
  int64_t stride_height, stride_width, top, left, dilation_height, dilation_width;
};

static struct geometry geometry_of(const struct stub_node *node, const struct stub_tensor *x,
                                   const struct stub_tensor *y) {
  struct convolution_parameters given;
  stub_copy_parameters(node, &given, sizeof given);
  return (struct geometry){
      .batch = (int64_t)x->sizes[3],
      .height = (int64_t)x->sizes[2],
      .width = (int64_t)x->sizes[1],
      .channels = (int64_t)x->sizes[0],
      .rows = (int64_t)y->sizes[2],
      .columns = (int64_t)y->sizes[1],
      .filters = (int64_t)y->sizes[0],
      .kernel_height = given.kernel_height,
      .kernel_width = given.kernel_width,
      .stride_height = given.stride_height,
      .stride_width = given.stride_width,
      .top = given.top,
      .left = given.left,
      .dilation_height = given.dilation_height,
      .dilation_width = given.dilation_width,
  };
}

static void check_parameters(struct node_check *check, const struct convolution_parameters *given) {
  if (given->kernel_width == 0 || given->kernel_height == 0 || given->stride_width == 0 || given->stride_height == 0 ||
      given->dilation_width == 0 || given->dilation_height == 0) {
    stub_refuse(check, stub_parameter_value, "kernel %ux%u, stride %ux%u, dilation %ux%u: none may be 0",
                given->kernel_width, given->kernel_height, given->stride_width, given->stride_height,
                given->dilation_width, given->dilation_height);
  }
  if (given->left < 0 || given->right < 0 || given->top < 0 || given->bottom < 0) {
    stub_refuse(check, stub_parameter_value, "padding %d,%d,%d,%d: the stub takes none below 0", given->left,
                given->right, given->top, given->bottom);
  }
  // A residual or an activation would be computed by the engine, so garbage here would change y.
  if (given->activation_relu != 0 || given->activation_after != 0) {
    stub_refuse(check, stub_parameter_value, "activation is on (%u, %u), the stub knows none", given->activation_relu,
                given->activation_after);
  }
  // GC conv_base_node.cpp setParams reads 0 groups as 1.
  if (given->groups > 1) {
    stub_refuse(check, stub_parameter_value, "%u groups, the stub knows 1", given->groups);
  }
  if (given->padding_type != 0) {
    stub_refuse(check, stub_parameter_value, "paddingType %u, the stub knows 0 (explicit)", given->padding_type);
  }
}

/// What is alike in the three: the shapes of x, w and y against the parameters (GC utils.cpp validateConvolutionSize
/// and validateConvPadding; the latter also takes y as if right were left and bottom were top, the stub does not).
static void check_shapes(struct node_check *check, const struct stub_tensor *x, const struct stub_tensor *w,
                         const struct stub_tensor *y, enum stub_node_fault fault) {
  struct convolution_parameters given;
  stub_copy_parameters(check->node, &given, sizeof given);
  check_parameters(check, &given);
  if (!stub_sound(check)) {
    return;
  }
  if (w->sizes[0] != y->sizes[0] || w->sizes[1] != x->sizes[0]) {
    stub_refuse(check, fault, "weights have K %llu and C %llu, expected K %llu (of y) and C %llu (of x)",
                (unsigned long long)w->sizes[0], (unsigned long long)w->sizes[1], (unsigned long long)y->sizes[0],
                (unsigned long long)x->sizes[0]);
  }
  if (w->sizes[2] != given.kernel_width || w->sizes[3] != given.kernel_height) {
    stub_refuse(check, fault, "weights have S %llu and R %llu, expected kW %u and kH %u",
                (unsigned long long)w->sizes[2], (unsigned long long)w->sizes[3], given.kernel_width,
                given.kernel_height);
  }
  const int64_t columns = stub_window_count((int64_t)x->sizes[1], given.kernel_width, given.stride_width, given.left,
                                            given.right, given.dilation_width);
  const int64_t rows = stub_window_count((int64_t)x->sizes[2], given.kernel_height, given.stride_height, given.top,
                                         given.bottom, given.dilation_height);
  if ((int64_t)y->sizes[1] != columns || (int64_t)y->sizes[2] != rows || y->sizes[3] != x->sizes[3]) {
    stub_refuse(check, fault, "y has W %llu, H %llu, N %llu, expected W %lld, H %lld, N %llu",
                (unsigned long long)y->sizes[1], (unsigned long long)y->sizes[2], (unsigned long long)y->sizes[3],
                (long long)columns, (long long)rows, (unsigned long long)x->sizes[3]);
  }
}

/// Types and dims of the two inputs and the output. MME inputs must be alike in training (GC habana_nodes/mme_node.cpp
/// validateNodeForGraph); the output may be any type of the MME (hal_reader/gaudi*/hal.h supportedMmeTypes), of which
/// the stub takes the inputs' own and f32.
static void check_operands(struct node_check *check, const char *first, const char *second, const char *result) {
  const uint32_t type = check->node->inputs[0].type;
  if (type != type_bf16 && type != type_f32) {
    stub_refuse(check, stub_input_type, "input 0 (%s) is %s, expected bf16 or f32", first, stub_type_name(type));
  }
  stub_expect_input_type(check, 1, second, type);
  if (check->node->outputs[0].type != type_f32) {
    stub_expect_output_type(check, 0, result, type);
  }
  stub_expect_input_dims(check, 0, first, 4);
  stub_expect_input_dims(check, 1, second, 4);
  stub_expect_output_dims(check, 0, result, 4);
}

void stub_check_convolution(struct node_check *check) {
  const struct stub_node *node = check->node;
  check_operands(check, "x", "w", "y");
  // hal_reader/include/hal_reader/gaudi{1,2,3}/hal.h: mmeCinSupported is false; GC convolution_node.cpp
  // validateNodeForGraph then refuses it.
  if (node->input_count > 3 && node->inputs[3].dims != 0) {
    stub_refuse(check, stub_input_count, "input 3 (cin) is given, no Gaudi takes it");
  }
  // GC passes/add_mme_bias.cpp makes add_fwd_<type of y> of it, so the bias must have y's type.
  if (node->input_count > 2 && node->inputs[2].dims != 0) {
    stub_expect_input_type(check, 2, "bias", node->outputs[0].type);
    stub_expect_input_sizes(check, 2, "bias", 1, node->outputs[0].sizes);
  }
  if (stub_sound(check)) {
    check_shapes(check, &node->inputs[0], &node->inputs[1], &node->outputs[0], stub_output_shape);
  }
}

void stub_check_dedx(struct node_check *check) {
  const struct stub_node *node = check->node;
  check_operands(check, "dy", "w", "dx");
  if (stub_sound(check)) {
    check_shapes(check, &node->outputs[0], &node->inputs[1], &node->inputs[0], stub_output_shape);
  }
}

void stub_check_dedw(struct node_check *check) {
  const struct stub_node *node = check->node;
  check_operands(check, "dy", "x", "dw");
  if (stub_sound(check)) {
    check_shapes(check, &node->inputs[1], &node->outputs[0], &node->inputs[0], stub_output_shape);
  }
}

/// `sums[i] += factor * values[i]`: the one loop that the time goes to, which vectorises.
static void add_scaled(float *restrict sums, const float *restrict values, float factor, int64_t count) {
  for (int64_t index = 0; index < count; ++index) {
    sums[index] += factor * values[index];
  }
}

/// Adds one row of the kernel, applied to one row of x, to one row of y (a sum for each column and filter).
static void add_kernel_row(const struct geometry *size, const float *x_row, const float *w_row, float *y_row) {
  for (int64_t s = 0; s < size->kernel_width; ++s) {
    const int64_t offset = s * size->dilation_width - size->left;
    for (int64_t c = 0; c < size->channels; ++c) {
      const float *filters = w_row + (s * size->channels + c) * size->filters;
      for (int64_t column = 0; column < size->columns; ++column) {
        const int64_t w = column * size->stride_width + offset;
        if (w >= 0 && w < size->width) {
          add_scaled(y_row + column * size->filters, filters, x_row[w * size->channels + c], size->filters);
        }
      }
    }
  }
}

void stub_run_convolution(const struct stub_node *node) {
  const struct geometry size = geometry_of(node, &node->inputs[0], &node->outputs[0]);
  float *x = stub_widen(&node->inputs[0]);
  float *w = stub_widen(&node->inputs[1]);
  float *bias = node->input_count > 2 && node->inputs[2].dims != 0 ? stub_widen(&node->inputs[2]) : NULL;
  float *y = stub_allocate(stub_element_count(&node->outputs[0]), sizeof *y);
  const int64_t y_row_elements = size.columns * size.filters;
  for (int64_t line = 0; line < size.batch * size.rows; ++line) {
    const int64_t n = line / size.rows;
    float *y_row = y + line * y_row_elements;
    for (int64_t r = 0; r < size.kernel_height; ++r) {
      const int64_t h = line % size.rows * size.stride_height + r * size.dilation_height - size.top;
      if (h >= 0 && h < size.height) {
        add_kernel_row(&size, x + (n * size.height + h) * size.width * size.channels,
                       w + r * size.kernel_width * size.channels * size.filters, y_row);
      }
    }
    for (int64_t index = 0; bias != NULL && index < y_row_elements; ++index) {
      y_row[index] += bias[index % size.filters];
    }
  }
  stub_narrow(&node->outputs[0], y);
  free(y);
  free(bias);
  free(w);
  free(x);
}

/// Adds what one row of dy gives to one row of dx, through one row of the kernel turned to (C fastest, K).
static void spread_kernel_row(const struct geometry *size, const float *dy_row, const float *turned, float *dx_row) {
  for (int64_t s = 0; s < size->kernel_width; ++s) {
    const int64_t offset = s * size->dilation_width - size->left;
    for (int64_t k = 0; k < size->filters; ++k) {
      const float *channels = turned + (s * size->filters + k) * size->channels;
      for (int64_t column = 0; column < size->columns; ++column) {
        const int64_t w = column * size->stride_width + offset;
        if (w >= 0 && w < size->width) {
          add_scaled(dx_row + w * size->channels, channels, dy_row[column * size->filters + k], size->channels);
        }
      }
    }
  }
}

void stub_run_dedx(const struct stub_node *node) {
  const struct geometry size = geometry_of(node, &node->outputs[0], &node->inputs[0]);
  float *dy = stub_widen(&node->inputs[0]);
  float *w = stub_widen(&node->inputs[1]);
  float *dx = stub_allocate(stub_element_count(&node->outputs[0]), sizeof *dx);
  // Turned so that the innermost loop runs over C.
  float *turned = stub_allocate(stub_element_count(&node->inputs[1]), sizeof *turned);
  const int64_t plane = size.channels * size.filters;
  for (int64_t index = 0; index < size.kernel_height * size.kernel_width * plane; ++index) {
    const int64_t c = index % plane / size.filters;
    turned[index / plane * plane + index % size.filters * size.channels + c] = w[index];
  }
  for (int64_t line = 0; line < size.batch * size.rows; ++line) {
    const int64_t n = line / size.rows;
    for (int64_t r = 0; r < size.kernel_height; ++r) {
      const int64_t h = line % size.rows * size.stride_height + r * size.dilation_height - size.top;
      if (h >= 0 && h < size.height) {
        spread_kernel_row(&size, dy + line * size.columns * size.filters, turned + r * size.kernel_width * plane,
                          dx + (n * size.height + h) * size.width * size.channels);
      }
    }
  }
  stub_narrow(&node->outputs[0], dx);
  free(turned);
  free(dx);
  free(w);
  free(dy);
}

/// Adds to `dw` (one row of the kernel) what one row of x and one row of dy give. `sums` has room for one per filter.
static void correlate_rows(const struct geometry *size, const float *x_row, const float *dy_row, float *sums,
                           double *dw) {
  for (int64_t s = 0; s < size->kernel_width; ++s) {
    const int64_t offset = s * size->dilation_width - size->left;
    for (int64_t c = 0; c < size->channels; ++c) {
      memset(sums, 0, (size_t)size->filters * sizeof *sums);
      for (int64_t column = 0; column < size->columns; ++column) {
        const int64_t w = column * size->stride_width + offset;
        if (w >= 0 && w < size->width) {
          add_scaled(sums, dy_row + column * size->filters, x_row[w * size->channels + c], size->filters);
        }
      }
      double *filters = dw + (s * size->channels + c) * size->filters;
      for (int64_t k = 0; k < size->filters; ++k) {
        filters[k] += (double)sums[k];
      }
    }
  }
}

void stub_run_dedw(const struct stub_node *node) {
  const struct geometry size = geometry_of(node, &node->inputs[1], &node->inputs[0]);
  float *dy = stub_widen(&node->inputs[0]);
  float *x = stub_widen(&node->inputs[1]);
  const uint64_t count = stub_element_count(&node->outputs[0]);
  // The rows' sums are added in double: a batch of images has too many of them for float.
  double *dw = stub_allocate(count, sizeof *dw);
  float *sums = stub_allocate((uint64_t)size.filters, sizeof *sums);
  for (int64_t line = 0; line < size.batch * size.rows; ++line) {
    const int64_t n = line / size.rows;
    for (int64_t r = 0; r < size.kernel_height; ++r) {
      const int64_t h = line % size.rows * size.stride_height + r * size.dilation_height - size.top;
      if (h >= 0 && h < size.height) {
        correlate_rows(&size, x + (n * size.height + h) * size.width * size.channels,
                       dy + line * size.columns * size.filters, sums,
                       dw + r * size.kernel_width * size.channels * size.filters);
      }
    }
  }
  float *rounded = stub_allocate(count, sizeof *rounded);
  for (uint64_t index = 0; index < count; ++index) {
    rounded[index] = (float)dw[index];
  }
  stub_narrow(&node->outputs[0], rounded);
  free(rounded);
  free(sums);
  free(dw);
  free(x);
  free(dy);
}
