#define _GNU_SOURCE
#include "confinement_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"

enum { NO_SUCH_THING = 200, UNCONFINED = 201 };

/// The `errno` of trying it, or 0.
static int attempt(const char *thing) {
  static char *const arguments[] = {"true", NULL};
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/nowhere"};
  char byte = 0;
  long result = 0;
  if (strcmp(thing, "socket") == 0) result = socket(AF_INET, SOCK_STREAM, 0);
  else if (strcmp(thing, "connect") == 0) result = connect(0, (struct sockaddr *)&address, sizeof address);
  else if (strcmp(thing, "open-to-read") == 0) result = open("/etc/passwd", O_RDONLY);
  else if (strcmp(thing, "open-to-write") == 0) result = open("/tmp/chexnet-was-here", O_WRONLY | O_CREAT, 0600);
  else if (strcmp(thing, "execve") == 0) result = execve("/bin/true", arguments, arguments + 1);
  // By the system call: Glibc's fork would do more before.
  else if (strcmp(thing, "fork") == 0) result = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  else if (strcmp(thing, "kill") == 0) result = kill(getppid(), 0);
  else if (strcmp(thing, "ptrace") == 0) result = ptrace(PTRACE_TRACEME, 0, NULL, NULL);
  else if (strcmp(thing, "memory") == 0) {
    result = mmap(NULL, (size_t)2 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
  } else if (strcmp(thing, "executable-memory") == 0) {
    result = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
  } else if (strcmp(thing, "write-elsewhere") == 0) result = write(1, &byte, 0);
  else if (strcmp(thing, "read-elsewhere") == 0) result = pread(0, &byte, 1, 0);
  else if (strcmp(thing, "read-3") == 0) result = pread(3, &byte, 1, 0);
  else if (strcmp(thing, "write-0") == 0) result = write(0, &byte, 1);
  else return NO_SUCH_THING;
  return result < 0 ? errno : 0;
}

int confinement_probe(const char *thing) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) return -2;
  const pid_t child = fork();
  if (child == 0) {
    const int file = open("/dev/zero", O_RDONLY);
    dup2(sockets[1], 0);
    dup2(file, 3);
    int error = 0;
    const platform_limits limits = {.memory = (size_t)1 << 30, .processor_milliseconds = 20000};
    _exit(platform_confine(limits, &error) != NULL ? UNCONFINED : attempt(thing));
  }
  int status = 0;
  const int ended = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status);
  close(sockets[0]);
  close(sockets[1]);
  if (!ended) return -3;
  switch (WEXITSTATUS(status)) {
    case NO_SUCH_THING: return -1;
    case UNCONFINED: return -2;
    default: return WEXITSTATUS(status);
  }
}
