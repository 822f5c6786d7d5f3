#define _GNU_SOURCE
#include "checks.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct self self;
struct board *board;
static char subject[200];

int place_of_kind(const char *kind) {
  const char *const *names;
  const size_t count = api.gaudi_stub_fault_kinds(&names);
  for (size_t i = 0; i < count; i++)
    if (!strcmp(names[i], kind)) return (int)i;
  return -1;
}

void checking(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(subject, sizeof subject, format, arguments);
  va_end(arguments);
}

void fail(const char *format, ...) {
  board->failed++;
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
}

static const char *or_nothing(const char *kind) { return *kind ? kind : "nothing"; }

void check(const char *file, int line, const char *call, int64_t value, struct expectation expected) {
  const char *found = api.gaudi_stub_last_fault();
  const char *forgotten = getenv("MISUSE_FORGET");
  const bool is_forgotten = forgotten && *forgotten && !strcmp(forgotten, expected.kind);
  if (!is_forgotten) {
    board->checks++;
    const int place = place_of_kind(expected.kind);
    if (*expected.kind && place < 0) fail("%s:%d: the stub has no kind %s", file, line, expected.kind);
    else if (value != expected.value || strcmp(found, expected.kind))
      fail("%s:%d: %s%s%s: expected %" PRId64 " and %s, found %" PRId64 " and %s (%s)", file, line, subject,
           *subject ? ": " : "", call, expected.value, or_nothing(expected.kind), value, or_nothing(found),
           api.gaudi_stub_last_text());
    else if (place >= 0) board->was_provoked[place] = true;
  }
  // What comes next begins with nothing: so whatever is accepted must have left nothing either.
  api.gaudi_stub_forget();
}

const char *run_folder(void) { return getenv("GAUDI_STUB_RUN"); }

void open_board(const char *folder) {
  char path[4200];
  snprintf(path, sizeof path, "%s/board", folder);
  const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void *memory = MAP_FAILED;
  if (file >= 0 && !ftruncate(file, sizeof *board))
    memory = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) {
    perror(path);
    exit(2);
  }
  close(file);
  board = memory;
}

int64_t now_in_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

void meet(void) {
  static int times;
  times++;
  board->arrived++;
  const int64_t begin = now_in_seconds();
  while (board->arrived < times * self.processes) {
    if (now_in_seconds() - begin > 4) {
      fail("rank %d: the others did not come to meeting %d", self.rank, times);
      exit(0);
    }
    usleep(200);
  }
}
