// Streams: queues of work that is done when somebody has to wait for it.
#pragma once

#include "library.h"
#include "memory.h"

#pragma GCC visibility push(hidden)

struct work;
struct stream;

/// The end of what was in a stream at some time; of nothing where there is no stream.
struct marker {
  struct stream *stream;
  uint64_t position;
};

/// By the number of each stream, how far its work is ordered before something.
struct order {
  uint64_t *positions;
  size_t count;
};

enum progress { progress_done, progress_pending };

/// What a piece of work is made of. `end` frees the context, whether the work was done or not.
struct task {
  enum progress (*run)(void *context);  // pending: another process has to do something first
  void (*end)(void *context);
  void *context;
  const struct range *ranges;  // what it reads and writes; copied
  size_t range_count;
};

struct stream {
  synStreamHandle handle;
  size_t number;
  uint64_t queued, done;
  struct work *first, *last;
  struct order before;  // what the next work is ordered after
  struct stream *next;
};

/// The stream of a handle; NULL and a status where it is none.
struct stream *find_stream(synStreamHandle handle, synStatus *status);

/// Puts work into the stream. Where it is refused, its context is freed.
synStatus enqueue(struct stream *stream, const struct task *task);

struct marker end_of(struct stream *stream);

/// Does the work up to the marker as far as other processes let it. Whether it is done.
bool advance(struct marker marker);
void advance_all_streams(void);

/// Waits until it is done.
synStatus finish(struct marker marker);

/// What somebody is told who waits or asks after a launch has failed.
synStatus tell_failure(void);

/// Whether work that is not yet done reads or writes there.
bool is_in_use(const struct range *range);

/// Drops all streams and events with what is in them. Returns how many were alive.
size_t forget_all_streams(void);

#pragma GCC visibility pop
