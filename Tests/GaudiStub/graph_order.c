// In which order nodes are done, and whether that order keeps those apart that share memory.
#include <stdlib.h>

#include "graph.h"
#include "memory.h"

typedef void visit_predecessor(const struct graph_node *predecessor, const struct graph_node *node, void *context);

static void each_predecessor(const struct graph_node *node, visit_predecessor *visit, void *context) {
  for (uint32_t i = 0; i < node->input_count; i++)
    if (node->inputs[i] && node->inputs[i]->producer) visit(node->inputs[i]->producer, node, context);
  for (size_t i = 0; i < node->blocker_count; i++) visit(node->blockers[i], node, context);
}

// MARK: Order

struct successors {
  size_t *first, *following, *edge_next, *edge_node;  // lists of edges, by node
  size_t edge_count;
  size_t *waiting;  // how many predecessors are not yet done
};

static void count_edge(const struct graph_node *predecessor, const struct graph_node *node, void *context) {
  struct successors *successors = context;
  (void)predecessor;
  successors->edge_count++;
  successors->waiting[node->number]++;
}

static void add_edge(const struct graph_node *predecessor, const struct graph_node *node, void *context) {
  struct successors *successors = context;
  const size_t edge = successors->edge_count++;
  successors->edge_node[edge] = node->number;
  successors->edge_next[edge] = successors->first[predecessor->number];
  successors->first[predecessor->number] = edge;
}

static size_t *make_numbers(size_t count, size_t value) {
  size_t *numbers = malloc((count + 1) * sizeof *numbers);
  if (!numbers) abort();
  for (size_t i = 0; i < count; i++) numbers[i] = value;
  return numbers;
}

// The next node whose predecessors are done.
static size_t choose(const size_t *waiting, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const size_t node = library.settings.is_early ? i : count - 1 - i;
    if (waiting[node] == 0) return node;
  }
  return SIZE_MAX;
}

struct graph_node **order_nodes(const struct graph *graph) {
  const size_t count = graph->node_count;
  struct successors successors = {.waiting = make_numbers(count, 0)};
  for (size_t i = 0; i < count; i++) each_predecessor(graph->nodes[i], count_edge, &successors);
  successors.first = make_numbers(count, SIZE_MAX);
  successors.edge_next = make_numbers(successors.edge_count, 0);
  successors.edge_node = make_numbers(successors.edge_count, 0);
  successors.edge_count = 0;
  for (size_t i = 0; i < count; i++) each_predecessor(graph->nodes[i], add_edge, &successors);

  struct graph_node **order = malloc((count + 1) * sizeof(struct graph_node *));
  if (!order) abort();
  size_t done = 0;
  for (size_t node; done < count && (node = choose(successors.waiting, count)) != SIZE_MAX; done++) {
    order[done] = graph->nodes[node];
    successors.waiting[node] = SIZE_MAX;
    for (size_t edge = successors.first[node]; edge != SIZE_MAX; edge = successors.edge_next[edge])
      successors.waiting[successors.edge_node[edge]]--;
  }
  free(successors.waiting);
  free(successors.first);
  free(successors.edge_next);
  free(successors.edge_node);
  if (done == count) return order;
  free(order);
  refuse(fault_graph_cycle, synFail, "%zu of %zu nodes wait for each other", count - done, count);
  return NULL;
}

// MARK: Shared memory

// By node, the set of nodes that come after it whatever the order.
struct reach {
  uint64_t *bits;
  size_t words;
  size_t node_count;
};

static bool comes_after(const struct reach *reach, const struct graph_node *first, const struct graph_node *second) {
  return reach->bits[first->number * reach->words + second->number / 64] >> (second->number % 64) & 1;
}

static void add_reach(const struct graph_node *predecessor, const struct graph_node *node, void *context) {
  const struct reach *reach = context;
  uint64_t *bits = reach->bits + predecessor->number * reach->words;
  bits[node->number / 64] |= (uint64_t)1 << (node->number % 64);
  for (size_t i = 0; i < reach->words; i++) bits[i] |= reach->bits[node->number * reach->words + i];
}

static struct reach find_reach(const struct graph *graph, struct graph_node *const *order) {
  const size_t words = (graph->node_count + 63) / 64;
  struct reach reach = {calloc(graph->node_count * words + 1, sizeof(uint64_t)), words, graph->node_count};
  if (!reach.bits) abort();
  for (size_t i = graph->node_count; i-- > 0;) each_predecessor(order[i], add_reach, &reach);
  return reach;
}

static bool reads(const struct graph_node *node, const struct graph_tensor *tensor) {
  for (uint32_t i = 0; i < node->input_count; i++)
    if (node->inputs[i] == tensor) return true;
  return false;
}

// Those that make or read a tensor.
struct uses {
  const struct graph_node **nodes;
  size_t count;
};

static struct uses find_uses(const struct graph *graph, const struct graph_tensor *tensor) {
  struct uses uses = {calloc(graph->node_count + 1, sizeof(struct graph_node *)), 0};
  if (!uses.nodes) abort();
  for (size_t i = 0; i < graph->node_count; i++)
    if (tensor->producer == graph->nodes[i] || reads(graph->nodes[i], tensor))
      uses.nodes[uses.count++] = graph->nodes[i];
  return uses;
}

// The real compiler orders such nodes by itself, as they come in a topological order that depends on when they were
// made (TensorCoherenceMapping): whoever relies on that reads the value before or after by chance.
static synStatus check_pair(const struct reach *reach, const struct graph_tensor *a, const struct uses *a_uses,
                            const struct graph_tensor *b, const struct uses *b_uses) {
  for (size_t i = 0; i < a_uses->count; i++)
    for (size_t j = 0; j < b_uses->count; j++) {
      const struct graph_node *first = a_uses->nodes[i], *second = b_uses->nodes[j];
      const bool first_writes = a->producer == first, second_writes = b->producer == second;
      if (!first_writes && !second_writes) continue;
      if (first == second && !(first_writes && second_writes)) continue;  // in place
      if (first == second || (!comes_after(reach, first, second) && !comes_after(reach, second, first)))
        return refuse(fault_section_unordered, synFail,
                      "tensors %s and %s share memory; node %s %s uses the one and node %s %s the other, and nothing "
                      "orders them",
                      a->name, b->name, first->guid, first->name, second->guid, second->name);
    }
  return synSuccess;
}

static synStatus check_overlapping(const struct graph *graph, struct graph_node *const *order, struct reach *reach,
                                   const struct graph_tensor *a, const struct graph_tensor *b) {
  struct uses a_uses = find_uses(graph, a), b_uses = find_uses(graph, b);
  synStatus status = synSuccess;
  if (!a_uses.count || !b_uses.count) {
    // One that no node uses is no part of the recipe.
  } else if (a->offset != b->offset || bytes_of_tensor(a) != bytes_of_tensor(b)) {
    status = refuse(fault_section_overlap, synFail, "tensors %s and %s overlap in their section and are not the same",
                    a->name, b->name);
  } else {
    if (!reach->bits) *reach = find_reach(graph, order);
    status = check_pair(reach, a, &a_uses, b, &b_uses);
  }
  free(a_uses.nodes);
  free(b_uses.nodes);
  return status;
}

synStatus check_sections(const struct graph *graph, struct graph_node *const *order) {
  struct reach reach = {0};
  synStatus status = synSuccess;
  for (size_t i = 0; i < graph->tensor_count && !status; i++)
    for (size_t j = 0; j < i && !status; j++) {
      const struct graph_tensor *a = graph->tensors[i], *b = graph->tensors[j];
      if (!a->section || a->section != b->section) continue;
      const struct range a_range = {a->offset, bytes_of_tensor(a), false, false};
      const struct range b_range = {b->offset, bytes_of_tensor(b), false, false};
      if (overlap(&a_range, &b_range)) status = check_overlapping(graph, order, &reach, a, b);
    }
  free(reach.bits);
  return status;
}
