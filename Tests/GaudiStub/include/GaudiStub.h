/// A libSynapse.so without a Gaudi, for tests: the syn* and hccl* functions under their own names, on the processor.
///
/// Whoever opens this library finds what chexnet asks libSynapse.so for. It refuses what the real library refuses, with
/// the status that the public sources show, and also what the real library would silently misread; it runs the recipes
/// with arithmetic of its own. Each refusal has a kind, whose name is stable, and a sentence.
///
/// Work is done as late as the interface allows: what a stream is told happens when somebody waits for it. The first
/// query of something unfinished says synBusy and only then goes on with it. Device memory and memory of synHostMalloc
/// start as bytes of 0xff, as does the workspace of every launch; device addresses are no pointers of the process and
/// are never used twice. Work of two streams that touches the same memory, without an event or a waiting host between
/// them, is refused.
///
/// HCCL: ranks are processes of this machine. They meet in a file of /dev/shm (else of TMPDIR), which has no name any
/// more when all have joined. Sums are formed in the order of ranks. A rank that ends, aborts or disagrees is told to
/// the others by hcclCommGetAsyncError; a stream that waits for it stays busy until hcclCommAbort.
///
/// Environment, read by synInitialize:
///
///     GAUDI_STUB_EARLY         1: work is done when a stream is told, if what it waits for is done
///     GAUDI_STUB_DEVICES       how many modules there are; 1, at most 8
///     GAUDI_STUB_TYPE          2 (Gaudi), 4 (Gaudi 2) or 5 (Gaudi 3); 4
///     GAUDI_STUB_MEMORY        bytes of device memory; 4 GiB
///     GAUDI_STUB_VERSION       what synDriverGetVersion says; recipe files of another version are refused
///     GAUDI_STUB_RUN           the folder of the files that say which module is held; /dev/shm
///     GAUDI_STUB_TAKEN         1: every module is held by somebody else
///     GAUDI_STUB_FAIL_COMPILE  a guid: graphs that have it cannot be compiled
///     GAUDI_STUB_FAIL_LAUNCH   n: the n-th launch fails when it is done; who waits next is told synDeviceReset
///     GAUDI_STUB_VERBOSE       1: every refusal is written to standard error
///     GAUDI_STUB_PATIENCE      seconds that hcclCommInitRank waits for the other ranks; 60
///     HABANA_VISIBLE_MODULES   a list of module numbers, such as 0,2: only those are there
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The kind of the last refusal; empty where there was none.
const char *gaudi_stub_last_fault(void);

/// What it was about, in a sentence. Valid until the next call of this function by any thread.
const char *gaudi_stub_last_text(void);

/// Forgets the last refusal and the counters.
void gaudi_stub_forget(void);

/// All kinds there are, so that a test can show that each was provoked. Returns how many.
size_t gaudi_stub_fault_kinds(const char *const **names);

/// The size of a structure of the interface ("synLaunchTensorInfo"), or the offset of a part
/// ("synLaunchTensorInfo.tensorId"), or the value of a named number ("syn_type_float"), as this library understands
/// them. SIZE_MAX: it knows no such name.
size_t gaudi_stub_layout(const char *name);

struct gaudi_stub_counts {
  uint64_t launches;  // done
  uint64_t nodes;     // computed
  uint64_t bytes_copied;
  uint64_t compiles;
  uint64_t deserializes;
  uint64_t collectives;  // done
};
void gaudi_stub_counters(struct gaudi_stub_counts *counts);

/// What the library knows of one operator, for a test that compares it with the lowering's own table.
struct gaudi_stub_rule {
  const char *guid;
  uint32_t inputs_least, inputs_most, outputs_least, outputs_most;
  uint32_t parameter_bytes[3];  // the sizes that are taken, 0: none; unused entries repeat the first
  const char *source;           // the public source that the row was read from
};
const struct gaudi_stub_rule *gaudi_stub_rules(size_t *count);

#ifdef __cplusplus
}
#endif
