#pragma once
#include <sys/types.h>

#pragma clang assume_nonnull begin

/// Starts `program`, whose descriptor 0 is `socket`, 1 and 2 lead nowhere, and 3 is `file`, in a process group of its own (a Ctrl-C
/// that we handle is not its end), with no signal blocked or ignored. `arguments` and `environment` end with NULL.
///
/// Returns 0 and its process id in `child`, or an `errno`.
int platform_spawn(
    pid_t *child, const char *program, char *_Nullable const *_Nonnull arguments,
    char *_Nullable const *_Nonnull environment, int socket, int file);

/// Starts `program` in a process group of its own, with no signal blocked or ignored, without input; its descriptors 1 and 2 are `output` and `errors`, which
/// close in it.
///
/// Returns 0 and its process id in `child`, or an `errno`.
int platform_launch(
    pid_t *child, const char *program, char *_Nullable const *_Nonnull arguments,
    char *_Nullable const *_Nonnull environment, int output, int errors);

/// A pipe that programs which are started do not get: its end to read from, and to write to; 0 or an `errno`.
int platform_pipe(int ends[_Nonnull 2]);

/// A connected pair of stream sockets, closed in programs that are started; 0 or an `errno`. Writing to one whose other end is closed
/// fails with EPIPE and sends no signal, where `platform_send` does it.
int platform_socket_pair(int sockets[_Nonnull 2]);

/// `send` without SIGPIPE: the number of bytes, or -1 and `errno`.
ssize_t platform_send(int socket, const void *bytes, size_t count);

/// How a process ended, of the status that `waitpid` gives: the number of the signal, or 0.
int platform_ended_by_signal(int status);
/// Its exit status.
int platform_exit_status(int status);

#pragma clang assume_nonnull end
