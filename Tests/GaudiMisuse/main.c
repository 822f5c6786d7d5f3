// Provokes every kind of misuse that the stand-in for libSynapse knows, each beside the right use next to it.
//
//     GaudiMisuse PATH-OF-LIBGAUDISTUB.SO
//
// Each check that fails is a line, and so is each kind that was not provoked. Exit status 0: nothing failed.
// Environment: GAUDI_STUB_EARLY as the stub has it. MISUSE_FORGET: checks that expect this kind are left out, so that
// the run must fail.
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checks.h"
#include "subjects.h"

// Run one after another, each in new processes: synInitialize reads the environment, and who is brought down by one
// is not there for the next.
static const struct scenario {
  const char *name;
  void (*run)(void);
  int processes;
  const char *environment[2];
  int killed;  // the rank that ends by SIGKILL; 0: none
} scenarios[] = {
    {"library", misuse_library, 1, {NULL}, 0},
    {"devices", misuse_devices, 1, {NULL}, 0},
    {"devices of others", misuse_devices_of_others, 2, {"GAUDI_STUB_DEVICES=2"}, 0},
    {"taken devices", misuse_taken_devices, 1, {"GAUDI_STUB_DEVICES=4", "GAUDI_STUB_TAKEN=1"}, 0},
    {"hidden devices", misuse_hidden_devices, 1, {"GAUDI_STUB_DEVICES=4", "HABANA_VISIBLE_MODULES=1,3"}, 0},
    {"no devices", misuse_no_devices, 1, {"GAUDI_STUB_DEVICES=0"}, 0},
    {"after a fork", misuse_after_fork, 1, {NULL}, 0},
    {"memory", misuse_memory, 1, {"GAUDI_STUB_MEMORY=1048576"}, 0},
    {"copies", misuse_copies, 1, {NULL}, 0},
    {"streams", misuse_streams, 1, {NULL}, 0},
    {"events", misuse_events, 1, {NULL}, 0},
    {"order of streams", misuse_order_of_streams, 1, {NULL}, 0},
    {"sections", misuse_sections, 1, {NULL}, 0},
    {"tensors", misuse_tensors, 1, {NULL}, 0},
    {"tensors in nodes", misuse_tensors_in_nodes, 1, {NULL}, 0},
    {"graphs", misuse_graphs, 1, {NULL}, 0},
    {"dependencies", misuse_node_dependencies, 1, {NULL}, 0},
    {"compilation", misuse_compilation, 1, {NULL}, 0},
    {"shared sections", misuse_shared_sections, 1, {NULL}, 0},
    {"planted compilation", misuse_planted_compilation, 1, {"GAUDI_STUB_FAIL_COMPILE=relu_fwd_f32"}, 0},
    {"every node", misuse_every_node, 1, {NULL}, 0},
    {"node values", misuse_node_values, 1, {NULL}, 0},
    {"recipes", misuse_recipes, 1, {NULL}, 0},
    {"recipe files", misuse_recipe_files, 1, {NULL}, 0},
    {"recipes of other versions", misuse_recipes_of_other_versions, 1, {"GAUDI_STUB_VERSION=1.22.0"}, 0},
    {"launches", misuse_launches, 1, {NULL}, 0},
    {"launch addresses", misuse_launch_addresses, 1, {NULL}, 0},
    {"launch sections", misuse_launch_sections, 1, {NULL}, 0},
    {"failed launches", misuse_failed_launches, 1, {"GAUDI_STUB_FAIL_LAUNCH=2"}, 0},
    {"one rank", misuse_one_rank, 1, {NULL}, 0},
    {"nobody came", misuse_nobody_came, 1, {"GAUDI_STUB_PATIENCE=0"}, 0},
    {"joining", misuse_joining, 2, {"GAUDI_STUB_DEVICES=2", "GAUDI_STUB_PATIENCE=4"}, 0},
    {"collectives", misuse_collectives, 2, {"GAUDI_STUB_DEVICES=2", "GAUDI_STUB_PATIENCE=4"}, 1},
    {"unfinished work", misuse_unfinished_work, 2, {"GAUDI_STUB_DEVICES=2", "GAUDI_STUB_PATIENCE=4"}, 0},
};
enum { scenario_count = sizeof scenarios / sizeof *scenarios, seconds_of_run = 18, seconds_of_scenario = 8 };

// MARK: One process of a scenario

static int run_scenario(const struct scenario *scenario, int rank) {
  const int64_t left = board->deadline - now_in_seconds();
  alarm(left < 1 ? 1 : left < seconds_of_scenario ? (unsigned)left : seconds_of_scenario);
  const char *early = getenv("GAUDI_STUB_EARLY");
  self = (struct self){rank, scenario->processes, early && atoi(early) != 0};
  scenario->run();
  return 0;
}

static pid_t start(const char *library, int number, int rank) {
  fflush(stdout);
  const pid_t parent = getpid(), child = fork();
  if (child) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(3);
  for (int i = 0; i < 2 && scenarios[number].environment[i]; i++) putenv((char *)scenarios[number].environment[i]);
  char number_text[12], rank_text[12];
  snprintf(number_text, sizeof number_text, "%d", number);
  snprintf(rank_text, sizeof rank_text, "%d", rank);
  execl("/proc/self/exe", "GaudiMisuse", library, number_text, rank_text, (char *)NULL);
  _exit(3);
}

// MARK: All scenarios

static void run_in_processes(const char *library, int number) {
  const struct scenario *scenario = &scenarios[number];
  enum { most_processes = 2 };
  pid_t processes[most_processes];
  board->arrived = 0;
  for (int rank = 0; rank < scenario->processes; rank++) processes[rank] = start(library, number, rank);
  for (int rank = 0; rank < scenario->processes; rank++) {
    int status = 0;
    if (processes[rank] < 0 || waitpid(processes[rank], &status, 0) != processes[rank]) {
      fail("%s: rank %d cannot be started", scenario->name, rank);
      continue;
    }
    const bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    if (scenario->killed && rank == scenario->killed ? is_killed : status == 0) continue;
    if (WIFSIGNALED(status)) fail("%s: rank %d ended by signal %d", scenario->name, rank, WTERMSIG(status));
    else fail("%s: rank %d ended with status %d", scenario->name, rank, WEXITSTATUS(status));
  }
}

// Where ranks met there is a file until all have come, or have given up.
static void check_nothing_is_left(void) {
  for (int i = 0; i < board->identifier_count && i < most_identifiers; i++) {
    const char *path = (const char *)board->identifiers[i].internal;
    if (path[0] != '/' || access(path, F_OK)) continue;
    fail("%s is left", path);
    unlink(path);
  }
}

static int count_kinds(void) {
  const char *const *names;
  const size_t count = api.gaudi_stub_fault_kinds(&names);
  const char *forgotten = getenv("MISUSE_FORGET");
  if (forgotten && *forgotten && place_of_kind(forgotten) < 0) fail("there is no kind %s to forget", forgotten);
  if (count > most_kinds) fail("the stub has %zu kinds, more than %d", count, most_kinds);
  int provoked = 0;
  for (size_t i = 0; i < count && i < most_kinds; i++) {
    provoked += board->was_provoked[i];
    if (!board->was_provoked[i]) fail("never provoked: %s", names[i]);
  }
  return provoked;
}

static void remove_folder(const char *folder) {
  DIR *entries = opendir(folder);
  for (struct dirent *entry; entries && (entry = readdir(entries));) {
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) unlink(path);
  }
  if (entries) closedir(entries);
  if (rmdir(folder)) perror(folder);
}

// Nothing of the caller's environment but GAUDI_STUB_EARLY and GAUDI_STUB_VERBOSE.
static void clear_environment(void) {
  static const char *const names[] = {
      "GAUDI_STUB_DEVICES",     "GAUDI_STUB_TYPE",     "GAUDI_STUB_MEMORY",
      "GAUDI_STUB_VERSION",     "GAUDI_STUB_TAKEN",    "GAUDI_STUB_FAIL_COMPILE",
      "GAUDI_STUB_FAIL_LAUNCH", "GAUDI_STUB_PATIENCE", "HABANA_VISIBLE_MODULES",
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
}

static int run_all(const char *library) {
  const char *temporary = getenv("TMPDIR");
  char folder[4000];
  snprintf(folder, sizeof folder, "%s/gaudi-misuse-XXXXXX", temporary && *temporary ? temporary : "/tmp");
  if (!mkdtemp(folder)) {
    perror(folder);
    return 2;
  }
  clear_environment();
  setenv("GAUDI_STUB_RUN", folder, 1);
  open_board(folder);
  board->deadline = now_in_seconds() + seconds_of_run;
  for (int number = 0; number < scenario_count; number++) {
    if (now_in_seconds() < board->deadline) run_in_processes(library, number);
    else fail("%s: there was no time left", scenarios[number].name);
  }
  check_nothing_is_left();
  const int kinds = count_kinds();
  remove_folder(folder);
  printf("%d kinds, %d checks, %d failed\n", kinds, board->checks, board->failed);
  return board->failed != 0;
}

int main(int count, char **arguments) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (count != 2 && count != 4) {
    fprintf(stderr, "usage: GaudiMisuse PATH-OF-LIBGAUDISTUB.SO\n");
    return 2;
  }
  open_library(arguments[1]);
  if (count == 2) {
    alarm(seconds_of_run + 2);
    return run_all(arguments[1]);
  }
  const int number = atoi(arguments[2]);
  if (number < 0 || number >= scenario_count || !run_folder()) return 2;
  open_board(run_folder());
  return run_scenario(&scenarios[number], atoi(arguments[3]));
}
