// Recipe files: a header with a checksum, then the recipe as numbers and texts in this machine's byte order.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "recipe.h"

struct header {
  char magic[8];
  char version[64];  // what synDriverGetVersion says
  uint32_t type, unused;
  uint64_t bytes;     // that follow
  uint64_t checksum;  // of them
};
static const char magic[8] = {'G', 'A', 'U', 'D', 'S', 'T', 'U', 'B'};

// FNV-1a
static uint64_t sum_of(const uint8_t *bytes, size_t count) {
  uint64_t sum = 0xcbf29ce484222325u;
  for (size_t i = 0; i < count; i++) sum = (sum ^ bytes[i]) * 0x100000001b3u;
  return sum;
}

// MARK: Writing

struct writer {
  uint8_t *bytes;
  size_t count, room;
};

static void put(struct writer *writer, const void *bytes, size_t count) {
  while (writer->room < writer->count + count) {
    writer->room = writer->room ? 2 * writer->room : 4096;
    writer->bytes = realloc(writer->bytes, writer->room);
    if (!writer->bytes) abort();
  }
  if (count) memcpy(writer->bytes + writer->count, bytes, count);
  writer->count += count;
}
static void put_number(struct writer *writer, uint64_t number) { put(writer, &number, sizeof number); }
static void put_block(struct writer *writer, const void *bytes, uint32_t count) {
  put_number(writer, count);
  put(writer, bytes, count);
}
static void put_text(struct writer *writer, const char *text) { put_block(writer, text, (uint32_t)strlen(text)); }

synStatus write_recipe(const struct recipe *recipe, const char *path) {
  struct writer writer = {0};
  put_text(&writer, recipe->name);
  put_number(&writer, recipe->workspace);
  put_number(&writer, recipe->section_count);
  put_number(&writer, recipe->persistent_count);
  put_number(&writer, recipe->tensor_count);
  put_number(&writer, recipe->node_count);
  for (uint32_t i = 0; i < recipe->tensor_count; i++) {
    const struct recipe_tensor *tensor = &recipe->tensors[i];
    put_text(&writer, tensor->name);
    put_number(&writer, tensor->type);
    put_number(&writer, tensor->dims);
    put(&writer, tensor->sizes, sizeof tensor->sizes);
    put_number(&writer, tensor->bytes);
    put_number(&writer, tensor->section);
    put_number(&writer, tensor->offset);
    put_number(&writer, tensor->is_written);
  }
  for (uint32_t i = 0; i < recipe->node_count; i++) {
    const struct recipe_node *node = &recipe->nodes[i];
    put_text(&writer, node->guid);
    put_number(&writer, node->input_count);
    put_number(&writer, node->output_count);
    put(&writer, node->tensors, (node->input_count + node->output_count) * sizeof *node->tensors);
    put_block(&writer, node->parameters, node->parameter_bytes);
  }
  struct header header = {.type = (uint32_t)recipe->type, .bytes = writer.count};
  memcpy(header.magic, magic, sizeof magic);
  memcpy(header.version, library.settings.version, sizeof header.version);
  header.checksum = sum_of(writer.bytes, writer.count);

  FILE *file = fopen(path, "wb");
  bool is_written = file && fwrite(&header, sizeof header, 1, file) == 1 &&
                    fwrite(writer.bytes, 1, writer.count, file) == writer.count;
  if (file) is_written &= fclose(file) == 0;
  free(writer.bytes);
  // RecipeSerializer::serialize
  return is_written ? synSuccess
                    : refuse(fault_recipe_file, synWrongParamsFile, "%s cannot be written: %s", path, strerror(errno));
}

// MARK: Reading

struct reader {
  const uint8_t *bytes;
  size_t count, place;
  bool is_short;
};

static const void *take(struct reader *reader, uint64_t count) {
  if (reader->is_short || count > reader->count - reader->place) {
    reader->is_short = true;
    return NULL;
  }
  const void *bytes = reader->bytes + reader->place;
  reader->place += count;
  return bytes;
}
static uint64_t take_number(struct reader *reader) {
  uint64_t number = 0;
  const void *bytes = take(reader, sizeof number);
  if (bytes) memcpy(&number, bytes, sizeof number);
  return number;
}
// How many there are of what takes at least a byte each.
static uint32_t take_count(struct reader *reader) {
  const uint64_t count = take_number(reader);
  if (count <= reader->count) return (uint32_t)count;
  reader->is_short = true;
  return 0;
}
static void *take_block(struct reader *reader, uint32_t count) {
  char *block = calloc(1, (size_t)count + 1);
  if (!block) abort();
  const void *bytes = take(reader, count);
  if (bytes) memcpy(block, bytes, count);
  return block;
}
static char *take_text(struct reader *reader) { return take_block(reader, take_count(reader)); }

static void take_tensor(struct reader *reader, struct recipe_tensor *tensor) {
  tensor->name = take_text(reader);
  tensor->type = (uint32_t)take_number(reader);
  tensor->dims = (uint32_t)take_number(reader);
  const void *sizes = take(reader, sizeof tensor->sizes);
  if (sizes) memcpy(tensor->sizes, sizes, sizeof tensor->sizes);
  tensor->bytes = take_number(reader);
  tensor->section = (uint32_t)take_number(reader);
  tensor->offset = take_number(reader);
  tensor->is_written = take_number(reader) != 0;
}

// Whether a launch can trust it.
static bool is_sound(const struct recipe *recipe, const struct recipe_tensor *tensor) {
  uint64_t bytes = bytes_of_type(tensor->type);
  if (!bytes || tensor->dims == 0 || tensor->dims > most_dimensions) return false;
  for (uint32_t i = 0; i < tensor->dims; i++)
    if (tensor->sizes[i] == 0 || __builtin_mul_overflow(bytes, tensor->sizes[i], &bytes)) return false;
  if (bytes != tensor->bytes) return false;
  if (tensor < recipe->tensors + recipe->persistent_count) return tensor->section < recipe->section_count;
  return tensor->offset <= recipe->workspace && bytes <= recipe->workspace - tensor->offset;
}

static void take_node(struct reader *reader, struct recipe_node *node, uint32_t tensor_count) {
  node->guid = take_text(reader);
  node->input_count = take_count(reader);
  node->output_count = take_count(reader);
  const uint32_t count = node->input_count + node->output_count;
  node->tensors = take_block(reader, count * (uint32_t)sizeof *node->tensors);
  for (uint32_t i = 0; i < count; i++)
    if (node->tensors[i] != no_tensor && node->tensors[i] >= tensor_count) reader->is_short = true;
  node->parameter_bytes = take_count(reader);
  node->parameters = take_block(reader, node->parameter_bytes);
}

static struct recipe *take_recipe(struct reader *reader, synDeviceType type) {
  struct recipe *recipe = calloc(1, sizeof *recipe);
  if (!recipe) abort();
  recipe->references = 1;
  recipe->type = type;
  recipe->name = take_text(reader);
  recipe->workspace = take_number(reader);
  recipe->section_count = take_count(reader);
  recipe->persistent_count = take_count(reader);
  recipe->tensor_count = take_count(reader);
  recipe->node_count = take_count(reader);
  recipe->tensors = calloc((size_t)recipe->tensor_count + 1, sizeof *recipe->tensors);
  recipe->nodes = calloc((size_t)recipe->node_count + 1, sizeof *recipe->nodes);
  if (!recipe->tensors || !recipe->nodes) abort();
  for (uint32_t i = 0; i < recipe->tensor_count && !reader->is_short; i++) {
    take_tensor(reader, &recipe->tensors[i]);
    reader->is_short |= !is_sound(recipe, &recipe->tensors[i]);
  }
  for (uint32_t i = 0; i < recipe->node_count && !reader->is_short; i++)
    take_node(reader, &recipe->nodes[i], recipe->tensor_count);
  if (!reader->is_short && reader->place == reader->count && recipe->persistent_count <= recipe->tensor_count)
    return recipe;
  release_recipe(recipe);
  return NULL;
}

static uint8_t *read_file(const char *path, size_t *count) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  struct writer writer = {0};
  uint8_t part[65536];
  for (size_t n; (n = fread(part, 1, sizeof part, file)) > 0;) put(&writer, part, n);
  const bool has_failed = ferror(file);
  fclose(file);
  if (has_failed) {
    free(writer.bytes);
    return NULL;
  }
  *count = writer.count;
  return writer.bytes ? writer.bytes : calloc(1, 1);
}

static synStatus check_header(const struct header *header, const char *path, const uint8_t *rest, size_t count) {
  if (memcmp(header->magic, magic, sizeof magic))
    return refuse(fault_recipe_format, synWrongParamsFile, "%s is no recipe", path);
  if (memcmp(header->version, library.settings.version, sizeof header->version))
    return refuse(fault_recipe_version, synWrongParamsFile, "%s is of version %.63s, and this is %s", path,
                  header->version, library.settings.version);
  if (header->bytes != count)
    return refuse(fault_recipe_format, synWrongParamsFile, "%s has %zu bytes behind its header instead of %llu", path,
                  count, (unsigned long long)header->bytes);
  if (header->checksum != sum_of(rest, count))
    return refuse(fault_recipe_checksum, synWrongParamsFile, "%s has been changed", path);
  // The real library looks at it when the recipe is launched (DeviceCommon::launchWithExternalEvents).
  if (library.device.is_acquired && header->type != (uint32_t)library.settings.type)
    return refuse(fault_recipe_device_type, synWrongParamsFile, "%s is for devices of type %u, and this is one of %d",
                  path, header->type, library.settings.type);
  return synSuccess;
}

struct recipe *read_recipe(const char *path, synStatus *status) {
  size_t count = 0;
  uint8_t *bytes = read_file(path, &count);
  struct recipe *recipe = NULL;
  *status = synSuccess;
  if (!bytes) *status = refuse(fault_recipe_file, synWrongParamsFile, "%s cannot be read: %s", path, strerror(errno));
  else if (count < sizeof(struct header))
    *status = refuse(fault_recipe_format, synWrongParamsFile, "%s has %zu bytes", path, count);
  else {
    struct header header;
    memcpy(&header, bytes, sizeof header);
    const uint8_t *rest = bytes + sizeof header;
    count -= sizeof header;
    *status = check_header(&header, path, rest, count);
    if (!*status) {
      recipe = take_recipe(&(struct reader){rest, count, 0, false}, (synDeviceType)header.type);
      if (!recipe) *status = refuse(fault_recipe_format, synWrongParamsFile, "%s does not make sense", path);
    }
  }
  free(bytes);
  return recipe;
}
