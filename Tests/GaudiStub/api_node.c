// Nodes. What is refused, and with which status: synSingleton::_createGenericNode and _createControlDependency.
#include <stdlib.h>
#include <string.h>

#include "graph.h"
#include "handles.h"

static synNodeId last_identifier;

static synStatus fail_node(const char *guid, const char *name, enum fault fault, synStatus status, const char *text) {
  return refuse(fault, status, "node %s%s%s: %s", guid, name && *name ? " " : "", name ? name : "", text);
}

// Tensor::isPropsValid, synSingleton::isTensorValidForGraph
static synStatus check_tensor(const struct graph *graph, const struct graph_tensor *tensor) {
  const char *name = name_of_tensor(tensor);
  if (tensor->graph != graph)
    return refuse(fault_tensor_other_graph, synInvalidArgument, "tensor %s is of another graph", name);
  if (!tensor->has_geometry)
    return refuse(fault_tensor_without_geometry, synInvalidArgument, "tensor %s has no sizes", name);
  if (!tensor->type) return refuse(fault_tensor_without_type, synFail, "tensor %s has no data type", name);
  if (tensor->section && (!tensor->name || !*tensor->name))
    return refuse(fault_tensor_without_name, synInvalidArgument, "a tensor of a section has no name");
  return synSuccess;
}

static synStatus collect(const struct graph *graph, const synTensor *handles, uint32_t count, struct graph_tensor **out,
                         struct stub_tensor *described) {
  for (uint32_t i = 0; i < count; i++) {
    if (!handles[i]) continue;
    struct graph_tensor *tensor = find_handle(handle_of_tensor, handles[i]);
    if (!tensor)
      return refuse(fault_tensor_handle, synInvalidArgument, "the handle of tensor %u %s", i,
                    describe_handle(handle_of_tensor, handles[i]));
    const synStatus status = check_tensor(graph, tensor);
    if (status) return status;
    out[i] = tensor;
    described[i] = (struct stub_tensor){.name = name_of_tensor(tensor), .type = tensor->type, .dims = tensor->dims};
    memcpy(described[i].sizes, tensor->sizes, sizeof tensor->sizes);
  }
  return synSuccess;
}

// Parameters that NodeFactory::createNode throws InvalidNodeParamsException for are synInvalidArgument; what else it
// does not like is synFail.
static synStatus status_of(enum stub_node_fault fault) {
  return fault == stub_parameter_bytes || fault == stub_parameter_value ? synInvalidArgument : synFail;
}

static synStatus check_outputs(const struct graph_node *node) {
  for (uint32_t i = 0; i < node->output_count; i++) {
    const struct graph_tensor *output = node->outputs[i];
    bool is_made = output && output->producer;
    for (uint32_t j = 0; output && j < i; j++) is_made |= node->outputs[j] == output;
    if (is_made)
      return refuse(fault_tensor_two_producers, synFail, "tensor %s is made by another node, or twice",
                    name_of_tensor(output));
  }
  return synSuccess;
}

static void free_node(struct graph_node *node) {
  free(node->inputs);
  free(node->outputs);
  free(node);
}

static synStatus create(synGraphHandle handle, const synTensor *inputs, const synTensor *outputs, uint32_t input_count,
                        uint32_t output_count, const void *parameters, unsigned parameter_bytes, const char *guid,
                        const char *name, synNodeId *identifier) {
  struct graph *graph = find_handle(handle_of_graph, handle);
  if (!graph)
    return refuse(fault_graph_handle, synFail, "the graph's handle %s", describe_handle(handle_of_graph, handle));
  if (graph->is_compiled) return refuse(fault_graph_compiled, synFail, "the graph has been compiled");
  synStatus status = require(guid, "the guid");
  if (status || (input_count && (status = require(inputs, "the inputs"))) ||
      (output_count && (status = require(outputs, "the outputs"))))
    return status;
  if (!parameters != !parameter_bytes)
    return fail_node(guid, name, fault_node_parameter_bytes, synInvalidArgument,
                     "parameters without size, or a size alone");

  struct graph_node *node = calloc(1, sizeof *node);
  struct stub_tensor *described = calloc(input_count + output_count + 1, sizeof *described);
  if (!node || !described) abort();
  node->inputs = calloc(input_count + 1, sizeof *node->inputs);
  node->outputs = calloc(output_count + 1, sizeof *node->outputs);
  node->input_count = input_count;
  node->output_count = output_count;
  if (!node->inputs || !node->outputs) abort();
  if (!(status = collect(graph, inputs, input_count, node->inputs, described)) &&
      !(status = collect(graph, outputs, output_count, node->outputs, described + input_count)) &&
      !(status = check_outputs(node))) {
    char text[400] = "";
    const struct stub_node question = {guid,       input_count,    output_count, described, described + input_count,
                                       parameters, parameter_bytes};
    const enum stub_node_fault fault = stub_check_node(&question, text, sizeof text);
    if (fault) status = fail_node(guid, name, fault_of_node(fault), status_of(fault), text);
  }
  free(described);
  if (status) {
    free_node(node);
    return status;
  }
  node->identifier = ++last_identifier;
  node->number = graph->node_count;
  node->guid = copy_text(guid);
  node->name = copy_text(name);
  node->parameters = malloc(parameter_bytes + 1u);
  if (!node->parameters) abort();
  if (parameter_bytes) memcpy(node->parameters, parameters, parameter_bytes);
  node->parameter_bytes = parameter_bytes;
  for (uint32_t i = 0; i < input_count; i++)
    if (node->inputs[i]) node->inputs[i]->is_locked = true;
  for (uint32_t i = 0; i < output_count; i++)
    if (node->outputs[i]) {
      node->outputs[i]->is_locked = true;
      node->outputs[i]->producer = node;
    }
  graph->nodes = make_room(graph->nodes, graph->node_count, &graph->node_room, sizeof(struct graph_node *));
  graph->nodes[graph->node_count++] = node;
  if (identifier) *identifier = node->identifier;
  return synSuccess;
}

// The layouts, which say what the dimensions mean, are not looked at.
EXPORT synStatus synNodeCreate(synGraphHandle graph, const synTensor *inputs, const synTensor *outputs,
                               uint32_t input_count, uint32_t output_count, const void *parameters,
                               unsigned parameter_bytes, const char *guid, const char *name, const char **input_layouts,
                               const char **output_layouts) {
  SCOPED struct call call = begin_call("synNodeCreate", needs_library);
  (void)input_layouts, (void)output_layouts;
  if (call.status) return call.status;
  return create(graph, inputs, outputs, input_count, output_count, parameters, parameter_bytes, guid, name, NULL);
}

EXPORT synStatus synNodeCreateWithId(synGraphHandle graph, const synTensor *inputs, const synTensor *outputs,
                                     uint32_t input_count, uint32_t output_count, const void *parameters,
                                     unsigned parameter_bytes, const char *guid, const char *name,
                                     synNodeId *identifier, const char **input_layouts, const char **output_layouts) {
  SCOPED struct call call = begin_call("synNodeCreateWithId", needs_library);
  (void)input_layouts, (void)output_layouts;
  if (call.status) return call.status;
  return create(graph, inputs, outputs, input_count, output_count, parameters, parameter_bytes, guid, name, identifier);
}

static struct graph *find_graph(synGraphHandle handle, synStatus *status) {
  struct graph *graph = find_handle(handle_of_graph, handle);
  *status = synSuccess;
  if (!graph)
    *status = refuse(fault_graph_handle, handle ? synFail : synInvalidArgument, "the graph's handle %s",
                     describe_handle(handle_of_graph, handle));
  else if (graph->is_compiled) *status = refuse(fault_graph_compiled, synFail, "the graph has been compiled");
  return *status ? NULL : graph;
}

// The identifiers of a graph's nodes ascend.
static struct graph_node *find_node(const struct graph *graph, synNodeId identifier) {
  size_t first = 0, end = graph->node_count;
  while (first < end) {
    const size_t middle = first + (end - first) / 2;
    if (graph->nodes[middle]->identifier == identifier) return graph->nodes[middle];
    if (graph->nodes[middle]->identifier < identifier) first = middle + 1;
    else end = middle;
  }
  return NULL;
}

EXPORT synStatus synNodeDependencySet(synGraphHandle handle, const synNodeId *blocking, const synNodeId *blocked,
                                      uint32_t blocking_count, uint32_t blocked_count) {
  SCOPED struct call call = begin_call("synNodeDependencySet", needs_library);
  synStatus status = call.status;
  if (status) return status;
  struct graph *graph = find_graph(handle, &status);
  if (!graph) return status;
  if (!blocking || !blocked || !blocking_count || !blocked_count)
    return refuse(fault_node_dependency, synInvalidArgument, "one of the lists is empty");
  for (uint32_t i = 0; i < blocking_count; i++)
    for (uint32_t j = 0; j < blocked_count; j++) {
      if (!find_node(graph, blocking[i]) || !find_node(graph, blocked[j]))
        return refuse(fault_node_handle, synInvalidArgument, "the graph has no node %llu or no node %llu",
                      (unsigned long long)blocking[i], (unsigned long long)blocked[j]);
      if (blocking[i] == blocked[j])
        return refuse(fault_node_dependency, synInvalidArgument, "node %llu is in both lists",
                      (unsigned long long)blocking[i]);
    }
  for (uint32_t j = 0; j < blocked_count; j++) {
    struct graph_node *node = find_node(graph, blocked[j]);
    for (uint32_t i = 0; i < blocking_count; i++) {
      node->blockers = make_room(node->blockers, node->blocker_count, &node->blocker_room, sizeof(struct graph_node *));
      node->blockers[node->blocker_count++] = find_node(graph, blocking[i]);
    }
  }
  return synSuccess;
}

// What the stub computes is the same at each time, and for each of these.
EXPORT synStatus synNodeSetDeterministic(synGraphHandle handle, synNodeId identifier, bool is_deterministic) {
  SCOPED struct call call = begin_call("synNodeSetDeterministic", needs_library);
  (void)is_deterministic;
  synStatus status = call.status;
  if (status) return status;
  struct graph *graph = find_graph(handle, &status);
  if (!graph) return status;
  return find_node(graph, identifier)
             ? synSuccess
             : refuse(fault_node_handle, synFail, "the graph has no node %llu", (unsigned long long)identifier);
}
