// What a confined process cannot do, tried by one.
#pragma once

/// Forks; the new process confines itself as the reader of HDF5 files does and tries the thing of this name: "socket", "connect",
/// "open-to-read", "open-to-write", "execve", "fork", "kill", "ptrace", "memory" (more than it may have), "executable-memory",
/// "write-elsewhere", "read-elsewhere"; or "read-3" and "write-0", which it may. Returns the `errno` that it met, 0 where it was let, -1 where there is no
/// such thing, -2 where it could not be confined, -3 where it died.
int confinement_probe(const char *thing);
