// Sections, tensors, and tensors that a node is given.
#include <string.h>

#include "rig.h"
#include "subjects.h"

static synTensor new_bare_tensor(synGraphHandle graph, const char *name) {
  synTensor tensor = NULL;
  CHECK(api.synTensorHandleCreate(&tensor, graph, DATA_TENSOR, name), accepted);
  return tensor;
}

void misuse_sections(void) {
  CHECK(api.synInitialize(), accepted);
  const synGraphHandle graph = new_graph(), other_graph = new_graph();
  const synTensor tensor = new_bare_tensor(graph, "t"), foreign = new_bare_tensor(other_graph, "t");

  const synSectionHandle section = new_section(graph);
  CHECK(api.synTensorAssignToSection(foreign, section, 0), refused(synInvalidArgument, "section-other-graph"));
  CHECK(api.synSectionSetPersistent(section, true), accepted);
  CHECK(api.synSectionSetRMW(section, false), accepted);
  CHECK(api.synTensorAssignToSection(tensor, section, 0), accepted);
  CHECK(api.synSectionSetPersistent(section, true), refused(synFail, "section-locked"));
  CHECK(api.synSectionSetRMW(section, false), refused(synFail, "section-locked"));

  const synSectionHandle rmw = new_section(graph), fleeting = new_section(graph);
  CHECK(api.synSectionSetRMW(rmw, true), accepted);
  CHECK(api.synTensorAssignToSection(tensor, rmw, 0), refused(synInvalidArgument, "section-persistent-rmw"));
  CHECK(api.synSectionSetPersistent(fleeting, false), accepted);
  CHECK(api.synTensorAssignToSection(tensor, fleeting, 0), refused(synInvalidArgument, "section-not-persistent"));

  CHECK(api.synSectionDestroy(fleeting), accepted);
  CHECK(api.synSectionDestroy(fleeting), accepted);  // the real library does not mind
  CHECK(api.synTensorAssignToSection(tensor, fleeting, 0), refused(synInvalidArgument, "section-handle"));
  CHECK(api.synSectionSetRMW((synSectionHandle)(uintptr_t)7, true), refused(synFail, "section-handle"));
  CHECK(api.synSectionSetPersistent((synSectionHandle)tensor, true), refused(synFail, "section-handle"));
  CHECK(api.synSectionDestroy(NULL), refused(synFail, "section-handle"));

  CHECK(api.synGraphDestroy(graph), accepted);
  CHECK(api.synSectionDestroy(section), accepted);  // it went with its graph
  CHECK(api.synGraphDestroy(other_graph), accepted);
  CHECK(api.synDestroy(), accepted);
}

static void check_names(synGraphHandle graph) {
  char name[1025];
  memset(name, 'x', sizeof name);
  synTensor tensor = NULL, again = NULL;
  name[1024] = 0;
  CHECK(api.synTensorHandleCreate(&tensor, graph, DATA_TENSOR, name), refused(synInvalidArgument, "tensor-name"));
  name[1023] = 0;
  CHECK(api.synTensorHandleCreate(&tensor, graph, DATA_TENSOR, name), accepted);
  CHECK(api.synTensorHandleCreate(&again, graph, DATA_TENSOR, name), refused(synNameIsAlreadyUsed, "tensor-name-used"));
  CHECK(again == tensor, returns(true));  // as the real library has it
  CHECK(api.synTensorDestroy(tensor), accepted);
  CHECK(api.synTensorHandleCreate(&again, graph, DATA_TENSOR, name), accepted);  // the name is free
  new_bare_tensor(graph, NULL);
  new_bare_tensor(graph, NULL);
}

static void check_geometries(synTensor tensor) {
  const struct {
    const char *what;
    synTensorGeometry geometry;
    int kind;
    struct expectation expected;
  } geometries[] = {
      {"five dimensions", {{2, 3, 4, 5, 6}, 5}, synGeometrySizes, accepted},
      {"a size of 0", {{4, 0}, 2}, synGeometrySizes, refused(synInvalidTensorDimensions, "tensor-geometry")},
      {"six dimensions",
       {{1, 1, 1, 1, 1, 1}, 6},
       synGeometrySizes,
       refused(synInvalidTensorDimensions, "tensor-geometry")},
      {"no dimensions", {{4}, 0}, synGeometrySizes, refused(synInvalidTensorDimensions, "tensor-geometry")},
      {"more bytes than there are",
       {{1 << 30, 1 << 30}, 2},
       synGeometrySizes,
       refused(synInvalidTensorDimensions, "tensor-geometry")},
      {"least sizes", {{4}, 1}, synGeometryMinSizes, refused(synInvalidArgument, "tensor-geometry-kind")},
      {"one dimension", {{4}, 1}, synGeometrySizes, accepted},
  };
  for (size_t i = 0; i < sizeof geometries / sizeof *geometries; i++) {
    checking("%s", geometries[i].what);
    CHECK(api.synTensorSetGeometry(tensor, &geometries[i].geometry, geometries[i].kind), geometries[i].expected);
  }
  checking("%s", "");
  CHECK(api.synTensorSetGeometry(tensor, NULL, synGeometrySizes), refused(synInvalidArgument, "null-argument"));
}

void misuse_tensors(void) {
  CHECK(api.synInitialize(), accepted);
  const synGraphHandle graph = new_graph();
  synTensor tensor;
  CHECK(api.synTensorHandleCreate(&tensor, graph, SHAPE_TENSOR, "t"), refused(synInvalidArgument, "tensor-kind"));
  tensor = new_bare_tensor(graph, "t");
  check_names(graph);
  check_geometries(tensor);
  CHECK(api.synTensorSetDeviceDataType(tensor, no_data_type), refused(synInvalidArgument, "tensor-data-type"));
  CHECK(api.synTensorSetDeviceDataType(tensor, syn_type_bf16), accepted);
  CHECK(api.synTensorSetDeviceDataType((synTensor)graph, syn_type_bf16), refused(synFail, "tensor-handle"));
  CHECK(api.synTensorSetDeviceDataType(NULL, syn_type_bf16), refused(synInvalidArgument, "tensor-handle"));
  CHECK(api.synTensorDestroy(tensor), accepted);
  CHECK(api.synTensorDestroy(tensor), refused(synFail, "tensor-handle"));
  CHECK(api.synTensorAssignToSection(tensor, new_section(graph), 0), refused(synFail, "tensor-handle"));
  CHECK(api.synGraphDestroy(graph), accepted);
  CHECK(api.synDestroy(), accepted);
}

static void check_unfinished_tensor(synGraphHandle graph, synTensor output) {
  const synTensorGeometry four = {{4}, 1};
  const synTensor input = new_bare_tensor(graph, "input");
  CHECK(create_relu(graph, input, output), refused(synInvalidArgument, "tensor-without-geometry"));
  CHECK(api.synTensorSetGeometry(input, &four, synGeometrySizes), accepted);
  CHECK(create_relu(graph, input, output), refused(synFail, "tensor-without-type"));
  CHECK(api.synTensorSetDeviceDataType(input, syn_type_float), accepted);
  CHECK(create_relu(graph, input, output), accepted);
  // It is now part of a node.
  const struct expectation locked = refused(synObjectAlreadyInitialized, "tensor-locked");
  CHECK(api.synTensorSetGeometry(input, &four, synGeometrySizes), locked);
  CHECK(api.synTensorSetDeviceDataType(input, syn_type_float), locked);
  CHECK(api.synTensorAssignToSection(input, new_section(graph), 0), locked);
}

void misuse_tensors_in_nodes(void) {
  CHECK(api.synInitialize(), accepted);
  const synGraphHandle graph = new_graph(), other_graph = new_graph();
  check_unfinished_tensor(graph, new_persistent_tensor(graph, "y", 4));

  const synTensor input = new_persistent_tensor(graph, "a", 4), output = new_persistent_tensor(graph, "b", 4);
  const synTensor nameless = new_tensor(graph, NULL, new_section(graph), 0, 4);
  const synTensor foreign = new_persistent_tensor(other_graph, "a", 4), gone = new_tensor(graph, NULL, NULL, 0, 4);
  CHECK(api.synTensorDestroy(gone), accepted);
  CHECK(create_relu(graph, nameless, output), refused(synInvalidArgument, "tensor-without-name"));
  CHECK(create_relu(graph, foreign, output), refused(synInvalidArgument, "tensor-other-graph"));
  CHECK(create_relu(graph, input, foreign), refused(synInvalidArgument, "tensor-other-graph"));
  CHECK(create_relu(graph, gone, output), refused(synInvalidArgument, "tensor-handle"));
  CHECK(create_relu(graph, input, output), accepted);
  CHECK(create_relu(graph, input, output), refused(synFail, "tensor-two-producers"));
  CHECK(create_relu(graph, input, new_tensor(graph, NULL, NULL, 0, 4)), accepted);

  // Whoever names the same output twice makes it twice.
  const synTensor whole = new_persistent_tensor(graph, "whole", 8), part = new_tensor(graph, NULL, NULL, 0, 4);
  const synTensor twice[] = {part, part}, once[] = {part, new_tensor(graph, NULL, NULL, 0, 4)};
  const uint32_t axis = 0;
  CHECK(api.synNodeCreate(graph, &whole, twice, 1, 2, &axis, sizeof axis, "split", "split", NULL, NULL),
        refused(synFail, "tensor-two-producers"));
  CHECK(api.synNodeCreate(graph, &whole, once, 1, 2, &axis, sizeof axis, "split", "split", NULL, NULL), accepted);
  CHECK(api.synGraphDestroy(graph), accepted);
  CHECK(api.synGraphDestroy(other_graph), accepted);
  CHECK(api.synDestroy(), accepted);
}
