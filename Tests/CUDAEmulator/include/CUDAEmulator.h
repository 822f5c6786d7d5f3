/// A CUDA driver without a GPU: `libcuda.so.1` for tests, whose kernels run on the processor and are checked while they do. It is `libnccl.so.2` too.
///
/// Whoever opens this library finds the driver API under its own names, and runs the kernels of `kernel_list.h` and those named below, whatever
/// image it loads: what is inside an image cannot be looked at here. What a kernel may not do (`emulator.h`) is a violation: the call that waits
/// for it returns 700 (illegal address), 716 (misaligned) or 719 (anything else), as does every later one, until the primary context is
/// released or reset.
///
/// Work is done as late as CUDA allows: what a stream is told runs when somebody waits for it (a stream, an event, a blocking call). Copies to the
/// device read pinned memory then, and pageable memory at once; copies to the host write pinned memory then, and pageable memory at once.
/// Device and pinned memory start as bytes of 0xff; addresses are never used twice. `cuStreamQuery` and `cuEventQuery` run what can be run of that
/// work without waiting for another process, and then say whether it is done.
///
/// NCCL has the functions ncclGetVersion, ncclGetUniqueId, ncclCommInitRankConfig, ncclCommGetAsyncError, ncclAllReduce, ncclCommFinalize,
/// ncclCommDestroy, ncclCommAbort, ncclCommCount, ncclCommUserRank, ncclCommCuDevice, ncclGroupStart, ncclGroupEnd, ncclGetErrorString and
/// ncclGetLastError, which gives the text of `emulator_violation`. Ranks are processes of this machine, or threads of one; that each has a device
/// of its own is not checked. They meet in a file of /dev/shm (else of TMPDIR), which has no name any more when all have joined.
///
///   * A communicator that does not block (its configuration says 0) does nothing by itself: ncclCommInitRankConfig, ncclAllReduce,
///     ncclGroupEnd and ncclCommFinalize return ncclInProgress, and ncclCommGetAsyncError goes on with what was begun until it gives ncclSuccess. A
///     sum is in its stream only then; whoever waits for the stream earlier does not wait for the sum. Before it, the communicator can only be
///     asked or aborted: all else is refused as ncclInvalidArgument.
///   * ncclAllReduce adds floats or doubles (ncclSum; ncclAvg of one rank), in their type and in the order of ranks. A sum is a stream's work, one of
///     a communicator after the other, and done when every rank's stream runs it: that is, is waited for or queried. Who waits for work that
///     waits for another rank lets the other threads go on, and the work of all other streams happen. In a capture it is refused.
///   * A sum whose ranks disagree about count or type, two ranks of one number, and different numbers of ranks are ncclInvalidUsage for all, by
///     ncclCommGetAsyncError; a rank that has aborted, whose process has ended before ncclCommFinalize was done, or that has left before a sum,
///     is ncclRemoteError for the others. Such an error stays, ncclCommDestroy is refused then, and a sum under way is never done until
///     ncclCommAbort ends it: it leaves no result, and its stream goes on without an error.
///   * ncclCommFinalize is done when this rank's sums are; ncclCommDestroy waits for that.
///
/// Environment, read by `cuInit`:
///
///     CUDA_EMULATOR_MEMORY      bytes of memory a device has; 4 GiB
///     CUDA_EMULATOR_DEVICES     how many devices; 1
///     CUDA_EMULATOR_CAPABILITY  whose limits they have: 7.5, 8.0, 8.6, 8.9, 9.0, 10.0, 12.0; 9.0
///     CUDA_EMULATOR_MULTIPROCESSORS  of each; 132. Few make kernels of large tiles the choice for small batches
///     CUDA_EMULATOR_LAUNCHES    a file that a line is added to behind each launch, as emulator_counters has them
///     CUDA_EMULATOR_SEED        as `emulator_seed`; 1
///     CUDA_EMULATOR_EARLY       1: by chance work is done as early as CUDA allows: when a stream is told, if what it waits for is done
///     CUDA_EMULATOR_RACES       0: accesses are not checked for their order, which is faster
///     CUDA_EMULATOR_FAIL        a call, what it returns, and when, as `emulator_fail` has them: `cuLaunchKernel:719:5`
///     CUDA_VISIBLE_DEVICES      as the driver has it: a list of numbers, which ends before the first that is no device
///
/// The functions here work on the copy of the library that they were found in: a program that opened it asks `dlsym` for them.
/// Text is valid until the next call of the same function.
///
/// Kernels for tests of the emulator (`selftest_kernels.h`): blocks of 64 threads, one parameter {uint32_t* data; int32_t count, unused},
/// 1024 bytes of shared memory. `test_right` adds 1 to each of data[0 ..< count], by every operation there is, one block a 64 of them.
/// The others do what their names say: test_race_shared, test_race_warp, test_race_global, test_in_flight, test_left_in_flight,
/// test_divergent_barrier, test_divergent_warp, test_not_same, test_deadlock, test_outside, test_outside_shared, test_misaligned,
/// test_little_shared; but test_again is right, and touches most of its words more than once. Those of products of a warpgroup take 128 threads and
/// 16384 bytes: `test_products` stores 1 to data[0 ..< 128], and `test_products_…`, of which there are 20, each err in one thing.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What went wrong last: a kernel's violation (kernel, block, thread, file:line, what), or why a call was refused. Empty where nothing did.
const char* emulator_violation(void);

/// Forgets the violation, the error that followed it, planted faults, recorded sites, failures to come, counters, and what was left behind.
void emulator_reset(void);

/// Decides in which order threads run.
void emulator_seed(uint64_t seed);

/// Whether matrix products round sums towards zero, as tensor cores may, instead of to nearest.
void emulator_truncate_sums(int on);

/// Begins (and forgets what was) or ends the recording of places where a kernel can be made to err.
void emulator_record_sites(int on);

/// They, a line each: "kernel\tkind\tfile:line\n", where kind is barrier, syncWarp, wait, index, predicate or fence (`faults.h`).
const char* emulator_sites(void);

/// Makes one of them err from now on; null or empty: none. Returns 0 where the line is not one.
int emulator_plant(const char* site);

/// Announces a part of an allocation: from then on kernels may touch nothing of it but the parts announced, and copies must stay within one
/// (or take the whole allocation). A part replaces those that it touches. 0 bytes: the allocation is no longer divided.
/// Returns 0 where the part is not inside an allocation. Leave a gap behind each part, or what runs over its end lands in the next.
int emulator_divide(uint64_t address, size_t bytes, const char* name);

/// By kernel, a line each:
/// "kernel\tlaunches\tbytes read\tbytes written\tdistinct read\tdistinct written\tmultiply-adds\tmatrix wavefronts\tmatrix rows\twarpgroup bytes\n".
/// Bytes are of global memory, as threads ask for them. Distinct ones are what a cache that holds everything for as long as a launch would leave to
/// the memory: each word of four bytes once a launch, and not read where the launch had written it; 0 where accesses are not checked. Wavefronts
/// equal rows where loadMatrix has no bank conflicts; a row is 128 bytes of shared memory, and warpgroup bytes are what warpgroupMultiply reads
/// there.
const char* emulator_counters(void);

/// The `after`-th next call of a function of the driver (1: the next; with or without its _v2) or of NCCL that returns an error code returns
/// `result` and does nothing; once.
void emulator_fail(const char* call, int result, int after);

/// What is alive, a line each: "kind\thandle or address\tbytes\n"; and, marked "leaked ", what only the end of its context destroyed.
const char* emulator_live(void);

#ifdef __cplusplus
}
#endif
