/// A disk that fails when it is told to: a library to be preloaded (`LD_PRELOAD`) by a program under test.
///
/// It stands before the calls by which files change (`faulty_disk.c` lists them), and counts those that have to do with files inside a
/// folder. What it does is told by environment variables:
///
///     FAULTY_DISK_FOLDER  the folder, an absolute path without links
///     FAULTY_DISK_LOG     a file outside of it, to which each call adds a line before it is made: `write 512 /path/of/the/file`
///     FAULTY_DISK_AT      which call fails, from 1; without it none does
///     FAULTY_DISK_FAULT   how: `eio` (it alone, with EIO), `enospc` (it and all behind it that need space, with ENOSPC; a write takes half
///                         of its bytes first), `kill` (SIGKILL before it), `stop` (SIGSTOP before it), `kill-half` (SIGKILL when half of a write's bytes are written)
#pragma once
