// Recipes: compiling, files, questions.
#include <stdlib.h>
#include <string.h>

#include "handles.h"
#include "recipe.h"

struct recipe *find_recipe(synRecipeHandle handle, synStatus *status) {
  struct recipe *recipe = find_handle(handle_of_recipe, handle);
  // The real library follows the pointer.
  *status = recipe ? synSuccess
                   : refuse(fault_recipe_handle, synInvalidArgument, "the recipe's handle %s",
                            describe_handle(handle_of_recipe, handle));
  return recipe;
}

void release_recipe(struct recipe *recipe) {
  if (--recipe->references) return;
  for (uint32_t i = 0; recipe->tensors && i < recipe->tensor_count; i++) free(recipe->tensors[i].name);
  for (uint32_t i = 0; recipe->nodes && i < recipe->node_count; i++) {
    free(recipe->nodes[i].guid);
    free(recipe->nodes[i].tensors);
    free(recipe->nodes[i].parameters);
  }
  free(recipe->tensors);
  free(recipe->nodes);
  free(recipe->name);
  free(recipe);
}

// synSingleton::compileGraph
EXPORT synStatus synGraphCompile(synRecipeHandle *out, synGraphHandle handle, const char *name, const char *log) {
  SCOPED struct call call = begin_call("synGraphCompile", needs_library);
  (void)log;
  synStatus status = call.status;
  if (status || (status = require(out, "the place for it"))) return status;
  struct graph *graph = find_handle(handle_of_graph, handle);
  if (!graph)
    return refuse(fault_graph_handle, handle ? synFail : synInvalidArgument, "the graph's handle %s",
                  describe_handle(handle_of_graph, handle));
  // GraphEntriesContainer::getGraphForCompilation: once, whether it succeeded or not.
  if (graph->is_compiled) return refuse(fault_graph_compiled, synFail, "the graph has been compiled");
  graph->is_compiled = true;
  // RecipeManager::compileGraph makes no recipe where there is no name.
  if (!name) return refuse(fault_compile_without_name, synInvalidArgument, "the recipe has no name");
  struct recipe *recipe = compile(graph, name);
  if (!recipe) return synFail;
  library.counts.compiles++;
  *out = add_handle(handle_of_recipe, recipe);
  return synSuccess;
}

EXPORT synStatus synRecipeDestroy(synRecipeHandle handle) {
  SCOPED struct call call = begin_call("synRecipeDestroy", needs_library);
  if (call.status) return call.status;
  if (!handle) return synSuccess;  // synSingleton::recipeDestroy
  synStatus status;
  struct recipe *recipe = find_recipe(handle, &status);
  if (!recipe) return status;
  remove_handle(handle);
  release_recipe(recipe);  // launches that are not yet done keep it: the real library waits for them
  return synSuccess;
}

EXPORT synStatus synRecipeSerialize(synRecipeHandle handle, const char *path) {
  SCOPED struct call call = begin_call("synRecipeSerialize", needs_library);
  synStatus status = call.status;
  if (status || (status = require(path, "the path"))) return status;
  const struct recipe *recipe = find_recipe(handle, &status);
  return recipe ? write_recipe(recipe, path) : status;
}

EXPORT synStatus synRecipeDeSerialize(synRecipeHandle *out, const char *path) {
  SCOPED struct call call = begin_call("synRecipeDeSerialize", needs_library);
  synStatus status = call.status;
  if (status || (status = require(out, "the place for it")) || (status = require(path, "the path"))) return status;
  struct recipe *recipe = read_recipe(path, &status);
  if (!recipe) return status;
  library.counts.deserializes++;
  *out = add_handle(handle_of_recipe, recipe);
  return synSuccess;
}

EXPORT synStatus synWorkspaceGetSize(uint64_t *out, synRecipeHandle handle) {
  SCOPED struct call call = begin_call("synWorkspaceGetSize", needs_library);
  synStatus status = call.status;
  if (status || (status = require(out, "the place for the size"))) return status;
  const struct recipe *recipe = find_recipe(handle, &status);
  if (recipe) *out = recipe->workspace;
  return status;
}

// RecipeTensorsInfo::tensorRetrieveIds: of a name that the recipe does not know, success and no id.
EXPORT synStatus synTensorRetrieveIds(synRecipeHandle handle, const char **tensor_names, uint64_t *identifiers,
                                      uint32_t count) {
  SCOPED struct call call = begin_call("synTensorRetrieveIds", needs_library);
  synStatus status = call.status;
  if (status) return status;
  const struct recipe *recipe = find_recipe(handle, &status);
  if (!recipe || (status = require(tensor_names, "the names")) || (status = require(identifiers, "the ids")))
    return status;
  for (uint32_t i = 0; i < count; i++) {
    if ((status = require(tensor_names[i], "a name"))) return status;
    identifiers[i] = TENSOR_INVALID_ID;
    for (uint32_t j = 0; j < recipe->persistent_count; j++)
      if (!strcmp(recipe->tensors[j].name, tensor_names[i])) identifiers[i] = (uint64_t)DATA_TENSOR << 56 | j;
  }
  return synSuccess;
}

static bool attribute(const struct recipe *recipe, synRecipeAttribute which, uint64_t *out) {
  uint64_t persistent = 0;
  for (uint32_t i = 0; i < recipe->persistent_count; i++) persistent += recipe->tensors[i].bytes;
  switch (which) {
    case RECIPE_ATTRIBUTE_WORKSPACE_SIZE: return *out = recipe->workspace, true;
    case RECIPE_ATTRIBUTE_NUM_PERSISTENT_TENSORS: return *out = recipe->persistent_count, true;
    case RECIPE_ATTRIBUTE_HOST_MEM_SIZE: return *out = recipe->node_count * sizeof(struct recipe_node), true;
    case RECIPE_ATTRIBUTE_NUM_EXTERNAL_TENSORS: return *out = 0, true;
    case RECIPE_ATTRIBUTE_PERSISTENT_TENSORS_SIZE: return *out = persistent, true;
    case RECIPE_ATTRIBUTE_CONST_SECTIONS_SIZE: return *out = 0, true;
    case RECIPE_ATTRIBUTE_DEVICE_MEMORY_SIZE: return *out = recipe->workspace + persistent, true;
    case RECIPE_ATTRIBUTE_MAX: break;
  }
  return false;
}

EXPORT synStatus synRecipeGetAttribute(uint64_t *values, const synRecipeAttribute *attributes, unsigned count,
                                       synRecipeHandle handle) {
  SCOPED struct call call = begin_call("synRecipeGetAttribute", needs_library);
  synStatus status = call.status;
  if (status) return status;
  const struct recipe *recipe = find_recipe(handle, &status);
  if (!recipe) return status;
  if (require(values, "the values") || require(attributes, "the attributes")) return synFail;
  for (unsigned i = 0; i < count; i++)
    if (!attribute(recipe, attributes[i], &values[i]))
      return refuse(fault_recipe_attribute, synFail, "there is no attribute %d", attributes[i]);
  return synSuccess;
}
