#define _GNU_SOURCE
#include "worker_team.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/// Turns of a spinning wait before it sleeps: about 50 µs. Where there are more threads than processors, one that spins keeps another from
/// the work that it waits for, so none does.
enum { SPINS = 2000 };

struct platform_team {
  int threads;
  int spins;
  void (*body)(void *, int);
  void *context;
  pthread_mutex_t turn;
  pthread_t *workers;
  /// Counts pieces of work; workers wait for it to change.
  _Alignas(64) _Atomic unsigned epoch;
  _Alignas(64) _Atomic unsigned arrived;
  /// Counts barriers; arrivals wait for it to change.
  _Alignas(64) _Atomic unsigned generation;
  _Alignas(64) _Atomic int sleepers;
  _Atomic int ends;
};

typedef struct {
  platform_team *team;
  int part;
} worker_start;

static void pause_briefly(void) {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void sleep_while_equal(_Atomic unsigned *word, unsigned value) {
#ifdef __linux__
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
  (void)word, (void)value;
  sched_yield();
#endif
}

static void wake_all(_Atomic unsigned *word) {
#ifdef __linux__
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
#else
  (void)word;
#endif
}

/// Returns when `word` is no longer `value`.
static void wait_for_change(platform_team *team, _Atomic unsigned *word, unsigned value) {
  for (int spin = 0; spin < team->spins; spin++) {
    if (atomic_load_explicit(word, memory_order_acquire) != value) return;
    pause_briefly();
  }
  // Who changes the word looks for sleepers afterwards, and the futex looks at the word once more: none is forgotten.
  atomic_fetch_add(&team->sleepers, 1);
  while (atomic_load(word) == value) sleep_while_equal(word, value);
  atomic_fetch_sub(&team->sleepers, 1);
}

static void change(platform_team *team, _Atomic unsigned *word) {
  atomic_fetch_add(word, 1);
  if (atomic_load(&team->sleepers) > 0) wake_all(word);
}

void platform_team_barrier(platform_team *team) {
  if (team->threads == 1) return;
  unsigned generation = atomic_load(&team->generation);
  if (atomic_fetch_add(&team->arrived, 1) == (unsigned)team->threads - 1) {
    atomic_store(&team->arrived, 0);
    change(team, &team->generation);
  } else {
    wait_for_change(team, &team->generation, generation);
  }
}

static void run_part(platform_team *team, int part) {
#if defined(__x86_64__)
  unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040);
  team->body(team->context, part);
  _mm_setcsr(before);
#else
  team->body(team->context, part);
#endif
  platform_team_barrier(team);
}

static void *work(void *argument) {
  worker_start start = *(worker_start *)argument;
  free(argument);
  for (unsigned seen = 0;; seen++) {
    wait_for_change(start.team, &start.team->epoch, seen);
    if (atomic_load(&start.team->ends)) return NULL;
    run_part(start.team, start.part);
  }
}

void platform_team_run(platform_team *team, void (*body)(void *context, int part), void *context) {
  pthread_mutex_lock(&team->turn);
  team->body = body;
  team->context = context;
  change(team, &team->epoch);
  run_part(team, 0);
  pthread_mutex_unlock(&team->turn);
}

static int processors(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

platform_team *platform_team_create(int threads) {
  platform_team *team = aligned_alloc(64, (sizeof *team + 63) / 64 * 64);
  if (!team) return NULL;
  *team = (platform_team){
    .threads = threads, .spins = threads <= processors() ? SPINS : 0,
    .workers = calloc((size_t)threads, sizeof(pthread_t))};
  pthread_mutex_init(&team->turn, NULL);
  if (!team->workers) goto failed;
  for (int part = 1; part < threads; part++) {
    worker_start *start = malloc(sizeof *start);
    if (start) *start = (worker_start){team, part};
    if (!start || pthread_create(&team->workers[part], NULL, work, start) != 0) {
      free(start);
      team->threads = part;
      goto failed;
    }
  }
  return team;
failed:
  platform_team_destroy(team);
  return NULL;
}

void platform_team_destroy(platform_team *team) {
  atomic_store(&team->ends, 1);
  change(team, &team->epoch);
  if (team->workers)
    for (int part = 1; part < team->threads; part++) pthread_join(team->workers[part], NULL);
  pthread_mutex_destroy(&team->turn);
  free(team->workers);
  free(team);
}

int platform_team_size(const platform_team *team) { return team->threads; }

static const size_t huge_page = (size_t)2 << 20;

static size_t whole_pages(size_t bytes) { return (bytes + huge_page - 1) / huge_page * huge_page; }

void *platform_allocate_huge(size_t bytes) {
  size_t size = whole_pages(bytes);
  char *mapped = mmap(NULL, size + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return NULL;
  // What lies outside of the aligned part goes back.
  size_t before = (huge_page - (size_t)mapped % huge_page) % huge_page;
  if (before > 0) munmap(mapped, before);
  munmap(mapped + before + size, huge_page - before);
#ifdef MADV_HUGEPAGE
  madvise(mapped + before, size, MADV_HUGEPAGE);
#endif
  return mapped + before;
}

void platform_free_huge(void *memory, size_t bytes) { munmap(memory, whole_pages(bytes)); }
