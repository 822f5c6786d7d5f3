#pragma once
#include <stddef.h>

#pragma clang assume_nonnull begin

/// What a confined process may still use.
typedef struct {
  /// Bytes of address space beyond what it has mapped when it is confined.
  size_t memory;
  /// Seconds of processor time in all, of which some are spent by then.
  unsigned processor_milliseconds;
} platform_limits;

/// Confines the calling process for good, all its threads: it may read and write descriptor 0 and read descriptor 3 at offsets,
/// ask for memory and end. All else, as opening a file, a socket, another process or program, or making memory executable, fails
/// with EPERM. Descriptors from 4 on are closed; no signal has a handler, files cannot grow, no core is dumped, nobody may attach to it.
///
/// Returns NULL, or what was refused, its `errno` in `error`: then the process is confined in part, and should end. Linux
/// on x86-64 and arm64 only; elsewhere always refused.
const char *_Nullable platform_confine(platform_limits limits, int *error);

#pragma clang assume_nonnull end
