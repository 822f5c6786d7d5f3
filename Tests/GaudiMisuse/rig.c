#include "rig.h"

void begin(void) {
  CHECK(api.synInitialize(), accepted);
  begin_device();
}

void begin_device(void) {
  uint32_t device = 9;
  CHECK(api.synDeviceAcquireByModuleId(&device, (uint32_t)self.rank), accepted);
  CHECK(device, returns(0));
}

void end(void) {
  CHECK(api.synDeviceRelease(0), accepted);
  CHECK(api.synDestroy(), accepted);
}

synStreamHandle new_stream(void) {
  synStreamHandle stream = NULL;
  CHECK(api.synStreamCreateGeneric(&stream, 0, 0), accepted);
  return stream;
}

uint64_t new_device_memory(uint64_t bytes) {
  uint64_t address = 0;
  CHECK(api.synDeviceMalloc(0, bytes, 0, 0, &address), accepted);
  return address;
}

void *new_host_memory(uint64_t bytes) {
  void *pointer = NULL;
  CHECK(api.synHostMalloc(0, bytes, 0, &pointer), accepted);
  return pointer;
}

static synGraphHandle new_graph_for(int device_type) {
  synGraphHandle graph = NULL;
  CHECK(api.synGraphCreate(&graph, device_type), accepted);
  return graph;
}

synGraphHandle new_graph(void) { return new_graph_for(synDeviceGaudi2); }

synSectionHandle new_section(synGraphHandle graph) {
  synSectionHandle section = NULL;
  CHECK(api.synSectionCreate(&section, 0, graph), accepted);
  return section;
}

synTensor new_tensor(synGraphHandle graph, const char *name, synSectionHandle section, uint64_t offset, uint64_t size) {
  synTensor tensor = NULL;
  CHECK(api.synTensorHandleCreate(&tensor, graph, DATA_TENSOR, name), accepted);
  if (section) CHECK(api.synTensorAssignToSection(tensor, section, offset), accepted);
  const synTensorGeometry geometry = {{size}, 1};
  CHECK(api.synTensorSetGeometry(tensor, &geometry, synGeometrySizes), accepted);
  CHECK(api.synTensorSetDeviceDataType(tensor, syn_type_float), accepted);
  return tensor;
}

synTensor new_persistent_tensor(synGraphHandle graph, const char *name, uint64_t size) {
  return new_tensor(graph, name, new_section(graph), 0, size);
}

int create_relu(synGraphHandle graph, synTensor from, synTensor to) {
  return api.synNodeCreate(graph, &from, &to, 1, 1, NULL, 0, "relu_fwd_f32", "relu", NULL, NULL);
}

int create_binary(synGraphHandle graph, const char *guid, synTensor first, synTensor second, synTensor to,
                  synNodeId *identifier) {
  const synTensor inputs[] = {first, second};
  return api.synNodeCreateWithId(graph, inputs, &to, 2, 1, NULL, 0, guid, "binary", identifier, NULL, NULL);
}

synGraphHandle new_small_graph(int device_type) {
  const synGraphHandle graph = new_graph_for(device_type);
  const synTensor a = new_persistent_tensor(graph, "a", small_size), b = new_persistent_tensor(graph, "b", small_size);
  const synTensor sum = new_tensor(graph, NULL, NULL, 0, small_size);
  const synTensor y = new_persistent_tensor(graph, "y", small_size);
  CHECK(create_binary(graph, "add_fwd_f32", a, b, sum, NULL), accepted);
  CHECK(create_relu(graph, sum, y), accepted);
  return graph;
}

synRecipeHandle new_small_recipe(int device_type) {
  const synGraphHandle graph = new_small_graph(device_type);
  synRecipeHandle recipe = NULL;
  CHECK(api.synGraphCompile(&recipe, graph, "small", NULL), accepted);
  CHECK(api.synGraphDestroy(graph), accepted);
  return recipe;
}
