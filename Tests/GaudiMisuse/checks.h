// What a check is, and what the processes of a run share.
#pragma once

#include <stdatomic.h>

#include "synapse.h"

/// What a call is to return, and the kind of misuse that the stub is to name: "" where there is none.
struct expectation {
  int64_t value;
  const char *kind;
};
static const struct expectation accepted = {synSuccess, ""};
static inline struct expectation refused(int status, const char *kind) { return (struct expectation){status, kind}; }
/// Misuse that the real library lets pass, and the stub too; it is only named.
static inline struct expectation noted(const char *kind) { return (struct expectation){synSuccess, kind}; }
/// A value that is no refusal.
static inline struct expectation returns(int64_t value) { return (struct expectation){value, ""}; }

#define CHECK(call, ...) check(__FILE__, __LINE__, #call, (call), __VA_ARGS__)
void check(const char *file, int line, const char *call, int64_t value, struct expectation expected);

/// What the checks that follow are about, for those that come from a table; "" for none.
void checking(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Counts a failure that is no check's, and prints it.
void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// The process: one of those of a scenario.
struct self {
  int rank, processes;
  bool is_early;  // GAUDI_STUB_EARLY
};
extern struct self self;

enum { most_kinds = 256, most_identifiers = 64 };

/// Shared by all processes: a file of the run's folder.
struct board {
  _Atomic int checks, failed;
  _Atomic bool was_provoked[most_kinds];  // by the place in gaudi_stub_fault_kinds
  _Atomic int arrived;                    // at meet(), in this scenario
  _Atomic int identifier_count;           // of HCCL, in this run
  hcclUniqueId identifiers[most_identifiers];
  int64_t deadline;  // of the run, in seconds of CLOCK_MONOTONIC
};
extern struct board *board;

/// Maps the board of the folder, which is made where it is not there.
void open_board(const char *folder);

/// Where a kind stands in gaudi_stub_fault_kinds; -1 where the stub has no such kind.
int place_of_kind(const char *kind);

/// The folder of this run. What is put there is removed at its end.
const char *run_folder(void);

/// Waits until all processes of the scenario have called it as often.
void meet(void);

int64_t now_in_seconds(void);
