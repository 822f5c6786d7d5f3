// Recipes, and the files that they are kept in.
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>

#include "rig.h"
#include "subjects.h"

void misuse_recipes(void) {
  CHECK(api.synInitialize(), accepted);
  const synRecipeHandle recipe = new_small_recipe(synDeviceGaudi2);
  const struct expectation none = refused(synInvalidArgument, "recipe-handle");
  const int attributes[] = {RECIPE_ATTRIBUTE_NUM_PERSISTENT_TENSORS, no_recipe_attribute};
  uint64_t values[2] = {0}, workspace = 0;
  CHECK(api.synRecipeGetAttribute(values, attributes, 1, recipe), accepted);
  CHECK((int64_t)values[0], returns(small_tensors));
  CHECK(api.synRecipeGetAttribute(values, attributes, 2, recipe), refused(synFail, "recipe-attribute"));
  CHECK(api.synWorkspaceGetSize(&workspace, recipe), accepted);
  CHECK((int64_t)workspace, returns(512));

  // A name that the recipe does not know has no id, and that is all.
  const char *names[] = {"a", "nobody", NULL};
  uint64_t identifiers[3] = {0};
  CHECK(api.synTensorRetrieveIds(recipe, names, identifiers, 2), accepted);
  CHECK(identifiers[0] != UINT64_MAX && identifiers[1] == UINT64_MAX, returns(true));
  CHECK(api.synTensorRetrieveIds(recipe, names, identifiers, 3), refused(synInvalidArgument, "null-argument"));

  synGraphHandle graph = new_graph();
  CHECK(api.synWorkspaceGetSize(&workspace, (synRecipeHandle)graph), none);
  CHECK(api.synGraphDestroy(graph), accepted);
  CHECK(api.synRecipeDestroy(recipe), accepted);
  CHECK(api.synRecipeDestroy(recipe), none);
  CHECK(api.synWorkspaceGetSize(&workspace, recipe), none);
  CHECK(api.synTensorRetrieveIds(recipe, names, identifiers, 1), none);
  CHECK(api.synRecipeSerialize(recipe, "/dev/null"), none);
  CHECK(api.synRecipeDestroy(NULL), accepted);
  CHECK(api.synDestroy(), accepted);
}

// MARK: Files

static const char *path_of(const char *name) {
  static char path[4200];
  snprintf(path, sizeof path, "%s/%s", run_folder(), name);
  return path;
}

static int write_recipe(synRecipeHandle recipe) { return api.synRecipeSerialize(recipe, path_of("recipe")); }

static int read_recipe(void) {
  synRecipeHandle recipe = NULL;
  const int status = api.synRecipeDeSerialize(&recipe, path_of("recipe"));
  return status ? status : api.synRecipeDestroy(recipe);
}

static void change_byte(long place) {
  FILE *file = fopen(path_of("recipe"), "r+");
  if (!file) return fail("the recipe's file cannot be opened");
  fseek(file, place, SEEK_SET);
  const int byte = fgetc(file);
  fseek(file, place, SEEK_SET);
  fputc(byte ^ 0x55, file);
  fclose(file);
}

static long bytes_of_file(void) {
  FILE *file = fopen(path_of("recipe"), "r");
  if (!file) return 0;
  fseek(file, 0, SEEK_END);
  const long bytes = ftell(file);
  fclose(file);
  return bytes;
}

static void cut_file(long bytes) {
  if (truncate(path_of("recipe"), bytes)) fail("the recipe's file cannot be cut to %ld bytes", bytes);
}

static void check_damage(synRecipeHandle recipe) {
  const struct expectation not_one = refused(synWrongParamsFile, "recipe-format");
  CHECK(write_recipe(recipe), accepted);
  const long bytes = bytes_of_file();
  change_byte(bytes - 1);
  CHECK(read_recipe(), refused(synWrongParamsFile, "recipe-checksum"));
  change_byte(bytes - 1);
  CHECK(read_recipe(), accepted);
  change_byte(0);
  CHECK(read_recipe(), not_one);
  change_byte(0);
  cut_file(bytes - 1);
  CHECK(read_recipe(), not_one);
  cut_file(10);
  CHECK(read_recipe(), not_one);
  cut_file(0);
  CHECK(read_recipe(), not_one);
}

// Leaves a file of a right recipe, for the next.
void misuse_recipe_files(void) {
  const struct expectation no_file = refused(synWrongParamsFile, "recipe-file");
  CHECK(api.synInitialize(), accepted);
  const synRecipeHandle recipe = new_small_recipe(synDeviceGaudi2), other = new_small_recipe(synDeviceGaudi3);
  CHECK(api.synRecipeSerialize(recipe, path_of("no/such/folder")), no_file);
  CHECK(read_recipe(), no_file);
  check_damage(recipe);

  // Before there is a device any will do.
  CHECK(write_recipe(other), accepted);
  CHECK(read_recipe(), accepted);
  CHECK(api.synRecipeDestroy(other), accepted);
  begin_device();
  CHECK(read_recipe(), refused(synWrongParamsFile, "recipe-device-type"));
  CHECK(write_recipe(recipe), accepted);
  CHECK(read_recipe(), accepted);
  CHECK(api.synRecipeDestroy(recipe), accepted);
  end();
}

// GAUDI_STUB_VERSION is another than where the file was written.
void misuse_recipes_of_other_versions(void) {
  CHECK(api.synInitialize(), accepted);
  CHECK(read_recipe(), refused(synWrongParamsFile, "recipe-version"));
  const synRecipeHandle recipe = new_small_recipe(synDeviceGaudi2);
  CHECK(write_recipe(recipe), accepted);
  CHECK(read_recipe(), accepted);
  CHECK(api.synRecipeDestroy(recipe), accepted);
  CHECK(api.synDestroy(), accepted);
}
