// Graphs: what they are asked for, the order of their nodes, and what a compiler would say of them.
#include "rig.h"
#include "subjects.h"

static void check_attributes(synGraphHandle graph) {
  const int attributes[] = {GRAPH_ATTRIBUTE_INFERENCE, GRAPH_ATTRIBUTE_BACKOFF_FACTOR};
  const uint64_t training[] = {0, 0}, nonsense[] = {2};
  const struct expectation wrong = refused(synFail, "graph-attribute");
  CHECK(api.synGraphSetAttribute(graph, attributes, training, 1), accepted);
  CHECK(api.synGraphSetAttribute(graph, attributes, training, 2), wrong);
  CHECK(api.synGraphSetAttribute(graph, attributes, nonsense, 1), wrong);
  CHECK(api.synGraphSetAttribute(graph, attributes, training, 0), wrong);
  const synTensor from = new_persistent_tensor(graph, "a", 4), to = new_persistent_tensor(graph, "b", 4);
  CHECK(create_relu(graph, from, to), accepted);
  CHECK(api.synGraphSetAttribute(graph, attributes, training, 1), wrong);  // too late
}

static void check_compiled(synGraphHandle graph) {
  synRecipeHandle recipe, again;
  synSectionHandle section;
  synTensor tensor;
  CHECK(api.synGraphCompile(&recipe, graph, "x", NULL), accepted);
  CHECK(api.synGraphCompile(&again, graph, "x", NULL), refused(synFail, "graph-compiled"));
  CHECK(api.synSectionCreate(&section, 0, graph), refused(synFail, "graph-compiled"));
  CHECK(api.synTensorHandleCreate(&tensor, graph, DATA_TENSOR, "new"), refused(synFail, "graph-compiled"));
  CHECK(create_relu(graph, NULL, NULL), refused(synFail, "graph-compiled"));
  CHECK(api.synNodeSetDeterministic(graph, 1, true), refused(synFail, "graph-compiled"));
  CHECK(api.synRecipeDestroy(recipe), accepted);
}

void misuse_graphs(void) {
  CHECK(api.synInitialize(), accepted);
  const int types[] = {synDeviceGaudi, synDeviceGaudi2, synDeviceGaudi3};
  synGraphHandle graph;
  synRecipeHandle recipe;
  CHECK(api.synGraphCreate(&graph, no_device_type), refused(synInvalidArgument, "graph-device-type"));
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    CHECK(api.synGraphCreate(&graph, types[i]), accepted);
    CHECK(api.synGraphDestroy(graph), accepted);
  }
  CHECK(api.synGraphDestroy(graph), refused(synFail, "graph-handle"));
  CHECK(api.synGraphDestroy(NULL), refused(synInvalidArgument, "graph-handle"));
  CHECK(api.synGraphCompile(&recipe, graph, "x", NULL), refused(synFail, "graph-handle"));
  CHECK(create_relu(graph, NULL, NULL), refused(synFail, "graph-handle"));
  graph = new_graph();
  check_attributes(graph);
  check_compiled(graph);
  CHECK(api.synGraphDestroy(graph), accepted);
  CHECK(api.synDestroy(), accepted);
}

void misuse_node_dependencies(void) {
  CHECK(api.synInitialize(), accepted);
  const synGraphHandle graph = new_graph();
  const synTensor a = new_persistent_tensor(graph, "a", 4), b = new_persistent_tensor(graph, "b", 4);
  const synNodeId unknown = 999999;
  synNodeId first, second;
  CHECK(create_binary(graph, "add_fwd_f32", a, b, new_persistent_tensor(graph, "sum", 4), &first), accepted);
  CHECK(create_binary(graph, "sub_fwd_f32", a, b, new_persistent_tensor(graph, "rest", 4), &second), accepted);
  CHECK(api.synNodeDependencySet(graph, &first, &first, 1, 1), refused(synInvalidArgument, "node-dependency"));
  CHECK(api.synNodeDependencySet(graph, &first, &second, 0, 1), refused(synInvalidArgument, "node-dependency"));
  CHECK(api.synNodeDependencySet(graph, &first, NULL, 1, 1), refused(synInvalidArgument, "node-dependency"));
  CHECK(api.synNodeDependencySet(graph, &first, &unknown, 1, 1), refused(synInvalidArgument, "node-handle"));
  CHECK(api.synNodeDependencySet(graph, &first, &second, 1, 1), accepted);
  CHECK(api.synNodeSetDeterministic(graph, unknown, true), refused(synFail, "node-handle"));
  CHECK(api.synNodeSetDeterministic(graph, first, true), accepted);
  CHECK(api.synGraphDestroy(graph), accepted);
  CHECK(api.synDestroy(), accepted);
}

/// Compiles the graph, and destroys it and what came of it.
static int compile(synGraphHandle graph, const char *name) {
  synRecipeHandle recipe = NULL;
  const int status = api.synGraphCompile(&recipe, graph, name, NULL);
  // No checks: they would forget what was said of the compilation. Where one of these is refused, that is seen below.
  const int destroyed = status ? synSuccess : api.synRecipeDestroy(recipe);
  const int graph_destroyed = api.synGraphDestroy(graph);
  return status ? status : destroyed ? destroyed : graph_destroyed;
}

static synGraphHandle new_chain(bool makes_input) {
  const synGraphHandle graph = new_graph();
  const synTensor a = new_persistent_tensor(graph, "a", 4), middle = new_tensor(graph, NULL, NULL, 0, 4);
  if (makes_input) CHECK(create_relu(graph, a, middle), accepted);
  CHECK(create_relu(graph, middle, new_persistent_tensor(graph, "y", 4)), accepted);
  return graph;
}

// b = a + c, c = a + b
static synGraphHandle new_cycle(void) {
  const synGraphHandle graph = new_graph();
  const synTensor a = new_persistent_tensor(graph, "a", 4), b = new_persistent_tensor(graph, "b", 4),
                  c = new_persistent_tensor(graph, "c", 4);
  CHECK(create_binary(graph, "add_fwd_f32", a, b, c, NULL), accepted);
  CHECK(create_binary(graph, "add_fwd_f32", a, c, b, NULL), accepted);
  return graph;
}

// c = a + b, d = a + c, and a dependency that says the same or the contrary.
static synGraphHandle new_dependent(bool is_backwards) {
  const synGraphHandle graph = new_graph();
  const synTensor a = new_persistent_tensor(graph, "a", 4), b = new_persistent_tensor(graph, "b", 4),
                  c = new_persistent_tensor(graph, "c", 4), d = new_persistent_tensor(graph, "d", 4);
  synNodeId first, second;
  CHECK(create_binary(graph, "add_fwd_f32", a, b, c, &first), accepted);
  CHECK(create_binary(graph, "add_fwd_f32", a, c, d, &second), accepted);
  CHECK(is_backwards ? api.synNodeDependencySet(graph, &second, &first, 1, 1)
                     : api.synNodeDependencySet(graph, &first, &second, 1, 1),
        accepted);
  return graph;
}

// Two persistent tensors with one name: the first one's handle is destroyed before the second is made.
static synGraphHandle new_namesakes(const char *second_name) {
  const synGraphHandle graph = new_graph();
  const synTensor a = new_persistent_tensor(graph, "a", 4), b = new_persistent_tensor(graph, "b", 4);
  CHECK(create_relu(graph, a, b), accepted);
  CHECK(api.synTensorDestroy(a), accepted);
  CHECK(create_relu(graph, new_persistent_tensor(graph, second_name, 4), new_persistent_tensor(graph, "y", 4)),
        accepted);
  return graph;
}

void misuse_compilation(void) {
  CHECK(api.synInitialize(), accepted);
  CHECK(compile(new_graph(), "x"), refused(synFail, "graph-empty"));
  CHECK(compile(new_chain(true), NULL), refused(synInvalidArgument, "compile-without-name"));
  CHECK(compile(new_chain(true), "x"), accepted);
  CHECK(compile(new_chain(false), "x"), refused(synFail, "tensor-without-producer"));
  CHECK(compile(new_cycle(), "x"), refused(synFail, "graph-cycle"));
  CHECK(compile(new_dependent(true), "x"), refused(synFail, "graph-cycle"));
  CHECK(compile(new_dependent(false), "x"), accepted);
  CHECK(compile(new_namesakes("a"), "x"), refused(synFail, "tensor-name-used"));
  CHECK(compile(new_namesakes("c"), "x"), accepted);
  CHECK(api.synDestroy(), accepted);
}

enum order { no_order, read_first, write_first };

// `new` is `old` of the same memory less a gradient; another node reads `old`.
static synGraphHandle new_update(uint64_t offset, bool is_read_elsewhere, enum order order) {
  const synGraphHandle graph = new_graph();
  const synSectionHandle section = new_section(graph);
  const synTensor old = new_tensor(graph, "old", section, 0, 4), new = new_tensor(graph, "new", section, offset, 4);
  const synTensor gradient = new_persistent_tensor(graph, "gradient", 4);
  synNodeId update, read;
  CHECK(create_binary(graph, "sub_fwd_f32", old, gradient, new, &update), accepted);
  if (!is_read_elsewhere) return graph;
  CHECK(create_binary(graph, "add_fwd_f32", old, gradient, new_persistent_tensor(graph, "y", 4), &read), accepted);
  if (order == read_first) CHECK(api.synNodeDependencySet(graph, &read, &update, 1, 1), accepted);
  if (order == write_first) CHECK(api.synNodeDependencySet(graph, &update, &read, 1, 1), accepted);
  return graph;
}

void misuse_shared_sections(void) {
  CHECK(api.synInitialize(), accepted);
  CHECK(compile(new_update(0, false, no_order), "x"), accepted);  // in place
  CHECK(compile(new_update(16, false, no_order), "x"), accepted);
  CHECK(compile(new_update(8, false, no_order), "x"), refused(synFail, "section-overlap"));
  CHECK(compile(new_update(0, true, no_order), "x"), refused(synFail, "section-unordered"));
  CHECK(compile(new_update(0, true, read_first), "x"), accepted);
  CHECK(compile(new_update(0, true, write_first), "x"), accepted);
  CHECK(api.synDestroy(), accepted);
}

// GAUDI_STUB_FAIL_COMPILE is relu_fwd_f32.
void misuse_planted_compilation(void) {
  CHECK(api.synInitialize(), accepted);
  CHECK(compile(new_chain(true), "x"), refused(synFail, "compile-planted"));
  CHECK(compile(new_dependent(false), "x"), accepted);
  CHECK(api.synDestroy(), accepted);
}
