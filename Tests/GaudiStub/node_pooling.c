// Max and average pooling of NHWC, both ways.
#include "node_internal.h"

#include <math.h>
#include <stdlib.h>

/// ns_AveragePoolingWithDivisorOverride::Params; 48 bytes of it are ns_AveragePooling::Params, 44 ns_SpatialReduction's
/// (perf_lib_layer_params.h, CORE and G3 alike).
struct pooling_parameters {
  int32_t left, right, top, bottom;
  int32_t kernel_width, kernel_height;
  int32_t stride_width, stride_height;
  int32_t dilation_width, dilation_height;
  int32_t convention;  // 0 VALID, 1 FULL; G3 adds 2 SAME and 3 FULL_PYTORCH
  int32_t include_padding;
  int32_t divisor;  // 0: the number of elements
};
_Static_assert(sizeof(struct pooling_parameters) == 52, "ns_AveragePoolingWithDivisorOverride::Params has 52 bytes");

static struct pooling_parameters parameters_of(const struct stub_node *node) {
  struct pooling_parameters given;
  stub_copy_parameters(node, &given, sizeof given);
  return given;
}

static void check_values(struct node_check *check, const struct pooling_parameters *given) {
  if (given->kernel_width < 1 || given->kernel_height < 1 || given->stride_width < 1 || given->stride_height < 1 ||
      given->dilation_width < 1 || given->dilation_height < 1) {
    stub_refuse(check, stub_parameter_value, "kernel %dx%d, stride %dx%d, dilation %dx%d: none may be below 1",
                given->kernel_width, given->kernel_height, given->stride_width, given->stride_height,
                given->dilation_width, given->dilation_height);
  }
  if (given->left < 0 || given->right < 0 || given->top < 0 || given->bottom < 0) {
    stub_refuse(check, stub_parameter_value, "padding %d,%d,%d,%d: none may be below 0", given->left, given->right,
                given->top, given->bottom);
  }
  if (given->convention != 0) {
    stub_refuse(check, stub_parameter_value, "pooling convention %d, the stub knows 0 (VALID)", given->convention);
  }
  if (given->include_padding != 0 && given->include_padding != 1) {
    stub_refuse(check, stub_parameter_value, "includePadding is %d, expected 0 or 1", given->include_padding);
  }
  if (given->divisor < 0) {
    stub_refuse(check, stub_parameter_value, "divisorOverride is %d, expected none below 0", given->divisor);
  }
}

/// One direction of a pooling.
struct axis {
  int64_t size, count, kernel, stride, before, dilation;
};

/// The first and the one past the last step of the kernel that lie on elements, where the window is the given one.
static void find_steps(const struct axis *axis, int64_t window, int64_t *first, int64_t *end) {
  const int64_t start = window * axis->stride - axis->before;
  *first = start >= 0 ? 0 : (-start + axis->dilation - 1) / axis->dilation;
  const int64_t most = start >= axis->size ? 0 : (axis->size - 1 - start) / axis->dilation + 1;
  *end = most < axis->kernel ? most : axis->kernel;
}

static struct axis width_axis(const struct pooling_parameters *given, const struct stub_tensor *x,
                              const struct stub_tensor *y) {
  return (struct axis){(int64_t)x->sizes[1], (int64_t)y->sizes[1], given->kernel_width, given->stride_width,
                       given->left,          given->dilation_width};
}

static struct axis height_axis(const struct pooling_parameters *given, const struct stub_tensor *x,
                               const struct stub_tensor *y) {
  return (struct axis){(int64_t)x->sizes[2], (int64_t)y->sizes[2], given->kernel_height, given->stride_height,
                       given->top,           given->dilation_height};
}

static void check_windows(struct node_check *check, const struct axis *axis, const char *name) {
  for (int64_t window = 0; window < axis->count && stub_sound(check); ++window) {
    int64_t first;
    int64_t end;
    find_steps(axis, window, &first, &end);
    if (first >= end) {
      stub_refuse(check, stub_parameter_value, "window %lld along %s holds padding only", (long long)window, name);
    }
  }
}

/// x's and y's sizes and the parameters against one another; the fault is the one of the tensor that the node makes.
static void check_geometry(struct node_check *check, const struct stub_tensor *x, const struct stub_tensor *y) {
  const struct pooling_parameters given = parameters_of(check->node);
  check_values(check, &given);
  if (!stub_sound(check)) {
    return;
  }
  const uint64_t columns = (uint64_t)stub_window_count((int64_t)x->sizes[1], given.kernel_width, given.stride_width,
                                                       given.left, given.right, given.dilation_width);
  const uint64_t rows = (uint64_t)stub_window_count((int64_t)x->sizes[2], given.kernel_height, given.stride_height,
                                                    given.top, given.bottom, given.dilation_height);
  if (y->sizes[0] != x->sizes[0] || y->sizes[1] != columns || y->sizes[2] != rows || y->sizes[3] != x->sizes[3]) {
    stub_refuse(check, stub_output_shape, "pooled sizes are (%llu,%llu,%llu,%llu), expected (%llu,%llu,%llu,%llu)",
                (unsigned long long)y->sizes[0], (unsigned long long)y->sizes[1], (unsigned long long)y->sizes[2],
                (unsigned long long)y->sizes[3], (unsigned long long)x->sizes[0], (unsigned long long)columns,
                (unsigned long long)rows, (unsigned long long)x->sizes[3]);
    return;
  }
  const struct axis wide = width_axis(&given, x, y);
  const struct axis high = height_axis(&given, x, y);
  check_windows(check, &wide, "W");
  check_windows(check, &high, "H");
}

/// bf16 comes with int16 and f32 with uint8 (GT tpc_maxpool_test.cpp, tpc_maxpool_relu_test.cpp,
/// tpc_projector_test.cpp; PT maxpool_gen.cpp FindRetainTensorType).
static uint32_t index_type(const struct stub_node *node) {
  return stub_guid_type(node->guid) == type_bf16 ? type_int16 : type_uint8;
}

static void check_index_range(struct node_check *check) {
  const struct pooling_parameters given = parameters_of(check->node);
  const int64_t most = index_type(check->node) == type_uint8 ? 256 : 32768;
  if (stub_sound(check) && (int64_t)given.kernel_width * given.kernel_height > most) {
    stub_refuse(check, stub_parameter_value, "kernel %dx%d has more elements than an index can tell",
                given.kernel_width, given.kernel_height);
  }
}

static void check_input(struct node_check *check, uint32_t index, const char *role, uint32_t type) {
  stub_expect_input_type(check, index, role, type);
  stub_expect_input_dims(check, index, role, 4);
}

static void check_output(struct node_check *check, uint32_t index, const char *role, uint32_t type) {
  stub_expect_output_type(check, index, role, type);
  stub_expect_output_dims(check, index, role, 4);
}

void stub_check_max_pool_forward(struct node_check *check) {
  const struct stub_node *node = check->node;
  const uint32_t type = stub_guid_type(node->guid);
  check_input(check, 0, "x", type);
  check_output(check, 0, "indices", index_type(node));
  check_output(check, 1, "y", type);
  if (stub_sound(check)) {
    check_geometry(check, &node->inputs[0], &node->outputs[1]);
    check_index_range(check);
    stub_expect_output_sizes(check, 0, "indices", 4, node->outputs[1].sizes);
  }
}

void stub_check_max_pool_backward(struct node_check *check) {
  const struct stub_node *node = check->node;
  const uint32_t type = stub_guid_type(node->guid);
  check_input(check, 0, "dy", type);
  check_input(check, 1, "indices", index_type(node));
  check_output(check, 0, "dx", type);
  if (stub_sound(check)) {
    stub_expect_input_sizes(check, 1, "indices", 4, node->inputs[0].sizes);
    check_geometry(check, &node->outputs[0], &node->inputs[0]);
    check_index_range(check);
  }
}

void stub_check_average_pool_forward(struct node_check *check) {
  const struct stub_node *node = check->node;
  check_input(check, 0, "x", stub_guid_type(node->guid));
  check_output(check, 0, "y", stub_guid_type(node->guid));
  if (stub_sound(check)) {
    check_geometry(check, &node->inputs[0], &node->outputs[0]);
  }
}

void stub_check_average_pool_backward(struct node_check *check) {
  const struct stub_node *node = check->node;
  check_input(check, 0, "dy", stub_guid_type(node->guid));
  check_output(check, 0, "dx", stub_guid_type(node->guid));
  if (stub_sound(check)) {
    check_geometry(check, &node->outputs[0], &node->inputs[0]);
  }
}

/// A window's steps on elements, and where the first element of the window would be.
struct window {
  int64_t first_row, end_row, first_column, end_column;
  int64_t pixel;    // of the image's pixels, where row step and column step are 0; may be outside
  int64_t pooled;   // the first of the window's elements in y
  int64_t image;    // the first of the image's elements in x
};

/// All that the four computations need of a node.
struct pooling {
  struct pooling_parameters given;
  struct axis wide, high;
  int64_t batch, channels;
};

static struct pooling pooling_of(const struct stub_node *node, const struct stub_tensor *x,
                                 const struct stub_tensor *y) {
  const struct pooling_parameters given = parameters_of(node);
  return (struct pooling){given, width_axis(&given, x, y), height_axis(&given, x, y), (int64_t)x->sizes[3],
                          (int64_t)x->sizes[0]};
}

static int64_t window_total(const struct pooling *pooling) {
  return pooling->batch * pooling->high.count * pooling->wide.count;
}

static struct window window_at(const struct pooling *pooling, int64_t number) {
  const struct axis *wide = &pooling->wide;
  const struct axis *high = &pooling->high;
  const int64_t column = number % wide->count;
  const int64_t row = number / wide->count % high->count;
  struct window window;
  find_steps(high, row, &window.first_row, &window.end_row);
  find_steps(wide, column, &window.first_column, &window.end_column);
  window.pixel = (row * high->stride - high->before) * wide->size + column * wide->stride - wide->before;
  window.pooled = number * pooling->channels;
  window.image = number / (wide->count * high->count) * high->size * wide->size * pooling->channels;
  return window;
}

/// Where in x the given step of the window is, for channel 0.
static int64_t element_at(const struct pooling *pooling, const struct window *window, int64_t row, int64_t column) {
  const int64_t pixel = window->pixel + row * pooling->high.dilation * pooling->wide.size +
                        column * pooling->wide.dilation;
  return window->image + pixel * pooling->channels;
}

static int64_t read_index(const struct stub_tensor *indices, int64_t element) {
  return indices->type == type_uint8 ? ((const uint8_t *)indices->data)[element]
                                     : ((const int16_t *)indices->data)[element];
}

static void write_index(const struct stub_tensor *indices, int64_t element, int64_t index) {
  if (indices->type == type_uint8) {
    ((uint8_t *)indices->data)[element] = (uint8_t)index;
  } else {
    ((int16_t *)indices->data)[element] = (int16_t)index;
  }
}

// An index is row * kernel width + column of the step in the window, as GT tpc_maxpool_test.cpp maxpool_backward_L2
// has it.
void stub_run_max_pool_forward(const struct stub_node *node) {
  const struct pooling pooling = pooling_of(node, &node->inputs[0], &node->outputs[1]);
  float *x = stub_widen(&node->inputs[0]);
  float *y = stub_allocate(stub_element_count(&node->outputs[1]), sizeof *y);
  for (int64_t number = 0; number < window_total(&pooling); ++number) {
    const struct window window = window_at(&pooling, number);
    for (int64_t c = 0; c < pooling.channels; ++c) {
      int64_t best = -1;
      float most = 0;
      for (int64_t row = window.first_row; row < window.end_row; ++row) {
        for (int64_t column = window.first_column; column < window.end_column; ++column) {
          const float value = x[element_at(&pooling, &window, row, column) + c];
          // The first of equals stays; a NaN wins over numbers.
          if (best < 0 || value > most || (isnan(value) && !isnan(most))) {
            best = row * pooling.given.kernel_width + column;
            most = value;
          }
        }
      }
      y[window.pooled + c] = most;
      write_index(&node->outputs[0], window.pooled + c, best);
    }
  }
  stub_narrow(&node->outputs[1], y);
  free(y);
  free(x);
}

void stub_run_max_pool_backward(const struct stub_node *node) {
  const struct pooling pooling = pooling_of(node, &node->outputs[0], &node->inputs[0]);
  float *dy = stub_widen(&node->inputs[0]);
  float *dx = stub_allocate(stub_element_count(&node->outputs[0]), sizeof *dx);
  for (int64_t number = 0; number < window_total(&pooling); ++number) {
    const struct window window = window_at(&pooling, number);
    for (int64_t c = 0; c < pooling.channels; ++c) {
      const int64_t index = read_index(&node->inputs[1], window.pooled + c);
      const int64_t row = index / pooling.given.kernel_width;
      const int64_t column = index % pooling.given.kernel_width;
      // An index that no forward pass made is left aside, not followed out of the tensor.
      if (index >= 0 && row >= window.first_row && row < window.end_row && column >= window.first_column &&
          column < window.end_column) {
        dx[element_at(&pooling, &window, row, column) + c] += dy[window.pooled + c];
      }
    }
  }
  stub_narrow(&node->outputs[0], dx);
  free(dx);
  free(dy);
}

/// What a window's sum is divided by. VALID never reaches past the padding, so with padding it is the whole kernel.
static float divisor_of(const struct pooling *pooling, const struct window *window) {
  const struct pooling_parameters *given = &pooling->given;
  if (given->divisor > 0) {
    return (float)given->divisor;
  }
  if (given->include_padding) {
    return (float)given->kernel_width * (float)given->kernel_height;
  }
  return (float)((window->end_row - window->first_row) * (window->end_column - window->first_column));
}

void stub_run_average_pool_forward(const struct stub_node *node) {
  const struct pooling pooling = pooling_of(node, &node->inputs[0], &node->outputs[0]);
  float *x = stub_widen(&node->inputs[0]);
  float *y = stub_allocate(stub_element_count(&node->outputs[0]), sizeof *y);
  for (int64_t number = 0; number < window_total(&pooling); ++number) {
    const struct window window = window_at(&pooling, number);
    const float divisor = divisor_of(&pooling, &window);
    for (int64_t c = 0; c < pooling.channels; ++c) {
      double sum = 0;
      for (int64_t row = window.first_row; row < window.end_row; ++row) {
        for (int64_t column = window.first_column; column < window.end_column; ++column) {
          sum += (double)x[element_at(&pooling, &window, row, column) + c];
        }
      }
      y[window.pooled + c] = (float)(sum / (double)divisor);
    }
  }
  stub_narrow(&node->outputs[0], y);
  free(y);
  free(x);
}

void stub_run_average_pool_backward(const struct stub_node *node) {
  const struct pooling pooling = pooling_of(node, &node->outputs[0], &node->inputs[0]);
  float *dy = stub_widen(&node->inputs[0]);
  float *dx = stub_allocate(stub_element_count(&node->outputs[0]), sizeof *dx);
  for (int64_t number = 0; number < window_total(&pooling); ++number) {
    const struct window window = window_at(&pooling, number);
    const float divisor = divisor_of(&pooling, &window);
    for (int64_t row = window.first_row; row < window.end_row; ++row) {
      for (int64_t column = window.first_column; column < window.end_column; ++column) {
        float *element = dx + element_at(&pooling, &window, row, column);
        for (int64_t c = 0; c < pooling.channels; ++c) {
          element[c] += dy[window.pooled + c] / divisor;
        }
      }
    }
  }
  stub_narrow(&node->outputs[0], dx);
  free(dx);
  free(dy);
}
