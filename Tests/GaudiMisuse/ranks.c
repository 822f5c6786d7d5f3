// HCCL: ranks that do not come, do not agree, end or leave.
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "subjects.h"

enum { sum_size = 1000, sum_bytes = sum_size * 4 };

// Each rank's.
static synStreamHandle stream;
static uint64_t from, to;
static hcclComm_t communicator;

static const void *pointer(uint64_t address) { return (const void *)(uintptr_t)address; }
static void *place(uint64_t address) { return (void *)(uintptr_t)address; }

static void begin_rank(void) {
  begin();
  stream = new_stream();
  from = new_device_memory(sum_bytes);
  to = new_device_memory(sum_bytes);
  CHECK(api.synMemsetD32Async(from, 0, sum_size, stream), accepted);
  CHECK(api.synStreamSynchronize(stream), accepted);
}

static void end_rank(void) {
  CHECK(api.synDeviceFree(0, from, 0), accepted);
  CHECK(api.synDeviceFree(0, to, 0), accepted);
  CHECK(api.synStreamDestroy(stream), accepted);
  end();
}

static hcclUniqueId new_identifier(void) {
  hcclUniqueId identifier = {{0}, 0};
  CHECK(api.hcclGetUniqueId(&identifier), accepted);
  // The run sees to it that nothing is left of it.
  const int count = board->identifier_count++;
  if (count < most_identifiers) board->identifiers[count] = identifier;
  else fail("there are more than %d identifiers", most_identifiers);
  return identifier;
}

// That of rank 0, in all ranks.
static hcclUniqueId shared_identifier(void) {
  if (self.rank == 0) new_identifier();
  meet();
  const hcclUniqueId identifier = board->identifiers[board->identifier_count - 1];
  meet();
  return identifier;
}

static int reduce(size_t count, int type, int reduction) {
  return api.hcclAllReduce(pointer(from), place(to), count, type, reduction, communicator, stream);
}

static int sum(void) { return reduce(sum_size, hcclFloat32, hcclSum); }

// MARK: One rank

static void check_identifiers(void) {
  hcclUniqueId identifier = {{0}, 0};
  CHECK(api.hcclCommInitRank(&communicator, 1, identifier, 0), refused(hcclInvalidArgument, "hccl-identifier"));
  identifier = new_identifier();
  CHECK(api.hcclCommInitRank(&communicator, 2, identifier, 2), refused(hcclInvalidArgument, "hccl-ranks"));
  CHECK(api.hcclCommInitRank(&communicator, 2, identifier, -1), refused(hcclInvalidArgument, "hccl-ranks"));
  CHECK(api.hcclCommInitRank(&communicator, 0, identifier, 0), refused(hcclInvalidArgument, "hccl-ranks"));
  // What an id says is the library's own affair; but here it must be one that leads nowhere.
  hcclUniqueId nowhere = identifier;
  const char folder[] = "/no/such/folder";
  const char *name = strrchr((const char *)identifier.internal, '/');
  if (!name) return fail("ids are no paths any more");
  memcpy(nowhere.internal, folder, sizeof folder);
  strcat((char *)nowhere.internal, name);
  nowhere.length = strlen((char *)nowhere.internal) + 1;
  CHECK(api.hcclCommInitRank(&communicator, 1, nowhere, 0), refused(hcclSystemError, "hccl-shared-memory"));
  CHECK(api.hcclCommInitRank(&communicator, 1, identifier, 0), accepted);
}

static void check_arguments(void) {
  const struct {
    const char *what;
    uint64_t from, to;
    size_t count;
    int type, reduction;
    struct expectation expected;
  } sums[] = {
      {"of floats", from, to, sum_size, hcclFloat32, hcclSum, accepted},
      {"of halves", from, to, sum_size, hcclBfloat16, hcclMax, accepted},
      {"in place", from, from, sum_size, hcclFloat32, hcclSum, accepted},
      {"of nothing", from, to, 0, hcclFloat32, hcclSum, accepted},
      {"as an average", from, to, sum_size, hcclFloat32, hcclAvg, refused(hcclUnsupported, "hccl-reduction")},
      {"as a product", from, to, sum_size, hcclFloat32, hcclProd, refused(hcclUnsupported, "hccl-reduction")},
      {"of integers", from, to, sum_size, hcclInt32, hcclSum, refused(hcclUnsupported, "hccl-data-type")},
      {"past the end", from, to + 4, sum_size, hcclFloat32, hcclSum, refused(hcclInvalidArgument, "hccl-buffer")},
      {"of the host's", (uint64_t)(uintptr_t)board, to, 4, hcclFloat32, hcclSum,
       refused(hcclInvalidArgument, "hccl-buffer")},
      {"not aligned", from + 2, to, 4, hcclFloat32, hcclSum, refused(hcclInvalidArgument, "hccl-buffer")},
      {"half in place", from, from + 4, sum_size - 1, hcclFloat32, hcclSum,
       refused(hcclInvalidArgument, "hccl-buffer-overlap")},
  };
  for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
    checking("a sum %s", sums[i].what);
    CHECK(api.hcclAllReduce(pointer(sums[i].from), place(sums[i].to), sums[i].count, sums[i].type, sums[i].reduction,
                            communicator, stream),
          sums[i].expected);
  }
  checking("%s", "");
  CHECK(api.hcclAllReduce(pointer(from), place(to), 4, hcclFloat32, hcclSum, communicator, NULL),
        refused(hcclStreamError, "hccl-stream"));
  CHECK(api.hcclAllReduce(pointer(from), place(to), 4, hcclFloat32, hcclSum, (hcclComm_t)stream, stream),
        refused(hcclInvalidArgument, "hccl-communicator"));
  CHECK(api.hcclBroadcast(pointer(from), place(to), 4, no_hccl_type, 0, communicator, stream),
        refused(hcclInvalidArgument, "hccl-data-type"));
  CHECK(api.hcclBroadcast(pointer(from), place(to), 4, hcclFloat32, 1, communicator, stream),
        refused(hcclInvalidArgument, "hccl-root"));
  CHECK(api.hcclBroadcast(pointer(from), place(to), 4, hcclFloat32, -1, communicator, stream),
        refused(hcclInvalidArgument, "hccl-root"));
  CHECK(api.hcclBroadcast(pointer(from), place(to), 4, hcclFloat32, 0, communicator, stream), accepted);
}

void misuse_one_rank(void) {
  begin_rank();
  check_identifiers();
  check_arguments();
  CHECK(api.hcclGroupEnd(), refused(hcclInvalidUsage, "hccl-group"));
  CHECK(api.hcclGroupStart(), accepted);
  CHECK(sum(), accepted);
  CHECK(api.hcclGroupEnd(), accepted);
  CHECK(api.hcclCommFinalize(communicator), accepted);
  CHECK(sum(), refused(hcclInvalidUsage, "hccl-finalized"));
  CHECK(api.hcclCommDestroy(communicator), accepted);
  CHECK(sum(), refused(hcclInvalidArgument, "hccl-communicator"));
  CHECK(api.hcclCommDestroy(communicator), refused(hcclInvalidArgument, "hccl-communicator"));
  CHECK(api.hcclCommAbort(communicator), refused(hcclInvalidArgument, "hccl-communicator"));
  CHECK(api.synStreamSynchronize(stream), accepted);
  end_rank();
}

// GAUDI_STUB_PATIENCE is 0.
void misuse_nobody_came(void) {
  begin_rank();
  CHECK(api.hcclCommInitRank(&communicator, 2, new_identifier(), 0), refused(hcclInternalError, "hccl-nobody-came"));
  // A process has one device, so it cannot be both ranks; in a group it would not have to wait for itself.
  const hcclUniqueId identifier = new_identifier();
  hcclComm_t second;
  CHECK(api.hcclGroupStart(), accepted);
  CHECK(api.hcclCommInitRank(&communicator, 2, identifier, 0), accepted);
  CHECK(api.hcclCommInitRank(&second, 2, identifier, 1), refused(hcclInvalidUsage, "hccl-device-twice"));
  CHECK(api.hcclGroupEnd(), refused(hcclInternalError, "hccl-nobody-came"));
  CHECK(api.hcclCommInitRank(&communicator, 1, new_identifier(), 0), accepted);
  CHECK(api.hcclCommDestroy(communicator), accepted);
  end_rank();
}

// MARK: Two ranks

// Two ranks that were told different things: whoever comes second is refused, and the first is told.
void misuse_joining(void) {
  const struct {
    const char *what;
    int ranks[2], rank[2];
    struct expectation expected;
  } meetings[] = {
      {"as they should", {2, 2}, {0, 1}, accepted},
      {"both as rank 0", {2, 2}, {0, 0}, refused(hcclInvalidUsage, "hccl-rank-taken")},
      {"of two and of three", {2, 3}, {0, 1}, refused(hcclInvalidUsage, "hccl-ranks")},
      {"the other way about", {2, 2}, {1, 0}, accepted},
  };
  begin_rank();
  for (size_t i = 0; i < sizeof meetings / sizeof *meetings; i++) {
    checking("ranks join %s", meetings[i].what);
    const hcclUniqueId identifier = shared_identifier();
    const int ranks = meetings[i].ranks[self.rank], rank = meetings[i].rank[self.rank];
    CHECK(api.hcclCommInitRank(&communicator, ranks, identifier, rank), meetings[i].expected);
    if (!meetings[i].expected.kind[0]) CHECK(api.hcclCommDestroy(communicator), accepted);
    meet();
  }
  checking("%s", "");
  end_rank();
}

/// What hcclCommGetAsyncError tells in the end; hcclSuccess where that is nothing.
static int await_error(void) {
  int error = hcclSuccess;
  for (const int64_t begin = now_in_seconds(); !error && now_in_seconds() - begin < 2; usleep(200))
    if (api.hcclCommGetAsyncError(communicator, &error)) break;
  return error;
}

static int end_process(void) { return kill(getpid(), SIGKILL); }
static int leave(void) { return api.hcclCommDestroy(communicator); }
static int stay_away(void) { return api.hcclCommAbort(communicator); }
static int sum_less(void) { return reduce(sum_size - 1, hcclFloat32, hcclSum); }
static int sum_halves(void) { return reduce(sum_size, hcclBfloat16, hcclSum); }
static int find_largest(void) { return reduce(sum_size, hcclFloat32, hcclMax); }
static int broadcast(void) {
  return api.hcclBroadcast(pointer(from), place(to), sum_size, hcclFloat32, 0, communicator, stream);
}

// What rank 1 does in the place of a second sum, when rank 0 has begun one, and what rank 0 is told of it. Where both
// have begun something, both are told.
static const struct breach {
  const char *what;
  int (*instead)(void);
  struct expectation expected;
  bool is_told_to_both;
} breaches[] = {
    {"adds as well", sum, {hcclSuccess, ""}, false},
    {"adds less", sum_less, {hcclInvalidUsage, "hccl-disagreement"}, true},
    {"adds halves", sum_halves, {hcclInvalidUsage, "hccl-disagreement"}, true},
    {"wants the largest", find_largest, {hcclInvalidUsage, "hccl-disagreement"}, true},
    {"broadcasts", broadcast, {hcclInvalidUsage, "hccl-disagreement"}, true},
    {"leaves", leave, {hcclInternalError, "hccl-rank-left"}, false},
    {"aborts", stay_away, {hcclInternalError, "hccl-rank-aborted"}, false},
    {"ends", end_process, {hcclSocketError, "hccl-rank-ended"}, false},  // the last: there is nobody any more
};

// What is unfinished stays so until the communicator is aborted.
static void check_broken(struct expectation expected) {
  const int error = await_error();
  CHECK(error, expected);
  if (error != expected.value) {  // so nothing may be broken, and what follows would wait
    api.hcclCommAbort(communicator);
    api.gaudi_stub_forget();
    return;
  }
  for (int i = 0; i < 3; i++) CHECK(api.synStreamQuery(stream), returns(synBusy));
  CHECK(sum(), returns(expected.value));
  CHECK(api.hcclCommDestroy(communicator), returns(expected.value));
  CHECK(api.hcclCommAbort(communicator), accepted);
  CHECK(api.synStreamSynchronize(stream), accepted);
  CHECK(sum(), refused(hcclInvalidArgument, "hccl-communicator"));
}

// Rank 1 is killed at the end.
void misuse_collectives(void) {
  begin_rank();
  for (size_t i = 0; i < sizeof breaches / sizeof *breaches; i++) {
    const struct breach *breach = &breaches[i];
    checking("rank 1 %s", breach->what);
    CHECK(api.hcclCommInitRank(&communicator, 2, shared_identifier(), self.rank), accepted);
    CHECK(sum(), accepted);
    CHECK(api.synStreamSynchronize(stream), accepted);
    if (self.rank == 0) CHECK(sum(), accepted);
    meet();
    if (self.rank == 1) CHECK(breach->instead(), accepted);
    if (!breach->expected.kind[0]) {
      CHECK(api.synStreamSynchronize(stream), accepted);
      CHECK(api.hcclCommDestroy(communicator), accepted);
    } else if (self.rank == 0 || breach->is_told_to_both) {
      check_broken(breach->expected);
    }
    if (breach->instead != end_process) meet();
  }
  checking("%s", "");
  end_rank();
}

// A sum that waits for another process is unfinished though work is early: so the kinds that need something unfinished
// can be had then too.
void misuse_unfinished_work(void) {
  begin_rank();
  void *host = new_host_memory(sum_bytes);
  char mapped[64];
  CHECK(api.synHostMap(0, sizeof mapped, mapped), accepted);
  CHECK(api.hcclCommInitRank(&communicator, 2, shared_identifier(), self.rank), accepted);
  if (self.rank == 0) {
    const synStreamHandle other = new_stream();
    const uint64_t elsewhere = new_device_memory(sum_bytes);
    CHECK(sum(), accepted);
    CHECK(api.synMemCopyAsync(stream, to, sum_bytes, (uint64_t)(uintptr_t)host, DRAM_TO_HOST), accepted);
    CHECK(api.synMemCopyAsync(stream, to, sizeof mapped, (uint64_t)(uintptr_t)mapped, DRAM_TO_HOST), accepted);
    CHECK(api.synStreamQuery(stream), returns(synBusy));
    CHECK(api.synStreamDestroy(stream), refused(synBusy, "stream-destroyed-busy"));
    CHECK(api.synDeviceFree(0, from, 0), refused(synFail, "device-memory-in-use"));
    CHECK(api.synHostFree(0, host, 0), refused(synFail, "host-memory-in-use"));
    CHECK(api.synHostUnmap(0, mapped), refused(synFail, "host-memory-in-use"));
    CHECK(api.synMemsetD8Async(to, 0, 1, other), refused(synFail, "unordered-access"));
    CHECK(api.synMemsetD8Async(elsewhere, 0, 1, other), accepted);
    CHECK(api.synMemCopyAsync(other, from, 4, elsewhere, DRAM_TO_DRAM), accepted);  // which the sum only reads
    CHECK(api.synStreamSynchronize(other), accepted);
    CHECK(api.synStreamDestroy(other), accepted);
    CHECK(api.synDeviceFree(0, elsewhere, 0), accepted);
  }
  meet();
  if (self.rank == 1) CHECK(sum(), accepted);
  CHECK(api.synStreamSynchronize(stream), accepted);
  CHECK(api.hcclCommDestroy(communicator), accepted);
  CHECK(api.synHostFree(0, host, 0), accepted);
  CHECK(api.synHostUnmap(0, mapped), accepted);
  end_rank();
}
