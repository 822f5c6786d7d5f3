#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#if defined(__x86_64__)
#define CONFINE_ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define CONFINE_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/// A system call that is allowed where `argument` (its low 32 bits; the kernel takes descriptors and protections as such), masked,
/// has the value; always where `argument` is -1.
typedef struct {
  int number;
  int argument;
  uint32_t mask;
  uint32_t value;
} allowed_call;

// Descriptors by number, so that nothing but the request socket and the file can be read or written. x32 calls have other
// numbers, and are denied like all that is not here.
static const allowed_call allowed_calls[] = {
    {SYS_read, 0, ~0u, 0},
    {SYS_write, 0, ~0u, 0},
    {SYS_pread64, 0, ~0u, 3},
    {SYS_mmap, 2, PROT_EXEC, 0},
    {SYS_mprotect, 2, PROT_EXEC, 0},
    {SYS_munmap, -1, 0, 0},
    {SYS_mremap, -1, 0, 0},
    {SYS_brk, -1, 0, 0},
    {SYS_madvise, -1, 0, 0},
    {SYS_futex, -1, 0, 0},
    {SYS_getrandom, -1, 0, 0},
    {SYS_clock_gettime, -1, 0, 0},
    {SYS_rt_sigreturn, -1, 0, 0},
    {SYS_exit, -1, 0, 0},
    {SYS_exit_group, -1, 0, 0},
};

enum { CALLS = sizeof allowed_calls / sizeof allowed_calls[0], LONGEST = 5 + 6 * CALLS };

static struct sock_filter statement(uint16_t code, uint32_t operand) {
  return (struct sock_filter){.code = code, .k = operand};
}

/// Goes on behind it where the loaded word is `value`, else steps over `skipped` instructions.
static struct sock_filter if_equal(uint32_t value, uint8_t skipped) {
  return (struct sock_filter){.code = BPF_JMP | BPF_JEQ | BPF_K, .jf = skipped, .k = value};
}

/// Writes the filter; returns its length.
static unsigned short write_filter(struct sock_filter filter[LONGEST]) {
  const uint16_t load = BPF_LD | BPF_W | BPF_ABS, answer = BPF_RET | BPF_K;
  const struct sock_filter denied = statement(answer, SECCOMP_RET_ERRNO | EPERM);
  unsigned short length = 0;
  filter[length++] = statement(load, offsetof(struct seccomp_data, arch));
  filter[length++] = if_equal(CONFINE_ARCHITECTURE, 1);
  filter[length++] = statement(BPF_JMP | BPF_JA, 1);
  filter[length++] = denied;
  for (int index = 0; index < CALLS; index++) {
    const allowed_call call = allowed_calls[index];
    filter[length++] = statement(load, offsetof(struct seccomp_data, nr));
    if (call.argument < 0) {
      filter[length++] = if_equal((uint32_t)call.number, 1);
    } else {
      // Both architectures are little-endian: the low half comes first.
      filter[length++] = if_equal((uint32_t)call.number, 4);
      filter[length++] = statement(load, (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (size_t)call.argument));
      filter[length++] = statement(BPF_ALU | BPF_AND | BPF_K, call.mask);
      filter[length++] = if_equal(call.value, 1);
    }
    filter[length++] = statement(answer, SECCOMP_RET_ALLOW);
  }
  filter[length++] = denied;
  return length;
}

/// Bytes of address space that the process has mapped; 0 where /proc does not say.
static size_t mapped_bytes(void) {
  FILE *file = fopen("/proc/self/statm", "re");
  unsigned long pages = 0;
  if (file != NULL) {
    if (fscanf(file, "%lu", &pages) != 1) pages = 0;
    fclose(file);
  }
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int limit(int resource, rlim_t value) {
  // The hard limit too: it cannot be raised again.
  const struct rlimit limits = {.rlim_cur = value, .rlim_max = value};
  return setrlimit(resource, &limits);
}

/// What was refused, or NULL.
static const char *confine(platform_limits limits) {
  // A handler, as that of Swift's backtraces, would meet EPERM and the same fault again, and never end. Some cannot be set.
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  if (sigprocmask(SIG_SETMASK, &none, NULL) != 0) return "unblocking signals";
  const size_t mapped = mapped_bytes();
  if (mapped == 0) return "reading /proc/self/statm";
  if (syscall(SYS_close_range, 4u, ~0u, 0u) != 0) {
    // Linux before 5.9.
    const long count = sysconf(_SC_OPEN_MAX);
    for (long descriptor = 4; descriptor < (count < 0 || count > 65536 ? 65536 : count); descriptor++) {
      close((int)descriptor);
    }
  }
  if (limit(RLIMIT_AS, mapped + limits.memory) != 0) return "limiting memory";
  // A profiling timer counts what RLIMIT_CPU counts, but finer; its signal, like that of the other, ends the process.
  const struct itimerval processor = {
      .it_value = {.tv_sec = limits.processor_milliseconds / 1000, .tv_usec = limits.processor_milliseconds % 1000 * 1000}};
  if (setitimer(ITIMER_PROF, &processor, NULL) != 0) return "limiting processor time";
  if (limit(RLIMIT_CPU, limits.processor_milliseconds / 1000 + 2) != 0) return "limiting processor time";
  if (limit(RLIMIT_NOFILE, 4) != 0 || limit(RLIMIT_FSIZE, 0) != 0 || limit(RLIMIT_CORE, 0) != 0) return "limiting files";
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return "forbidding to attach";
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "giving up privileges";
  struct sock_filter filter[LONGEST];
  const struct sock_fprog program = {.len = write_filter(filter), .filter = filter};
  const long refused = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
  if (refused > 0) errno = EBUSY;  // A thread that has another filter.
  return refused != 0 ? "seccomp" : NULL;
}

const char *platform_confine(platform_limits limits, int *error) {
  const char *refused = confine(limits);
  *error = refused == NULL ? 0 : errno;
  return refused;
}

#else

const char *platform_confine(platform_limits limits, int *error) {
  (void)limits;
  *error = ENOSYS;
  return "confining a process on this system";
}

#endif
