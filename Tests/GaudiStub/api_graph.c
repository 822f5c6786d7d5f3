// Graphs, sections and tensors. What is refused, and with which status, is that of syn_singleton_graph.cpp,
// syn_singleton_section.cpp, syn_singleton_tensor.cpp and graph_entries_container.cpp.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "graph.h"
#include "handles.h"

void *make_room(void *items, size_t count, size_t *room, size_t bytes) {
  if (count < *room) return items;
  *room = *room ? 2 * *room : 16;
  items = realloc(items, *room * bytes);
  if (!items) abort();
  return items;
}

char *copy_text(const char *text) {
  char *copy = strdup(text ? text : "");
  if (!copy) abort();
  return copy;
}

uint64_t bytes_of_type(uint32_t type) {
  switch (type) {
    case syn_type_int8:
    case syn_type_uint8:
    case syn_type_fp8_143:
    case syn_type_fp8_152: return 1;
    case syn_type_bf16:
    case syn_type_fp16:
    case syn_type_int16:
    case syn_type_uint16: return 2;
    case syn_type_float:
    case syn_type_int32:
    case syn_type_uint32: return 4;
    case syn_type_int64:
    case syn_type_uint64: return 8;
  }
  return 0;
}

uint64_t bytes_of_tensor(const struct graph_tensor *tensor) {
  uint64_t bytes = bytes_of_type(tensor->type);
  for (uint32_t i = 0; i < tensor->dims; i++) bytes *= tensor->sizes[i];
  return bytes;
}

const char *name_of_tensor(const struct graph_tensor *tensor) {
  return tensor->name && *tensor->name ? tensor->name : "without a name";
}

static struct graph *find_graph(synGraphHandle handle, synStatus *status) {
  struct graph *graph = find_handle(handle_of_graph, handle);
  *status = graph ? synSuccess
                  : refuse(fault_graph_handle, handle ? synFail : synInvalidArgument, "the graph's handle %s",
                           describe_handle(handle_of_graph, handle));
  return graph;
}

static struct graph *find_open_graph(synGraphHandle handle, synStatus *status) {
  struct graph *graph = find_graph(handle, status);
  if (!graph || !graph->is_compiled) return graph;
  *status = refuse(fault_graph_compiled, synFail, "the graph has been compiled");
  return NULL;
}

// MARK: Graphs

EXPORT synStatus synGraphCreate(synGraphHandle *out, synDeviceType type) {
  SCOPED struct call call = begin_call("synGraphCreate", needs_library);
  synStatus status = call.status;
  if (status || (status = require(out, "the place for it"))) return status;
  // GraphFactory knows no other. A device is not needed.
  if (type != synDeviceGaudi && type != synDeviceGaudi2 && type != synDeviceGaudi3)
    return refuse(fault_graph_device_type, synInvalidArgument, "there is no compiler for devices of type %d", type);
  struct graph *graph = calloc(1, sizeof *graph);
  if (!graph) abort();
  graph->type = type;
  *out = graph->handle = add_handle(handle_of_graph, graph);
  return synSuccess;
}

void destroy_graph(struct graph *graph) {
  for (size_t i = 0; i < graph->section_count; i++) {
    remove_handle(graph->sections[i]->handle);
    free(graph->sections[i]);
  }
  for (size_t i = 0; i < graph->tensor_count; i++) {
    remove_handle(graph->tensors[i]->handle);
    free(graph->tensors[i]->name);
    free(graph->tensors[i]);
  }
  for (size_t i = 0; i < graph->node_count; i++) {
    struct graph_node *node = graph->nodes[i];
    free(node->guid);
    free(node->name);
    free(node->inputs);
    free(node->outputs);
    free(node->parameters);
    free(node->blockers);
    free(node);
  }
  free(graph->sections);
  free(graph->tensors);
  free(graph->nodes);
  remove_handle(graph->handle);
  free(graph);
}

EXPORT synStatus synGraphDestroy(synGraphHandle handle) {
  SCOPED struct call call = begin_call("synGraphDestroy", needs_library);
  synStatus status = call.status;
  if (status) return status;
  struct graph *graph = find_graph(handle, &status);
  if (!graph) return status;
  destroy_graph(graph);
  return synSuccess;
}

EXPORT synStatus synGraphSetAttribute(synGraphHandle handle, const synGraphAttribute *attributes,
                                      const uint64_t *values, uint32_t count) {
  SCOPED struct call call = begin_call("synGraphSetAttribute", needs_library);
  synStatus status = call.status;
  if (status) return status;
  struct graph *graph = find_open_graph(handle, &status);
  if (!graph) return status;
  if (!attributes || !values || count == 0 || count > GRAPH_ATTRIBUTE_MAX)
    return refuse(fault_graph_attribute, synFail, "%u attributes, or no pointer to them", count);
  for (uint32_t i = 0; i < count; i++) {
    // The real library takes numbers of these two from 0 to 1, and passes over all others.
    if (attributes[i] != GRAPH_ATTRIBUTE_INFERENCE && attributes[i] != GRAPH_ATTRIBUTE_QUANTIZATION)
      return refuse(fault_graph_attribute, synFail, "attribute %d cannot be set by this call", attributes[i]);
    if (values[i] > 1)
      return refuse(fault_graph_attribute, synFail, "attribute %d cannot be %llu", attributes[i],
                    (unsigned long long)values[i]);
    if (attributes[i] == GRAPH_ATTRIBUTE_INFERENCE && graph->node_count)
      return refuse(fault_graph_attribute, synFail, "the graph has nodes already");
  }
  return synSuccess;
}

// MARK: Sections

static struct graph_section *find_section(synSectionHandle handle, synStatus otherwise, synStatus *status) {
  struct graph_section *section = find_handle(handle_of_section, handle);
  *status = section ? synSuccess
                    : refuse(fault_section_handle, otherwise, "the section's handle %s",
                             describe_handle(handle_of_section, handle));
  return section;
}

EXPORT synStatus synSectionCreate(synSectionHandle *out, uint64_t descriptor, synGraphHandle handle) {
  SCOPED struct call call = begin_call("synSectionCreate", needs_library);
  synStatus status = call.status;
  (void)descriptor;  // deprecated, and not looked at
  if (status) return status;
  if (require(out, "the place for it")) return synFail;
  struct graph *graph = find_open_graph(handle, &status);
  if (!graph) return synFail;
  struct graph_section *section = calloc(1, sizeof *section);
  if (!section) abort();
  section->graph = graph;
  section->is_persistent = true;  // InternalSectionHandle
  graph->sections =
      make_room(graph->sections, graph->section_count, &graph->section_room, sizeof(struct graph_section *));
  graph->sections[graph->section_count++] = section;
  *out = section->handle = add_handle(handle_of_section, section);
  return synSuccess;
}

// InternalSectionHandle::safeModify
static struct graph_section *find_unlocked_section(synSectionHandle handle, synStatus *status) {
  struct graph_section *section = find_section(handle, synFail, status);
  if (!section || !section->is_locked) return section;
  *status = refuse(fault_section_locked, synFail, "a tensor is in the section: it cannot be changed");
  return NULL;
}

EXPORT synStatus synSectionSetPersistent(synSectionHandle handle, bool is_persistent) {
  SCOPED struct call call = begin_call("synSectionSetPersistent", needs_library);
  synStatus status = call.status;
  if (status) return status;
  struct graph_section *section = find_unlocked_section(handle, &status);
  if (section) section->is_persistent = is_persistent;
  return status;
}

EXPORT synStatus synSectionSetRMW(synSectionHandle handle, bool is_rmw) {
  SCOPED struct call call = begin_call("synSectionSetRMW", needs_library);
  synStatus status = call.status;
  if (status) return status;
  struct graph_section *section = find_unlocked_section(handle, &status);
  if (section) section->is_rmw = is_rmw;
  return status;
}

EXPORT synStatus synSectionDestroy(synSectionHandle handle) {
  SCOPED struct call call = begin_call("synSectionDestroy", needs_library);
  if (call.status) return call.status;
  if (is_dead_handle(handle_of_section, handle)) return synSuccess;  // sectionDestroy; the graph destroys its sections
  synStatus status;
  if (!find_section(handle, synFail, &status)) return status;
  remove_handle(handle);  // the object is the graph's: tensors lie in it
  return synSuccess;
}

// MARK: Tensors

static struct graph_tensor *find_tensor(synTensor handle, synStatus *status) {
  struct graph_tensor *tensor = find_handle(handle_of_tensor, handle);
  // The real library follows the pointer, whatever is there (GET_TENSOR_UNSAFE).
  *status = tensor ? synSuccess
                   : refuse(fault_tensor_handle, handle ? synFail : synInvalidArgument, "the tensor's handle %s",
                            describe_handle(handle_of_tensor, handle));
  return tensor;
}

// IS_PROPS_LOCKED
static struct graph_tensor *find_unlocked_tensor(synTensor handle, synStatus *status) {
  struct graph_tensor *tensor = find_tensor(handle, status);
  if (!tensor || !tensor->is_locked) return tensor;
  *status = refuse(fault_tensor_locked, synObjectAlreadyInitialized, "tensor %s is part of a node already",
                   name_of_tensor(tensor));
  return NULL;
}

EXPORT synStatus synTensorHandleCreate(synTensor *out, synGraphHandle handle, synTensorType kind, const char *name) {
  SCOPED struct call call = begin_call("synTensorHandleCreate", needs_library);
  synStatus status = call.status;
  if (status || (status = require(out, "the place for it"))) return status;
  *out = NULL;
  struct graph *graph = find_open_graph(handle, &status);
  if (!graph) return status;
  if (kind != DATA_TENSOR)
    return refuse(fault_tensor_kind, synInvalidArgument, "the stub has data tensors only, not kind %d", kind);
  if (name && strlen(name) >= largest_name_bytes)
    return refuse(fault_tensor_name, synInvalidArgument, "a name of %zu characters", strlen(name));
  for (size_t i = 0; name && i < graph->tensor_count; i++) {
    struct graph_tensor *other = graph->tensors[i];
    if (!other->name || other->is_name_free || strcmp(other->name, name)) continue;
    *out = other->handle;  // as the real library does, which then also returns this status
    return refuse(fault_tensor_name_used, synNameIsAlreadyUsed, "the graph has a tensor \"%s\"", name);
  }
  struct graph_tensor *tensor = calloc(1, sizeof *tensor);
  if (!tensor) abort();
  tensor->graph = graph;
  tensor->name = name ? copy_text(name) : NULL;
  graph->tensors = make_room(graph->tensors, graph->tensor_count, &graph->tensor_room, sizeof(struct graph_tensor *));
  graph->tensors[graph->tensor_count++] = tensor;
  *out = tensor->handle = add_handle(handle_of_tensor, tensor);
  return synSuccess;
}

EXPORT synStatus synTensorSetGeometry(synTensor handle, const synTensorGeometry *geometry, synGeometryType kind) {
  SCOPED struct call call = begin_call("synTensorSetGeometry", needs_library);
  synStatus status = call.status;
  if (status || (status = require(geometry, "the geometry"))) return status;
  struct graph_tensor *tensor = find_unlocked_tensor(handle, &status);
  if (!tensor) return status;
  // Minimal sizes would make it a tensor whose shape is not known, and so would the rank alone.
  if (kind != synGeometrySizes)
    return refuse(fault_tensor_geometry_kind, synInvalidArgument, "geometry of kind %d: the stub takes sizes only",
                  kind);
  if (geometry->dims == 0 || geometry->dims > most_dimensions)
    return refuse(fault_tensor_geometry, synInvalidTensorDimensions, "tensor %s with %u dimensions",
                  name_of_tensor(tensor), geometry->dims);
  uint64_t count = 1;
  for (uint32_t i = 0; i < geometry->dims; i++) {
    const uint64_t size = geometry->sizes[i];
    if (size == 0 || size > (uint64_t)1 << 32 || (count *= size) > (uint64_t)1 << 40)
      return refuse(fault_tensor_geometry, synInvalidTensorDimensions, "tensor %s has size %llu in dimension %u",
                    name_of_tensor(tensor), (unsigned long long)size, i);
  }
  tensor->dims = geometry->dims;
  memcpy(tensor->sizes, geometry->sizes, geometry->dims * sizeof *tensor->sizes);
  tensor->has_geometry = true;
  return synSuccess;
}

EXPORT synStatus synTensorSetDeviceDataType(synTensor handle, synDataType type) {
  SCOPED struct call call = begin_call("synTensorSetDeviceDataType", needs_library);
  synStatus status = call.status;
  if (status) return status;
  struct graph_tensor *tensor = find_unlocked_tensor(handle, &status);
  if (!tensor) return status;
  if (!bytes_of_type((uint32_t)type))
    return refuse(fault_tensor_data_type, synInvalidArgument, "tensor %s: there is no type %d", name_of_tensor(tensor),
                  type);
  tensor->type = (uint32_t)type;
  return synSuccess;
}

EXPORT synStatus synTensorAssignToSection(synTensor handle, synSectionHandle section_handle, uint64_t offset) {
  SCOPED struct call call = begin_call("synTensorAssignToSection", needs_library);
  synStatus status = call.status;
  if (status) return status;
  struct graph_section *section = find_section(section_handle, synInvalidArgument, &status);
  if (!section) return status;
  struct graph_tensor *tensor = find_unlocked_tensor(handle, &status);
  if (!tensor) return status;
  if (tensor->graph != section->graph)
    return refuse(fault_section_other_graph, synInvalidArgument, "tensor %s and the section are of different graphs",
                  name_of_tensor(tensor));
  // Gaudi2Graph::validateMemorySection
  if (section->is_persistent && section->is_rmw)
    return refuse(fault_section_persistent_rmw, synInvalidArgument, "the section is persistent and for RMW");
  // HabanaGraph::validateMemorySection. Gaudi 2 would place it in the workspace; the stub does not.
  if (!section->is_persistent)
    return refuse(fault_section_not_persistent, synInvalidArgument, "the section is not persistent");
  section->is_locked = true;
  tensor->section = section;
  tensor->offset = offset;
  return synSuccess;
}

EXPORT synStatus synTensorDestroy(synTensor handle) {
  SCOPED struct call call = begin_call("synTensorDestroy", needs_library);
  synStatus status = call.status;
  if (status) return status;
  // The real library says synSuccess to one of a living graph that was destroyed before; of a destroyed graph it
  // follows a pointer to nowhere.
  struct graph_tensor *tensor = find_tensor(handle, &status);
  if (!tensor) return status;
  tensor->is_name_free = true;
  remove_handle(handle);  // the object is the graph's: nodes have it
  return synSuccess;
}
