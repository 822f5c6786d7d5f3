#define _GNU_SOURCE
#include "platform_shim.h"
#include <fcntl.h>
#include <sched.h>

int platform_affinity_count(void) {
#ifdef __linux__
  cpu_set_t mask;
  CPU_ZERO(&mask);
  return sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : 0;
#else
  return 0;
#endif
}

void platform_begin_writeback(int descriptor, long offset, long count) {
#ifdef __linux__
  (void)sync_file_range(descriptor, offset, count, SYNC_FILE_RANGE_WRITE);
#else
  (void)descriptor, (void)offset, (void)count;
#endif
}
