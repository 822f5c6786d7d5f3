#pragma once

#include "child_process.h"
#include "confine.h"
#include "worker_team.h"

/// The number of processors in this process's affinity mask (`sched_getaffinity`, which Glibc shows only under
/// `_GNU_SOURCE`, and whose mask Swift cannot count); 0 where it cannot be read.
int platform_affinity_count(void);

/// Asks the system to begin writing `count` bytes from `offset` of an open file to the disk, without waiting for it
/// (`sync_file_range`, which Glibc shows only under `_GNU_SOURCE`). A hint: it promises nothing, and failing is no error.
void platform_begin_writeback(int descriptor, long offset, long count);
