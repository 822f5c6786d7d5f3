#define _GNU_SOURCE
#include "child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/// A process group of its own, and no signal blocked or ignored.
static int stand_alone(posix_spawnattr_t *attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  int error = posix_spawnattr_setflags(
      attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  if (error == 0) error = posix_spawnattr_setpgroup(attributes, 0);
  if (error == 0) error = posix_spawnattr_setsigmask(attributes, &none);
  if (error == 0) error = posix_spawnattr_setsigdefault(attributes, &all);
  return error;
}

static int spawn(
    pid_t *child, const char *program, char *const *arguments, char *const *environment, int socket, int file,
    posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes) {
  int error = stand_alone(attributes);
  if (error == 0) error = posix_spawn_file_actions_adddup2(actions, socket, 0);
  if (error == 0) error = posix_spawn_file_actions_adddup2(actions, file, 3);
  if (error == 0) error = posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
  if (error == 0) error = posix_spawn_file_actions_adddup2(actions, 1, 2);
  return error != 0 ? error : posix_spawn(child, program, actions, attributes, arguments, environment);
}

int platform_spawn(
    pid_t *child, const char *program, char *const *arguments, char *const *environment, int socket, int file) {
  // Copies with numbers that the new process does not use, so that none is overwritten before it is taken.
  const int socket_copy = fcntl(socket, F_DUPFD_CLOEXEC, 10);
  if (socket_copy < 0) return errno;
  int error = 0;
  const int file_copy = fcntl(file, F_DUPFD_CLOEXEC, 10);
  if (file_copy < 0) error = errno;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  if (error == 0) error = posix_spawn_file_actions_init(&actions);
  if (error == 0) {
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
      error = spawn(child, program, arguments, environment, socket_copy, file_copy, &actions, &attributes);
      posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
  }
  close(socket_copy);
  if (file_copy >= 0) close(file_copy);
  return error;
}

int platform_launch(
    pid_t *child, const char *program, char *const *arguments, char *const *environment, int output,
    int errors) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0) return error;
  error = posix_spawnattr_init(&attributes);
  if (error == 0) {
    error = stand_alone(&attributes);
    if (error == 0) error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, output, 1);
    if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, errors, 2);
    if (error == 0) error = posix_spawn(child, program, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

int platform_pipe(int ends[2]) {
  if (pipe(ends) != 0) return errno;
  for (int end = 0; end < 2; end++) fcntl(ends[end], F_SETFD, FD_CLOEXEC);
  return 0;
}

int platform_socket_pair(int sockets[2]) {
#ifdef SOCK_CLOEXEC
  return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0 ? 0 : errno;
#else
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) return errno;
  const int on = 1;
  for (int end = 0; end < 2; end++) {
    fcntl(sockets[end], F_SETFD, FD_CLOEXEC);
    setsockopt(sockets[end], SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
  }
  return 0;
#endif
}

ssize_t platform_send(int socket, const void *bytes, size_t count) {
#ifdef MSG_NOSIGNAL
  return send(socket, bytes, count, MSG_NOSIGNAL);
#else
  return send(socket, bytes, count, 0);
#endif
}

int platform_ended_by_signal(int status) { return WIFSIGNALED(status) ? WTERMSIG(status) : 0; }

int platform_exit_status(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 0; }
