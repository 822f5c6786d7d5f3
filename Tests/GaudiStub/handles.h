// Handles are numbers, no pointers: whoever follows one crashes, and none is ever used twice.
#pragma once

#include "synapse_abi.h"

#pragma GCC visibility push(hidden)

enum handle_kind {
  handle_of_graph = 1,
  handle_of_section,
  handle_of_tensor,
  handle_of_recipe,
  handle_of_stream,
  handle_of_event,
  handle_of_communicator,
};

void *add_handle(enum handle_kind kind, void *object);

/// The object; NULL where the handle is not a living one of this kind.
void *find_handle(enum handle_kind kind, const void *handle);

/// Why there is no object, as the end of a sentence.
const char *describe_handle(enum handle_kind kind, const void *handle);

/// Whether there was an object of this kind, which has been destroyed.
bool is_dead_handle(enum handle_kind kind, const void *handle);

void remove_handle(const void *handle);
size_t count_handles(enum handle_kind kind);

/// Calls the function for each living object of the kind; it may remove that one.
void each_handle(enum handle_kind kind, void (*visit)(void *object, const void *handle));

/// Destroys every object, as the end of the library does.
void forget_all_handles(void);

#pragma GCC visibility pop
