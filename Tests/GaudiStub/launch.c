// synLaunch: whether the tensors fit the recipe, and the work itself.
//
// What is refused is that of RecipePatchProcessor (recipe_patch_processor.cpp) and HostAddressPatchingInformation, in
// the order in which RecipeLauncher::launch comes to it. The real library validates in part only after the launch is
// under way.
#include <stdlib.h>
#include <string.h>

#include "recipe.h"
#include "stream.h"

// A launch under way.
struct launch {
  struct recipe *recipe;
  uint64_t number;
  char *workspace;  // NULL: the recipe needs none
  char **data;      // of the persistent tensors
};

// MARK: The work

static void *place_of(const struct launch *launch, uint32_t tensor) {
  const struct recipe *recipe = launch->recipe;
  return tensor < recipe->persistent_count ? launch->data[tensor] : launch->workspace + recipe->tensors[tensor].offset;
}

static struct stub_tensor describe(const struct launch *launch, uint32_t tensor) {
  if (tensor == no_tensor) return (struct stub_tensor){0};
  const struct recipe_tensor *own = &launch->recipe->tensors[tensor];
  struct stub_tensor out = {.name = own->name, .type = own->type, .dims = own->dims, .data = place_of(launch, tensor)};
  memcpy(out.sizes, own->sizes, sizeof out.sizes);
  return out;
}

// An output in the place of an input is made beside it first: the compiler sees to that where a node could not bear it
// (handle_memory_reuse.cpp).
static bool is_in_place(const struct stub_tensor *output, const struct stub_tensor *inputs, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (output->data && inputs[i].data == output->data) return true;
  return false;
}

static void run_node(const struct launch *launch, const struct recipe_node *node) {
  const uint32_t count = node->input_count + node->output_count;
  struct stub_tensor *tensors = calloc(count + 1, sizeof *tensors), *outputs = tensors + node->input_count;
  void **targets = calloc(node->output_count + 1u, sizeof *targets);
  if (!tensors || !targets) abort();
  for (uint32_t i = 0; i < count; i++) tensors[i] = describe(launch, node->tensors[i]);
  for (uint32_t i = 0; i < node->output_count; i++) {
    if (!is_in_place(&outputs[i], tensors, node->input_count)) continue;
    const uint64_t bytes = launch->recipe->tensors[node->tensors[node->input_count + i]].bytes;
    targets[i] = outputs[i].data;
    outputs[i].data = malloc(bytes);
    if (!outputs[i].data) abort();
    memset(outputs[i].data, 0xff, bytes);
  }
  stub_run_node(&(struct stub_node){node->guid, node->input_count, node->output_count, tensors, outputs,
                                    node->parameters, node->parameter_bytes});
  library.counts.nodes++;
  for (uint32_t i = 0; i < node->output_count; i++) {
    if (!targets[i]) continue;
    memcpy(targets[i], outputs[i].data, launch->recipe->tensors[node->tensors[node->input_count + i]].bytes);
    free(outputs[i].data);
  }
  free(tensors);
  free(targets);
}

static enum progress run(void *context) {
  const struct launch *launch = context;
  if (launch->number == library.settings.fail_launch) {
    library.device.has_failed = true;
    return progress_done;
  }
  if (launch->workspace) memset(launch->workspace, 0xff, launch->recipe->workspace);
  for (uint32_t i = 0; i < launch->recipe->node_count; i++) run_node(launch, &launch->recipe->nodes[i]);
  library.counts.launches++;
  return progress_done;
}

static void end(void *context) {
  struct launch *launch = context;
  release_recipe(launch->recipe);
  free(launch->data);
  free(launch);
}

// MARK: Which tensor is meant

static uint32_t find_by_name(const struct recipe *recipe, const char *name) {
  for (uint32_t i = 0; i < recipe->persistent_count; i++)
    if (!strcmp(recipe->tensors[i].name, name)) return i;
  return no_tensor;
}

static synStatus check_size(const struct recipe_tensor *tensor, const synLaunchTensorInfo *info) {
  bool is_given = false, is_right = true;
  for (uint32_t i = 0; i < largest_rank; i++) {
    is_given |= info->tensorSize[i] != 0;
    if (i < tensor->dims) is_right &= info->tensorSize[i] == tensor->sizes[i];
  }
  // The real library looks at sizes only where shapes are dynamic.
  return !is_given || is_right ? synSuccess
                               : refuse(fault_launch_tensor_size, synInvalidTensorProperties,
                                        "tensor %s is given another size than it has", tensor->name);
}

static synStatus find_tensor(const struct recipe *recipe, const synLaunchTensorInfo *info, uint32_t flags,
                             uint32_t *out) {
  if (flags & SYN_FLAGS_TENSOR_NAME) {
    const synStatus status = require(info->tensorName, "the name of a tensor");
    if (status) return status;
    *out = find_by_name(recipe, info->tensorName);
  } else {
    *out = info->tensorId < recipe->persistent_count ? (uint32_t)info->tensorId : no_tensor;
  }
  // The real library passes over ids that are none; then it has one tensor less.
  if (*out == no_tensor)
    return refuse(fault_launch_tensor_unknown, synFail, "recipe %s has no persistent tensor %s (id 0x%llx)",
                  recipe->name, info->tensorName ? info->tensorName : "", (unsigned long long)info->tensorId);
  const struct recipe_tensor *tensor = &recipe->tensors[*out];
  if (info->tensorName && strcmp(info->tensorName, tensor->name))
    return refuse(fault_launch_tensor_name, synInvalidTensorProperties, "tensor %s has the id of tensor %s",
                  info->tensorName, tensor->name);
  if (info->tensorType != DATA_TENSOR)
    return refuse(fault_launch_tensor_kind, synInvalidTensorProperties, "tensor %s is given as of kind %d",
                  tensor->name, info->tensorType);
  return check_size(tensor, info);
}

// MARK: Where sections lie

struct section_place {
  uint64_t base, bytes;  // bytes 0: the recipe uses nothing of it
  bool is_given, is_written;
};

static struct section_place *measure_sections(const struct recipe *recipe) {
  struct section_place *sections = calloc(recipe->section_count + 1u, sizeof *sections);
  if (!sections) abort();
  for (uint32_t i = 0; i < recipe->persistent_count; i++) {
    const struct recipe_tensor *tensor = &recipe->tensors[i];
    struct section_place *section = &sections[tensor->section];
    const uint64_t bytes = tensor->offset + tensor->bytes;
    if (section->bytes < bytes) section->bytes = bytes;
    section->is_written |= tensor->is_written;
  }
  return sections;
}

static synStatus place_tensor(const struct recipe *recipe, uint32_t index, uint64_t address,
                              struct section_place *sections) {
  const struct recipe_tensor *tensor = &recipe->tensors[index];
  struct section_place *section = &sections[tensor->section];
  if (address < tensor->offset || !address)
    return refuse(fault_launch_address, synFail, "tensor %s is given address 0x%llx", tensor->name,
                  (unsigned long long)address);
  if (address % bytes_of_type(tensor->type))
    return refuse(fault_launch_alignment, synFail, "tensor %s at 0x%llx is not aligned as its type is", tensor->name,
                  (unsigned long long)address);
  const uint64_t base = address - tensor->offset;
  if (section->is_given && section->base != base)
    return refuse(fault_launch_section_base, synFail,
                  "tensor %s would have its section begin at 0x%llx, another of that section at 0x%llx", tensor->name,
                  (unsigned long long)base, (unsigned long long)section->base);
  if (!device_bytes(base, section->bytes))
    return refuse(fault_launch_address, synFail,
                  "tensor %s is given address 0x%llx, so its section of %llu bytes begins where there is no room: %s",
                  tensor->name, (unsigned long long)address, (unsigned long long)section->bytes,
                  describe_device_address(base));
  section->base = base;
  section->is_given = true;
  return synSuccess;
}

static synStatus check_complete(const struct recipe *recipe, char *const *data, const struct section_place *sections) {
  for (uint32_t i = 0; i < recipe->persistent_count; i++)
    if (!data[i])
      return refuse(fault_launch_tensor_missing,
                    sections[recipe->tensors[i].section].is_given ? synFailedSectionValidation : synFail,
                    "tensor %s is not given", recipe->tensors[i].name);
  return synSuccess;
}

// RecipePatchProcessor::_checkSectionsOverlap: whether they are written or not.
static synStatus check_overlap(const struct range *ranges, size_t count) {
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < i; j++)
      if (overlap(&ranges[i], &ranges[j]))
        return refuse(fault_launch_overlap, synFailedSectionValidation,
                      "what begins at 0x%llx and at 0x%llx overlaps, and is not of one section",
                      (unsigned long long)ranges[i].address, (unsigned long long)ranges[j].address);
  return synSuccess;
}

// MARK: The call

static synStatus place_all(struct launch *launch, const synLaunchTensorInfo *infos, uint32_t count, uint32_t flags,
                           struct section_place *sections) {
  const struct recipe *recipe = launch->recipe;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t tensor;
    synStatus status = find_tensor(recipe, &infos[i], flags, &tensor);
    if (status) return status;
    // The real library takes one of the two (_shouldHandleValidTensor).
    if (launch->data[tensor])
      return refuse(fault_launch_tensor_twice, synFailedSectionValidation, "tensor %s is given twice",
                    recipe->tensors[tensor].name);
    if ((status = place_tensor(recipe, tensor, infos[i].pTensorAddress, sections))) return status;
    launch->data[tensor] = device_bytes(infos[i].pTensorAddress, recipe->tensors[tensor].bytes);
  }
  return check_complete(recipe, launch->data, sections);
}

static synStatus put(struct stream *stream, struct launch *launch, const struct section_place *sections,
                     uint64_t workspace) {
  const struct recipe *recipe = launch->recipe;
  struct range *ranges = calloc(recipe->section_count + 1u, sizeof *ranges);
  if (!ranges) abort();
  size_t count = 0;
  for (uint32_t i = 0; i < recipe->section_count; i++)
    if (sections[i].bytes)
      ranges[count++] = (struct range){sections[i].base, sections[i].bytes, false, sections[i].is_written};
  if (recipe->workspace) ranges[count++] = (struct range){workspace, recipe->workspace, false, true};
  synStatus status = check_overlap(ranges, count);
  if (status) {
    end(launch);
  } else {
    launch->number = ++library.launches;
    status = enqueue(stream, &(struct task){run, end, launch, ranges, count});
  }
  free(ranges);
  return status;
}

EXPORT synStatus synLaunch(synStreamHandle stream_handle, const synLaunchTensorInfo *infos, uint32_t count,
                           uint64_t workspace, synRecipeHandle recipe_handle, uint32_t flags) {
  SCOPED struct call call = begin_call("synLaunch", needs_device);
  synStatus status = call.status;
  if (status) return status;
  struct stream *stream = find_stream(stream_handle, &status);
  if (!stream) return status;
  struct recipe *recipe = find_recipe(recipe_handle, &status);
  if (!recipe) return status;
  // DeviceCommon::launchWithExternalEvents
  if (recipe->type != library.settings.type)
    return refuse(fault_launch_device_type, synInvalidArgument,
                  "recipe %s is for devices of type %d, and this is one of %d", recipe->name, recipe->type,
                  library.settings.type);
  if (flags & ~(uint32_t)SYN_FLAGS_TENSOR_NAME)
    return refuse(fault_launch_flags, synInvalidArgument, "flags 0x%x", flags);
  if (count && (status = require(infos, "the tensors"))) return status;
  // The library rounds it up by itself: QueueComputeUtils::getAlignedWorkspaceAddress.
  workspace = round_up(workspace, memory_alignment);
  if (recipe->workspace && !device_bytes(workspace, recipe->workspace))
    return refuse(fault_launch_workspace, synFail, "recipe %s needs %llu bytes of workspace: %s", recipe->name,
                  (unsigned long long)recipe->workspace, describe_device_address(workspace));
  struct launch *launch = calloc(1, sizeof *launch);
  struct section_place *sections = measure_sections(recipe);
  if (!launch) abort();
  recipe->references++;
  *launch = (struct launch){
      .recipe = recipe,
      .workspace = recipe->workspace ? device_bytes(workspace, recipe->workspace) : NULL,
      .data = calloc(recipe->persistent_count + 1u, sizeof *launch->data),
  };
  if (!launch->data) abort();
  status = place_all(launch, infos, count, flags, sections);
  if (status) end(launch);
  else status = put(stream, launch, sections, workspace);
  free(sections);
  return status;
}
