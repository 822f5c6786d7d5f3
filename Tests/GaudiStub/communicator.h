// HCCL's ranks: processes that meet in a file of shared memory, where everything between them is polled.
//
// It is the way of the stand-in for NCCL (Tests/CUDAEmulator/nccl_communicator.h), in C.
#pragma once

#include <stdatomic.h>

#include "stream.h"

#pragma GCC visibility push(hidden)

enum { most_ranks = 64, chunk_bytes = 256 << 10 };

// left: after its last collective. aborted: at any time.
enum stage { stage_absent, stage_joined, stage_left, stage_aborted };

// A collective goes by chunks. In each step a rank writes its chunk when all have taken the last ones, and takes the
// others' when all have written.
struct member {
  _Alignas(64) _Atomic int stage;
  _Atomic int process;
  _Atomic uint64_t written, taken;  // steps
  // Of the collective that the chunk belongs to.
  uint64_t count;
  int type, kind;  // kind: the reduction, or 16 and the root of a broadcast
};

/// The file; it begins as zeros, and the members' chunks follow.
struct meeting {
  _Atomic int ranks;  // 0 until the first has joined
  _Atomic int error;  // an hcclResult_t that all are told; set once, after the text and the fault
  int fault;
  char text[240];
  struct member members[most_ranks];
};

struct communicator {
  hcclComm_t handle;
  unsigned references;  // its handle, and collectives that are not yet done
  int rank, ranks;
  char path[128];
  pid_t process;
  int file;
  struct meeting *meeting;  // NULL: this rank has left
  size_t mapped;
  hcclResult_t error;  // sticky
  bool is_finalized, is_aborted;
  uint64_t collectives, step;  // those begun
  struct marker last;          // the latest collective in a stream: they happen one after another
};

/// A path for a new meeting; empty where there can be none.
void new_meeting_path(char *out, size_t bytes);
bool is_meeting_path(const char *path, size_t bytes);

/// Takes the rank's place in the file, which it makes where it is the first.
hcclResult_t join_meeting(struct communicator *communicator);
void leave_meeting(struct communicator *communicator, enum stage stage);

/// hcclSuccess: all have joined. hcclBusy: not yet. Else what is wrong, which then stays so.
hcclResult_t check_meeting(struct communicator *communicator);

/// Tells all ranks of an error.
void fail_meeting(struct communicator *communicator, enum fault fault, hcclResult_t result, const char *text);

char *chunk_of(const struct communicator *communicator, int rank);

void release_communicator(struct communicator *communicator);

/// Gives up all communicators of this process. Returns how many there were.
size_t leave_all_communicators(void);

/// The communicator, where collectives can be asked of it.
struct communicator *find_communicator(hcclComm_t handle, hcclResult_t *result);

/// Puts a collective's work into its stream, behind the communicator's last.
hcclResult_t start_collective(struct communicator *communicator, struct stream *stream, const struct task *task);

/// Starts it now, or where a group is open, when it ends.
hcclResult_t submit_collective(struct communicator *communicator, struct stream *stream, const struct task *task);

#pragma GCC visibility pop
