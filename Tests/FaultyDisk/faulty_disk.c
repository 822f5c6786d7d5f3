#define _GNU_SOURCE
#include "faulty_disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// The calls go on as system calls, not to Glibc's functions: nothing here waits for a lock or for `dlsym`.

static atomic_long calls;

enum verdict { PASS, FAIL, HALF };

/// Whether `path`, absolute, is inside the folder, or the folder itself.
static bool is_inside(const char *path) {
  const char *folder = getenv("FAULTY_DISK_FOLDER");
  if (folder == NULL) return false;
  const size_t length = strlen(folder);
  return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static void add_to_log(const char *call, size_t size, const char *path) {
  const char *log = getenv("FAULTY_DISK_LOG");
  if (log == NULL) return;
  char line[PATH_MAX + 64];
  const int length = snprintf(line, sizeof line, "%s %zu %s\n", call, size, path);
  const int file = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return;
  (void)syscall(SYS_write, file, line, (size_t)length);
  (void)syscall(SYS_close, file);
}

/// What becomes of a call on the file at `path`; sets `errno` where it is to fail. `size`: bytes that it writes; `needs_space`: whether
/// a full disk refuses it.
static enum verdict judge(const char *call, size_t size, bool needs_space, const char *path) {
  if (!is_inside(path)) return PASS;
  const long number = atomic_fetch_add(&calls, 1) + 1;
  add_to_log(call, size, path);
  const char *at = getenv("FAULTY_DISK_AT"), *fault = getenv("FAULTY_DISK_FAULT");
  if (at == NULL || fault == NULL || number < atol(at)) return PASS;
  if (strcmp(fault, "enospc") == 0) {
    if (!needs_space) return PASS;
    errno = ENOSPC;
    return number == atol(at) && size > 1 ? HALF : FAIL;
  }
  if (number != atol(at)) return PASS;
  if (strcmp(fault, "kill") == 0) (void)syscall(SYS_kill, getpid(), SIGKILL);
  if (strcmp(fault, "stop") == 0) {
    (void)syscall(SYS_kill, getpid(), SIGSTOP);
    return PASS;
  }
  if (strcmp(fault, "kill-half") == 0) return size > 1 ? HALF : PASS;
  errno = EIO;
  return FAIL;
}

/// Behind half of a write: the end, where that was asked for.
static void after_half(void) {
  const char *fault = getenv("FAULTY_DISK_FAULT");
  if (fault != NULL && strcmp(fault, "kill-half") == 0) (void)syscall(SYS_kill, getpid(), SIGKILL);
}

static enum verdict judge_file(const char *call, size_t size, bool needs_space, int file) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return PASS;
  path[length] = '\0';
  return judge(call, size, needs_space, path);
}

static enum verdict judge_path(const char *call, bool needs_space, int folder, const char *name) {
  char path[2 * PATH_MAX];
  path[0] = '\0';
  if (name[0] != '/') {
    char link[64];
    if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    const ssize_t length = readlink(link, path, PATH_MAX);
    if (length < 0) return PASS;
    path[length] = '/';
    path[length + 1] = '\0';
  }
  strncat(path, name, PATH_MAX - 1);
  return judge(call, 0, needs_space, path);
}

// MARK: Writing

ssize_t write(int file, const void *bytes, size_t count) {
  const enum verdict verdict = judge_file("write", count, true, file);
  if (verdict == FAIL) return -1;
  const ssize_t written = syscall(SYS_write, file, bytes, verdict == HALF ? count / 2 : count);
  if (verdict == HALF) after_half();
  return written;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
  const enum verdict verdict = judge_file("write", count, true, file);
  if (verdict == FAIL) return -1;
  const ssize_t written = syscall(SYS_pwrite64, file, bytes, verdict == HALF ? count / 2 : count, offset);
  if (verdict == HALF) after_half();
  return written;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t offset) { return pwrite(file, bytes, count, offset); }

/// Fails as a whole: nothing of ours calls it, and a test that finds it in its log should hear of it.
ssize_t writev(int file, const struct iovec *parts, int count) {
  if (judge_file("writev", 0, true, file) != PASS) return -1;
  return syscall(SYS_writev, file, parts, count);
}

int fsync(int file) { return judge_file("fsync", 0, true, file) == PASS ? (int)syscall(SYS_fsync, file) : -1; }

int fdatasync(int file) {
  return judge_file("fsync", 0, true, file) == PASS ? (int)syscall(SYS_fdatasync, file) : -1;
}

int ftruncate(int file, off_t size) {
  return judge_file("truncate", 0, false, file) == PASS ? (int)syscall(SYS_ftruncate, file, size) : -1;
}

int ftruncate64(int file, off_t size) { return ftruncate(file, size); }

int truncate(const char *path, off_t size) {
  return judge_path("truncate", false, AT_FDCWD, path) == PASS ? (int)syscall(SYS_truncate, path, size) : -1;
}

int truncate64(const char *path, off_t size) { return truncate(path, size); }

// MARK: Names

static int open_file(int folder, const char *path, int flags, mode_t mode) {
  if ((flags & O_CREAT) != 0 && judge_path("create", true, folder, path) != PASS) return -1;
  return (int)syscall(SYS_openat, folder, path, flags, mode);
}

/// The permissions, which callers give only with flags that make a file.
#define MODE_OF(flags, mode)                       \
  if (((flags) & (O_CREAT | __O_TMPFILE)) != 0) {  \
    va_list rest;                                  \
    va_start(rest, flags);                         \
    mode = (mode_t)va_arg(rest, int);              \
    va_end(rest);                                  \
  }

int open(const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE_OF(flags, mode)
  return open_file(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE_OF(flags, mode)
  return open_file(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE_OF(flags, mode)
  return open_file(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
  mode_t mode = 0;
  MODE_OF(flags, mode)
  return open_file(folder, path, flags, mode);
}

int renameat2(int old_folder, const char *old, int new_folder, const char *new, unsigned int flags) {
  if (judge_path("rename", true, new_folder, new) != PASS) return -1;
  return (int)syscall(SYS_renameat2, old_folder, old, new_folder, new, flags);
}

int renameat(int old_folder, const char *old, int new_folder, const char *new) {
  return renameat2(old_folder, old, new_folder, new, 0);
}

int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }

int linkat(int old_folder, const char *old, int new_folder, const char *new, int flags) {
  if (judge_path("link", true, new_folder, new) != PASS) return -1;
  return (int)syscall(SYS_linkat, old_folder, old, new_folder, new, flags);
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int unlinkat(int folder, const char *path, int flags) {
  return judge_path("unlink", false, folder, path) == PASS ? (int)syscall(SYS_unlinkat, folder, path, flags) : -1;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int mkdirat(int folder, const char *path, mode_t mode) {
  return judge_path("mkdir", true, folder, path) == PASS ? (int)syscall(SYS_mkdirat, folder, path, mode) : -1;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
