// Launches of recipes: which tensors are named, where they lie, and what is said when a launch fails.
#include <string.h>

#include "rig.h"
#include "subjects.h"

static const char *const names[small_tensors] = {"a", "b", "y"};
enum { a, b, y, bytes_of_small = small_size * 4, workspace_bytes = 512 };

// The small recipe and all that it needs.
static struct {
  synStreamHandle stream;
  synRecipeHandle recipe;
  uint64_t memory[small_tensors], workspace, identifiers[small_tensors];
} rig;

static void begin_launches(void) {
  begin();
  rig.stream = new_stream();
  rig.recipe = new_small_recipe(synDeviceGaudi2);
  rig.workspace = new_device_memory(workspace_bytes);
  for (int i = 0; i < small_tensors; i++) rig.memory[i] = new_device_memory(bytes_of_small);
  CHECK(api.synTensorRetrieveIds(rig.recipe, (const char **)names, rig.identifiers, small_tensors), accepted);
}

static void end_launches(void) {
  CHECK(api.synStreamSynchronize(rig.stream), accepted);
  for (int i = 0; i < small_tensors; i++) CHECK(api.synDeviceFree(0, rig.memory[i], 0), accepted);
  CHECK(api.synDeviceFree(0, rig.workspace, 0), accepted);
  CHECK(api.synRecipeDestroy(rig.recipe), accepted);
  CHECK(api.synStreamDestroy(rig.stream), accepted);
  end();
}

// What a launch is told; a place more than there are tensors.
struct told {
  synLaunchTensorInfo tensors[small_tensors + 1];
  uint32_t count;
};

static struct told right(void) {
  struct told told = {.count = small_tensors};
  for (int i = 0; i < small_tensors; i++)
    told.tensors[i] =
        (synLaunchTensorInfo){.tensorName = names[i], .pTensorAddress = rig.memory[i], .tensorId = rig.identifiers[i]};
  return told;
}

static int launch(struct told told) {
  return api.synLaunch(rig.stream, told.tensors, told.count, rig.workspace, rig.recipe, 0);
}

static int launch_by_name(struct told told) {
  return api.synLaunch(rig.stream, told.tensors, told.count, rig.workspace, rig.recipe, SYN_FLAGS_TENSOR_NAME);
}

static void check_names_of_tensors(void) {
  struct told told = right();
  told.tensors[a].tensorId = told.tensors[b].tensorId = 77;
  CHECK(launch_by_name(told), accepted);  // ids are not looked at then
  CHECK(launch(told), refused(synFail, "launch-tensor-unknown"));
  told = right();
  told.tensors[b].tensorName = "nobody";
  CHECK(launch_by_name(told), refused(synFail, "launch-tensor-unknown"));
  CHECK(launch(told), refused(synInvalidTensorProperties, "launch-tensor-name"));
  told.tensors[b].tensorName = NULL;
  CHECK(launch_by_name(told), refused(synInvalidArgument, "null-argument"));
  CHECK(launch(told), accepted);
  told.tensors[b].tensorId = UINT64_MAX;
  CHECK(launch(told), refused(synFail, "launch-tensor-unknown"));
  told.tensors[b].tensorId = rig.identifiers[b] | (uint64_t)1 << 56;  // of a tensor of another kind
  CHECK(launch(told), refused(synFail, "launch-tensor-unknown"));
}

static void check_descriptions_of_tensors(void) {
  struct told told = right();
  told.tensors[y].tensorType = SHAPE_TENSOR;
  CHECK(launch(told), refused(synInvalidTensorProperties, "launch-tensor-kind"));
  told = right();
  told.tensors[y].tensorSize[0] = small_size - 1;
  CHECK(launch(told), refused(synInvalidTensorProperties, "launch-tensor-size"));
  told.tensors[y].tensorSize[0] = small_size;
  CHECK(launch(told), accepted);
  told = right();
  told.tensors[told.count++] = told.tensors[b];
  CHECK(launch(told), refused(synFailedSectionValidation, "launch-tensor-twice"));
  told.count = small_tensors - 1;
  CHECK(launch(told), refused(synFail, "launch-missing-tensor"));
}

void misuse_launches(void) {
  begin_launches();
  struct told told = right();
  CHECK(launch(told), accepted);
  CHECK(api.synStreamQuery(rig.stream), returns(self.is_early ? synSuccess : synBusy));
  CHECK(api.synStreamSynchronize(rig.stream), accepted);
  CHECK(api.synLaunch(rig.stream, told.tensors, told.count, rig.workspace, rig.recipe, 2),
        refused(synInvalidArgument, "launch-flags"));
  CHECK(api.synLaunch(rig.stream, told.tensors, told.count, rig.workspace, (synRecipeHandle)rig.stream, 0),
        refused(synInvalidArgument, "recipe-handle"));
  CHECK(api.synLaunch((synStreamHandle)rig.recipe, told.tensors, told.count, rig.workspace, rig.recipe, 0),
        refused(synInvalidArgument, "stream-handle"));
  CHECK(api.synLaunch(rig.stream, NULL, told.count, rig.workspace, rig.recipe, 0),
        refused(synInvalidArgument, "null-argument"));
  const synRecipeHandle other = new_small_recipe(synDeviceGaudi3);
  CHECK(api.synLaunch(rig.stream, told.tensors, told.count, rig.workspace, other, 0),
        refused(synInvalidArgument, "launch-device-type"));
  CHECK(api.synRecipeDestroy(other), accepted);
  check_names_of_tensors();
  check_descriptions_of_tensors();
  end_launches();
}

static int launch_at(int tensor, uint64_t address) {
  struct told told = right();
  told.tensors[tensor].pTensorAddress = address;
  return launch(told);
}

static int launch_with_workspace(uint64_t workspace) {
  const struct told told = right();
  return api.synLaunch(rig.stream, told.tensors, told.count, workspace, rig.recipe, 0);
}

void misuse_launch_addresses(void) {
  begin_launches();
  const struct expectation no_room = refused(synFail, "launch-address");
  const struct expectation overlaps = refused(synFailedSectionValidation, "launch-overlap");
  static const char of_the_host[bytes_of_small];
  CHECK(launch_at(y, 0), no_room);
  CHECK(launch_at(y, rig.memory[y] + 4), no_room);  // its end is not there any more
  CHECK(launch_at(y, (uint64_t)(uintptr_t)of_the_host), no_room);
  CHECK(launch_at(y, rig.memory[y] + 2), refused(synFail, "launch-alignment"));
  CHECK(launch_at(y, rig.memory[b]), overlaps);
  CHECK(launch_at(b, rig.memory[a]), overlaps);  // though both are only read
  CHECK(launch_at(y, rig.workspace), overlaps);
  const uint64_t larger = new_device_memory(2 * bytes_of_small);
  CHECK(launch_at(y, larger + 4), accepted);
  CHECK(launch_at(y, larger + bytes_of_small), accepted);

  const struct expectation no_workspace = refused(synFail, "launch-workspace");
  CHECK(launch_with_workspace(0), no_workspace);
  CHECK(launch_with_workspace(rig.memory[a]), no_workspace);      // too small
  CHECK(launch_with_workspace(rig.workspace + 4), no_workspace);  // it is rounded up, and then too small
  CHECK(launch_with_workspace(rig.workspace), accepted);
  CHECK(api.synStreamSynchronize(rig.stream), accepted);
  CHECK(api.synDeviceFree(0, larger, 0), accepted);
  end_launches();
}

// Two tensors of one section: where one lies, there is the other.
void misuse_launch_sections(void) {
  begin();
  const synGraphHandle graph = new_graph();
  const synSectionHandle section = new_section(graph);
  const synTensor first = new_tensor(graph, "first", section, 0, 4);
  const synTensor second = new_tensor(graph, "second", section, 128, 4);
  synRecipeHandle recipe;
  CHECK(create_binary(graph, "add_fwd_f32", first, second, new_persistent_tensor(graph, "sum", 4), NULL), accepted);
  CHECK(api.synGraphCompile(&recipe, graph, "sections", NULL), accepted);
  CHECK(api.synGraphDestroy(graph), accepted);

  const uint64_t memory = new_device_memory(1024);
  const synStreamHandle stream = new_stream();
  synLaunchTensorInfo tensors[] = {{.tensorName = "sum", .pTensorAddress = memory + 256},
                                   {.tensorName = "first", .pTensorAddress = memory},
                                   {.tensorName = "second", .pTensorAddress = memory + 132}};
  CHECK(api.synLaunch(stream, tensors, 3, 0, recipe, SYN_FLAGS_TENSOR_NAME), refused(synFail, "launch-section-base"));
  tensors[2].pTensorAddress = memory + 128;
  CHECK(api.synLaunch(stream, tensors, 3, 0, recipe, SYN_FLAGS_TENSOR_NAME), accepted);
  CHECK(api.synLaunch(stream, tensors, 2, 0, recipe, SYN_FLAGS_TENSOR_NAME),
        refused(synFailedSectionValidation, "launch-missing-tensor"));
  CHECK(api.synStreamSynchronize(stream), accepted);
  CHECK(api.synStreamDestroy(stream), accepted);
  CHECK(api.synDeviceFree(0, memory, 0), accepted);
  CHECK(api.synRecipeDestroy(recipe), accepted);
  end();
}

// GAUDI_STUB_FAIL_LAUNCH is 2.
void misuse_failed_launches(void) {
  begin_launches();
  CHECK(launch(right()), accepted);
  CHECK(api.synStreamSynchronize(rig.stream), accepted);
  CHECK(launch(right()), accepted);
  CHECK(api.synStreamSynchronize(rig.stream), refused(synDeviceReset, "launch-failed"));
  // From then on nothing works, and nothing can be given back.
  const struct expectation terminated = refused(synSynapseTerminated, "after-device-failure");
  CHECK(api.synStreamSynchronize(rig.stream), terminated);
  CHECK(api.synRecipeDestroy(rig.recipe), terminated);
  CHECK(api.synDeviceRelease(0), terminated);
  CHECK(api.synDestroy(), accepted);
  begin();
  end();
}
