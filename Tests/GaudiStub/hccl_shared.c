// The file that ranks share, who is in it, and who is alive.
#define _GNU_SOURCE  // locks that belong to an open file
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "communicator.h"

static const char file_prefix[] = "/gaudi-stub-hccl-";

void new_meeting_path(char *out, size_t bytes) {
  const char *temporary = getenv("TMPDIR"), *folder = "/dev/shm";
  if (access(folder, W_OK | X_OK)) folder = temporary && *temporary ? temporary : "/tmp";
  uint64_t random[2];
  *out = 0;
  if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) return;
  const int written = snprintf(out, bytes, "%s%s%016llx%016llx", folder, file_prefix, (unsigned long long)random[0],
                               (unsigned long long)random[1]);
  if (written < 0 || (size_t)written >= bytes) *out = 0;
}

bool is_meeting_path(const char *path, size_t bytes) {
  return memchr(path, 0, bytes) && path[0] == '/' && strstr(path, file_prefix);
}

static size_t header_bytes(void) { return (sizeof(struct meeting) + 4095) / 4096 * 4096; }

char *chunk_of(const struct communicator *communicator, int rank) {
  return (char *)communicator->meeting + header_bytes() + (size_t)rank * chunk_bytes;
}

// MARK: Locks

// Of bytes of the file: each rank holds that of its number for as long as its process lives, and this one while it
// changes who takes part. (A process that was killed still has its number until somebody waits for it; its locks are
// gone.)
enum { entrance = most_ranks };

// The lock's type afterwards: of a question, F_UNLCK where nobody else holds it. -1: it failed.
static int lock_byte(int file, int command, int byte, int type) {
  struct flock lock = {.l_type = (short)type, .l_start = byte, .l_len = 1};
  while (fcntl(file, command, &lock))
    if (errno != EINTR) return -1;
  return lock.l_type;
}

static bool is_joined(const struct communicator *communicator, int rank) {
  return communicator->meeting->members[rank].stage == stage_joined;
}

static bool has_died(const struct communicator *communicator, int other) {
  // Who leaves says so before it gives up its lock: so it is asked again.
  return other != communicator->rank && is_joined(communicator, other) &&
         lock_byte(communicator->file, F_OFD_GETLK, other, F_WRLCK) == F_UNLCK && is_joined(communicator, other);
}

// MARK: Errors

// With the entrance locked.
static void announce(struct meeting *meeting, enum fault fault, hcclResult_t result, const char *text) {
  if (meeting->error) return;
  snprintf(meeting->text, sizeof meeting->text, "%s", text);
  meeting->fault = fault;
  meeting->error = result;
}

void fail_meeting(struct communicator *communicator, enum fault fault, hcclResult_t result, const char *text) {
  lock_byte(communicator->file, F_OFD_SETLKW, entrance, F_WRLCK);
  announce(communicator->meeting, fault, result, text);
  lock_byte(communicator->file, F_OFD_SETLK, entrance, F_UNLCK);
}

__attribute__((format(printf, 4, 5))) static hcclResult_t fail(struct communicator *communicator, enum fault fault,
                                                               hcclResult_t result, const char *format, ...) {
  char text[300];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return communicator->error =
             refuse_hccl(fault, result, "rank %d of %d: %s", communicator->rank, communicator->ranks, text);
}

// nccl's remoteError has no equal among hcclResult_t: a process that has ended closes its sockets.
hcclResult_t check_meeting(struct communicator *communicator) {
  struct meeting *meeting = communicator->meeting;
  if (communicator->error || !meeting) return communicator->error;
  if (meeting->error)
    return fail(communicator, (enum fault)meeting->fault, (hcclResult_t)meeting->error, "%s", meeting->text);
  bool is_complete = true;
  for (int other = 0; other < communicator->ranks; other++) {
    const struct member *member = &meeting->members[other];
    const int stage = member->stage;
    if (stage == stage_aborted)
      return fail(communicator, fault_hccl_rank_aborted, hcclInternalError, "rank %d has aborted", other);
    // What it has written can be read even after it has left.
    if (stage == stage_left && member->written < communicator->step)
      return fail(communicator, fault_hccl_rank_left, hcclInternalError, "rank %d has left before collective %llu",
                  other, (unsigned long long)communicator->collectives);
    if (has_died(communicator, other))
      return fail(communicator, fault_hccl_rank_ended, hcclSocketError, "the process of rank %d has ended", other);
    is_complete &= stage != stage_absent;
  }
  return is_complete ? hcclSuccess : hcclBusy;
}

// MARK: Joining and leaving

static void forget(struct communicator *communicator) {
  if (communicator->meeting) munmap(communicator->meeting, communicator->mapped);
  if (communicator->file >= 0) close(communicator->file);  // and its locks
  communicator->meeting = NULL;
  communicator->file = -1;
}

static hcclResult_t no_memory(const struct communicator *communicator) {
  return refuse_hccl(fault_hccl_shared_memory, hcclSystemError, "no shared memory at %s: %s", communicator->path,
                     strerror(errno));
}

// With the entrance locked.
static hcclResult_t enter(struct communicator *communicator) {
  const bool is_first = communicator->mapped == 0;
  if (is_first) communicator->mapped = header_bytes() + (size_t)communicator->ranks * chunk_bytes;
  void *memory = MAP_FAILED;
  if (!is_first || !posix_fallocate(communicator->file, 0, (off_t)communicator->mapped))
    memory = mmap(NULL, communicator->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, communicator->file, 0);
  if (memory == MAP_FAILED) {
    if (is_first) unlink(communicator->path);
    return no_memory(communicator);
  }
  struct meeting *meeting = communicator->meeting = memory;
  if (is_first) meeting->ranks = communicator->ranks;
  char text[200];
  const int rank = communicator->rank, ranks = communicator->ranks, told = meeting->ranks;
  if (told != ranks) {
    snprintf(text, sizeof text, "rank %d was told of %d ranks, others of %d", rank, ranks, told);
    announce(meeting, fault_hccl_ranks, hcclInvalidUsage, text);
    return refuse_hccl(fault_hccl_ranks, hcclInvalidUsage, "%s", text);
  }
  if (meeting->members[rank].stage != stage_absent) {
    snprintf(text, sizeof text, "there are two ranks %d", rank);
    announce(meeting, fault_hccl_rank_taken, hcclInvalidUsage, text);
    return refuse_hccl(fault_hccl_rank_taken, hcclInvalidUsage, "%s", text);
  }
  for (int other = 0; other < ranks; other++)
    if (is_joined(communicator, other) && meeting->members[other].process == getpid())
      return refuse_hccl(fault_hccl_device_twice, hcclInvalidUsage,
                         "rank %d is of this process too, which has one device", other);
  if (lock_byte(communicator->file, F_OFD_SETLK, rank, F_WRLCK) == -1) return no_memory(communicator);
  meeting->members[rank].process = communicator->process = getpid();
  meeting->members[rank].stage = stage_joined;
  bool is_complete = true;
  for (int other = 0; other < ranks; other++) is_complete &= meeting->members[other].stage != stage_absent;
  if (is_complete) unlink(communicator->path);
  return hcclSuccess;
}

hcclResult_t join_meeting(struct communicator *communicator) {
  for (;;) {
    communicator->file = open(communicator->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (communicator->file < 0) return no_memory(communicator);
    struct stat status;
    if (lock_byte(communicator->file, F_OFD_SETLKW, entrance, F_WRLCK) == -1 || fstat(communicator->file, &status)) {
      forget(communicator);
      return no_memory(communicator);
    }
    if (status.st_nlink == 0) {  // removed since it was opened
      forget(communicator);
      continue;
    }
    communicator->mapped = (size_t)status.st_size;
    const hcclResult_t result = enter(communicator);
    if (result) forget(communicator);
    else lock_byte(communicator->file, F_OFD_SETLK, entrance, F_UNLCK);
    return result;
  }
}

void leave_meeting(struct communicator *communicator, enum stage stage) {
  if (stage == stage_aborted) communicator->is_aborted = true;
  // A fork of the process that joined has no part in this.
  if (!communicator->meeting || communicator->process != getpid()) return;
  lock_byte(communicator->file, F_OFD_SETLKW, entrance, F_WRLCK);
  communicator->meeting->members[communicator->rank].stage = stage;
  bool is_awaited = false, is_needed = false;
  for (int other = 0; other < communicator->ranks; other++) {
    is_awaited |= communicator->meeting->members[other].stage == stage_absent;
    is_needed |= is_joined(communicator, other) && !has_died(communicator, other);
  }
  if (is_awaited && !is_needed) unlink(communicator->path);
  forget(communicator);
}
