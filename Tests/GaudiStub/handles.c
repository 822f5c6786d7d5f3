#include "handles.h"

#include <stdlib.h>

#include "communicator.h"
#include "graph.h"
#include "recipe.h"
#include "stream.h"

struct slot {
  enum handle_kind kind;
  void *object;  // NULL: destroyed
};

static struct slot *slots;
static size_t slot_count, slot_room;

// No address of a process on x86-64 or arm64 looks like this.
static const uint64_t mark = (uint64_t)0x7a5b << 48;

void *add_handle(enum handle_kind kind, void *object) {
  if (slot_count == slot_room) {
    slot_room = slot_room ? 2 * slot_room : 256;
    slots = realloc(slots, slot_room * sizeof *slots);
    if (!slots) abort();
  }
  slots[slot_count] = (struct slot){kind, object};
  return (void *)(uintptr_t)(mark | (uint64_t)kind << 40 | ++slot_count);
}

static struct slot *slot_of(const void *handle) {
  const uint64_t number = (uint64_t)(uintptr_t)handle, index = number & (((uint64_t)1 << 40) - 1);
  if (number >> 48 != mark >> 48 || index == 0 || index > slot_count) return NULL;
  struct slot *slot = &slots[index - 1];
  return (uint64_t)slot->kind == (number >> 40 & 0xff) ? slot : NULL;
}

void *find_handle(enum handle_kind kind, const void *handle) {
  const struct slot *slot = slot_of(handle);
  return slot && slot->kind == kind ? slot->object : NULL;
}

bool is_dead_handle(enum handle_kind kind, const void *handle) {
  const struct slot *slot = slot_of(handle);
  return slot && slot->kind == kind && !slot->object;
}

const char *describe_handle(enum handle_kind kind, const void *handle) {
  const struct slot *slot = slot_of(handle);
  if (!handle) return "is NULL";
  if (!slot) return "is none";
  if (slot->kind != kind) return "is one of something else";
  return slot->object ? "is alive" : "was destroyed";
}

void remove_handle(const void *handle) {
  struct slot *slot = slot_of(handle);
  if (slot) slot->object = NULL;
}

size_t count_handles(enum handle_kind kind) {
  size_t count = 0;
  for (size_t i = 0; i < slot_count; i++) count += slots[i].kind == kind && slots[i].object;
  return count;
}

void each_handle(enum handle_kind kind, void (*visit)(void *object, const void *handle)) {
  for (size_t i = 0; i < slot_count; i++)
    if (slots[i].kind == kind && slots[i].object)
      visit(slots[i].object, (void *)(uintptr_t)(mark | (uint64_t)kind << 40 | (i + 1)));
}

static void end_graph(void *object, const void *handle) {
  (void)handle;
  destroy_graph(object);  // with its tensors and sections
}

static void end_recipe(void *object, const void *handle) {
  remove_handle(handle);
  release_recipe(object);
}

void forget_all_handles(void) {
  each_handle(handle_of_graph, end_graph);
  each_handle(handle_of_recipe, end_recipe);
}
