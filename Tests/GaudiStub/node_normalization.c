// Batch normalization over all but the fastest dim. Activations are in the guid's type, what is per channel is f32.
//
// Orders: beta comes before gamma, both among inputs and among gradients (GC passes/bn_utils.h Bn1Bn2FwdInputs and
// passes/split_batch_norm.cpp; PT hpu_ops/backend/batch_norm_gen.cpp BuildNode of batch_norm_fwd and batch_norm_bwd).
#include "node_internal.h"

#include <math.h>
#include <stdlib.h>

/// ns_BatchNormKernel::ParamsV2; without the last member it is Params (perf_lib_layer_params.h, CORE and G3 alike).
struct normalization_parameters {
  float threshold;  // not read: of the kernels that end in a relu
  float momentum;
  float epsilon;
  uint8_t training;
  uint8_t padding[3];  // not read: recorded graphs hold garbage here (GT batch_norm_5d_compilation.cpp)
};
_Static_assert(sizeof(struct normalization_parameters) == 16, "ParamsV2 has 16 bytes");

enum { bytes_with_training = 16 };

static struct normalization_parameters parameters_of(const struct stub_node *node) {
  struct normalization_parameters given;
  stub_copy_parameters(node, &given, sizeof given);
  // GC passes/split_batch_norm.cpp: training, unless parameters of V2's size say otherwise.
  if (node->parameter_bytes != bytes_with_training) {
    given.training = 1;
  }
  return given;
}

static void check_epsilon(struct node_check *check, float epsilon) {
  if (!(epsilon >= 0) || !(epsilon < 1)) {
    stub_refuse(check, stub_parameter_value, "epsilon is %g, expected one from 0 to 1", (double)epsilon);
  }
}

/// x (and what has its shape) has 4 dims: PT batch_norm_gen.cpp get_4d_tensor says that the kernel knows no other.
static void check_activation(struct node_check *check, const char *role) {
  stub_expect_input_type(check, 0, role, stub_guid_type(check->node->guid));
  stub_expect_input_dims(check, 0, role, 4);
}

static void check_channel_input(struct node_check *check, uint32_t index, const char *role) {
  stub_expect_input_type(check, index, role, type_f32);
  stub_expect_input_sizes(check, index, role, 1, check->node->inputs[0].sizes);
}

static void check_channel_output(struct node_check *check, uint32_t index, const char *role) {
  stub_expect_output_type(check, index, role, type_f32);
  stub_expect_output_sizes(check, index, role, 1, check->node->inputs[0].sizes);
}

static void check_forward_inputs(struct node_check *check) {
  const struct stub_node *node = check->node;
  check_activation(check, "x");
  check_channel_input(check, 1, "beta");
  check_channel_input(check, 2, "gamma");
  check_channel_input(check, 3, "running mean");
  check_channel_input(check, 4, "running variance");
  stub_expect_output_type(check, 0, "y", stub_guid_type(node->guid));
  stub_expect_output_sizes(check, 0, "y", 4, node->inputs[0].sizes);
}

void stub_check_batch_norm_forward(struct node_check *check) {
  const struct stub_node *node = check->node;
  const struct normalization_parameters given = parameters_of(node);
  if (node->output_count == 4) {
    stub_refuse(check, stub_output_count, "4 outputs, expected 3 or 5");
  }
  check_epsilon(check, given.epsilon);
  if (!(given.momentum >= 0) || !(given.momentum <= 1)) {
    stub_refuse(check, stub_parameter_value, "momentum is %g, expected one from 0 to 1", (double)given.momentum);
  }
  // Without training the kernel takes the running statistics, but GC passes/bn_utils.cpp createBn1Bn2NodesFwd leaves
  // all outputs but y unwritten. No product should want that: batch_norm_inf is there.
  if (given.training != 1) {
    stub_refuse(check, stub_parameter_value, "isTraining is %u, the stub knows 1", given.training);
  }
  check_forward_inputs(check);
  check_channel_output(check, 1, "mean");
  check_channel_output(check, 2, "istd");
  if (node->output_count == 5) {
    check_channel_output(check, 3, "running mean");
    check_channel_output(check, 4, "running variance");
  }
}

void stub_check_batch_norm_inference(struct node_check *check) {
  check_epsilon(check, parameters_of(check->node).epsilon);
  check_forward_inputs(check);
}

void stub_check_batch_norm_backward(struct node_check *check) {
  const struct stub_node *node = check->node;
  const struct normalization_parameters given = parameters_of(node);
  if (given.training > 1) {
    stub_refuse(check, stub_parameter_value, "isTraining is %u, expected 0 or 1", given.training);
  }
  check_activation(check, "x");
  stub_expect_input_type(check, 1, "dy", stub_guid_type(node->guid));
  stub_expect_input_sizes(check, 1, "dy", 4, node->inputs[0].sizes);
  check_channel_input(check, 2, "mean");
  check_channel_input(check, 3, "istd");
  check_channel_input(check, 4, "gamma");
  stub_expect_output_type(check, 0, "dx", stub_guid_type(node->guid));
  stub_expect_output_sizes(check, 0, "dx", 4, node->inputs[0].sizes);
  check_channel_output(check, 1, "dbeta");
  check_channel_output(check, 2, "dgamma");
}

/// The mean and the biased variance of each channel, the latter from the distances to the former.
static void find_moments(const float *x, uint64_t rows, uint64_t channels, double *mean, double *variance) {
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t c = 0; c < channels; ++c) {
      mean[c] += (double)x[row * channels + c];
    }
  }
  for (uint64_t c = 0; c < channels; ++c) {
    mean[c] /= (double)rows;
  }
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t c = 0; c < channels; ++c) {
      const double distance = (double)x[row * channels + c] - mean[c];
      variance[c] += distance * distance;
    }
  }
  for (uint64_t c = 0; c < channels; ++c) {
    variance[c] /= (double)rows;
  }
}

/// y = (x - mean) / sqrt(variance + epsilon) * gamma + beta
static void normalize(const struct stub_node *node, const float *x, uint64_t rows, uint64_t channels,
                      const double *mean, const double *variance, double epsilon) {
  const float *beta = node->inputs[1].data;
  const float *gamma = node->inputs[2].data;
  float *y = stub_allocate(rows * channels, sizeof *y);
  double *scale = stub_allocate(channels, sizeof *scale);
  for (uint64_t c = 0; c < channels; ++c) {
    scale[c] = (double)gamma[c] / sqrt(variance[c] + epsilon);
  }
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t c = 0; c < channels; ++c) {
      const uint64_t index = row * channels + c;
      y[index] = (float)(((double)x[index] - mean[c]) * scale[c] + (double)beta[c]);
    }
  }
  stub_narrow(&node->outputs[0], y);
  free(scale);
  free(y);
}

void stub_run_batch_norm_forward(const struct stub_node *node) {
  const struct normalization_parameters given = parameters_of(node);
  const uint64_t channels = node->inputs[0].sizes[0];
  const uint64_t rows = stub_element_count(&node->inputs[0]) / channels;
  float *x = stub_widen(&node->inputs[0]);
  double *mean = stub_allocate(channels, sizeof *mean);
  double *variance = stub_allocate(channels, sizeof *variance);
  find_moments(x, rows, channels, mean, variance);
  normalize(node, x, rows, channels, mean, variance, (double)given.epsilon);
  // Where the two last outputs are not given, GC passes/update_nodes_with_alias_tensors.cpp makes them of inputs 3 and
  // 4, on every Gaudi: the running statistics move in their own memory.
  const struct stub_tensor *moved = node->output_count == 5 ? node->outputs : node->inputs;
  const float *old_mean = node->inputs[3].data;
  const float *old_variance = node->inputs[4].data;
  float *new_mean = moved[3].data;
  float *new_variance = moved[4].data;
  float *saved_mean = node->outputs[1].data;
  float *saved_istd = node->outputs[2].data;
  const double momentum = (double)given.momentum;
  for (uint64_t c = 0; c < channels; ++c) {
    saved_mean[c] = (float)mean[c];
    saved_istd[c] = (float)(1 / sqrt(variance[c] + (double)given.epsilon));
    // momentum is the new value's share, and the variance is the biased one (GT tpc_batch_norm_test.inl
    // calcBatchNormMovingValuesRef); PyTorch takes the unbiased one.
    new_mean[c] = (float)(momentum * mean[c] + (1 - momentum) * (double)old_mean[c]);
    new_variance[c] = (float)(momentum * variance[c] + (1 - momentum) * (double)old_variance[c]);
  }
  free(variance);
  free(mean);
  free(x);
}

void stub_run_batch_norm_inference(const struct stub_node *node) {
  const uint64_t channels = node->inputs[0].sizes[0];
  const uint64_t rows = stub_element_count(&node->inputs[0]) / channels;
  const float *running_mean = node->inputs[3].data;
  const float *running_variance = node->inputs[4].data;
  float *x = stub_widen(&node->inputs[0]);
  double *mean = stub_allocate(channels, sizeof *mean);
  double *variance = stub_allocate(channels, sizeof *variance);
  for (uint64_t c = 0; c < channels; ++c) {
    mean[c] = (double)running_mean[c];
    variance[c] = (double)running_variance[c];
  }
  normalize(node, x, rows, channels, mean, variance, (double)parameters_of(node).epsilon);
  free(variance);
  free(mean);
  free(x);
}

void stub_run_batch_norm_backward(const struct stub_node *node) {
  const bool training = parameters_of(node).training != 0;
  const uint64_t channels = node->inputs[0].sizes[0];
  const uint64_t rows = stub_element_count(&node->inputs[0]) / channels;
  const float *mean = node->inputs[2].data;
  const float *istd = node->inputs[3].data;
  const float *gamma = node->inputs[4].data;
  float *x = stub_widen(&node->inputs[0]);
  float *dy = stub_widen(&node->inputs[1]);
  float *dx = stub_allocate(rows * channels, sizeof *dx);
  double *beta_sum = stub_allocate(channels, sizeof *beta_sum);
  double *gamma_sum = stub_allocate(channels, sizeof *gamma_sum);
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t c = 0; c < channels; ++c) {
      const uint64_t index = row * channels + c;
      beta_sum[c] += (double)dy[index];
      gamma_sum[c] += (double)dy[index] * ((double)x[index] - (double)mean[c]) * (double)istd[c];
    }
  }
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t c = 0; c < channels; ++c) {
      const uint64_t index = row * channels + c;
      const double distance = ((double)x[index] - (double)mean[c]) * (double)istd[c];
      // Without training, mean and istd do not depend on x (PT batch_norm_gen.cpp gives the running ones then).
      const double through_moments = training ? (beta_sum[c] + distance * gamma_sum[c]) / (double)rows : 0;
      dx[index] = (float)(((double)dy[index] - through_moments) * (double)gamma[c] * (double)istd[c]);
    }
  }
  float *dbeta = node->outputs[1].data;
  float *dgamma = node->outputs[2].data;
  for (uint64_t c = 0; c < channels; ++c) {
    dbeta[c] = (float)beta_sum[c];
    dgamma[c] = (float)gamma_sum[c];
  }
  stub_narrow(&node->outputs[0], dx);
  free(gamma_sum);
  free(beta_sum);
  free(dx);
  free(dy);
  free(x);
}
