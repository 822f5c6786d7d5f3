// From a graph to a recipe: the rules that concern the graph as a whole.
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "recipe.h"

// checkInputPersistence, check_persistance.cpp
static synStatus check_inputs(const struct graph *graph) {
  for (size_t i = 0; i < graph->node_count; i++)
    for (uint32_t j = 0; j < graph->nodes[i]->input_count; j++) {
      const struct graph_tensor *input = graph->nodes[i]->inputs[j];
      if (input && !input->producer && !input->section)
        return refuse(fault_tensor_without_producer, synFail, "node %s %s reads tensor %s, which nobody makes",
                      graph->nodes[i]->guid, graph->nodes[i]->name, name_of_tensor(input));
    }
  return synSuccess;
}

static synStatus check_planted(const struct graph *graph) {
  for (size_t i = 0; i < graph->node_count; i++)
    if (!strcmp(graph->nodes[i]->guid, library.settings.fail_compile))
      return refuse(fault_compile_planted, synFail, "GAUDI_STUB_FAIL_COMPILE names %s", graph->nodes[i]->guid);
  return synSuccess;
}

// MARK: Tensors

static uint32_t place_section(const struct graph *graph, const struct graph_section *section) {
  for (size_t i = 0; i < graph->section_count; i++)
    if (graph->sections[i] == section) return (uint32_t)i;
  return 0;
}

static void add_tensor(struct recipe *recipe, const struct graph *graph, struct graph_tensor *tensor) {
  tensor->place = recipe->tensor_count;
  struct recipe_tensor *out = &recipe->tensors[recipe->tensor_count++];
  *out = (struct recipe_tensor){
      .name = copy_text(name_of_tensor(tensor)),
      .type = tensor->type,
      .dims = tensor->dims,
      .bytes = bytes_of_tensor(tensor),
      .section = tensor->section ? place_section(graph, tensor->section) : 0,
      .offset = tensor->section ? tensor->offset : recipe->workspace,
      .is_written = tensor->producer != NULL,
  };
  memcpy(out->sizes, tensor->sizes, sizeof out->sizes);
  if (!tensor->section) recipe->workspace += round_up(out->bytes, memory_alignment);
}

// Two that have the same name can be in one graph: a name is free when the handle was destroyed.
static synStatus check_names(const struct recipe *recipe) {
  for (uint32_t i = 0; i < recipe->persistent_count; i++)
    for (uint32_t j = 0; j < i; j++)
      if (!strcmp(recipe->tensors[i].name, recipe->tensors[j].name))
        return refuse(fault_tensor_name_used, synFail, "two persistent tensors are \"%s\"", recipe->tensors[i].name);
  return synSuccess;
}

static void add_tensors(struct recipe *recipe, const struct graph *graph, bool are_persistent) {
  for (size_t i = 0; i < graph->tensor_count; i++) {
    struct graph_tensor *tensor = graph->tensors[i];
    // A tensor of no node is not part of the recipe.
    if (tensor->is_locked && (tensor->section != NULL) == are_persistent) add_tensor(recipe, graph, tensor);
  }
}

// MARK: Nodes

static void add_node(struct recipe *recipe, const struct graph_node *node) {
  struct recipe_node *out = &recipe->nodes[recipe->node_count++];
  *out = (struct recipe_node){
      .guid = copy_text(node->guid),
      .input_count = node->input_count,
      .output_count = node->output_count,
      .tensors = malloc((node->input_count + node->output_count + 1) * sizeof *out->tensors),
      .parameters = malloc(node->parameter_bytes + 1u),
      .parameter_bytes = node->parameter_bytes,
  };
  if (!out->tensors || !out->parameters) abort();
  memcpy(out->parameters, node->parameters, node->parameter_bytes);
  for (uint32_t i = 0; i < node->input_count; i++)
    out->tensors[i] = node->inputs[i] ? node->inputs[i]->place : no_tensor;
  for (uint32_t i = 0; i < node->output_count; i++)
    out->tensors[node->input_count + i] = node->outputs[i] ? node->outputs[i]->place : no_tensor;
}

struct recipe *compile(const struct graph *graph, const char *name) {
  if (graph->node_count == 0) {
    refuse(fault_graph_empty, synFail, "the graph has no nodes");
    return NULL;
  }
  if (check_planted(graph) || check_inputs(graph)) return NULL;
  struct graph_node **order = order_nodes(graph);
  if (!order) return NULL;
  if (check_sections(graph, order)) {
    free(order);
    return NULL;
  }
  struct recipe *recipe = calloc(1, sizeof *recipe);
  if (!recipe) abort();
  recipe->references = 1;
  recipe->type = graph->type;
  recipe->name = copy_text(name);
  recipe->section_count = (uint32_t)graph->section_count;
  recipe->tensors = calloc(graph->tensor_count + 1, sizeof *recipe->tensors);
  recipe->nodes = calloc(graph->node_count, sizeof *recipe->nodes);
  if (!recipe->tensors || !recipe->nodes) abort();
  add_tensors(recipe, graph, true);
  recipe->persistent_count = recipe->tensor_count;
  add_tensors(recipe, graph, false);
  for (size_t i = 0; i < graph->node_count; i++) add_node(recipe, order[i]);
  free(order);
  if (!check_names(recipe)) return recipe;
  release_recipe(recipe);
  return NULL;
}
