// Events: a place in a stream that can be waited for.
#pragma once

#include "stream.h"

#pragma GCC visibility push(hidden)

/// When a recording was reached. Shared by the event and the work that reaches it.
struct stamp {
  unsigned references;
  uint64_t nanoseconds;
};

struct event {
  bool has_time;
  struct marker marker;  // of the last recording
  struct order order;    // what is ordered before it
  struct stamp *stamp;
};

void free_event(struct event *event);

void raise_order(struct order *order, size_t number, uint64_t position);
void join_order(struct order *order, const struct order *other);

#pragma GCC visibility pop
