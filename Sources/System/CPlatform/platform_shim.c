#define _GNU_SOURCE
#include "platform_shim.h"
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
