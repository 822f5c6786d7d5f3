#pragma once

#include "worker_team.h"

/// The number of processors in this process's affinity mask (`sched_getaffinity`, which Glibc shows only under
/// `_GNU_SOURCE`, and whose mask Swift cannot count); 0 where it cannot be read.
int platform_affinity_count(void);
