#pragma once
#include <stddef.h>

#pragma clang assume_nonnull begin

/// A fixed number of threads that start and end each piece of work together.
///
/// Waiting threads spin for some microseconds and then sleep, so that a piece of work costs under a microsecond to hand out and an
/// idle team costs nothing.
typedef struct platform_team platform_team;

/// A team of `threads`, the caller of `platform_team_run` included; NULL where memory or threads are not to be had.
platform_team *_Nullable platform_team_create(int threads);

/// The number of its threads.
int platform_team_size(const platform_team *team);

/// Ends the team's threads. No piece of work may be under way.
void platform_team_destroy(platform_team *team);

/// Calls `body(context, part)` for each part in 0 ..< threads, part 0 on the calling thread, and returns when all have
/// returned. Callers from several threads take turns. Numbers below the normal range count as zero inside of `body`
/// (flush-to-zero and denormals-are-zero): on some processors each costs a hundred cycles.
void platform_team_run(platform_team *team, void (*body)(void *context, int part), void *context);

/// Inside of `body`: returns when every part has called it.
void platform_team_barrier(platform_team *team);

/// `bytes` of zeroes, at a multiple of 2 MiB and, where the system grants them, in huge pages; NULL where memory is not to
/// be had.
void *_Nullable platform_allocate_huge(size_t bytes);

void platform_free_huge(void *memory, size_t bytes);

#pragma clang assume_nonnull end
