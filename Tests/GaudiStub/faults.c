// The names of the refusals, and the last of them.
#include "faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "include/GaudiStub.h"
#include "library.h"

static const char *const names[fault_count] = {
    [fault_none] = "",
    [fault_not_initialised] = "not-initialised",
    [fault_initialised_twice] = "initialised-twice",
    [fault_leaked] = "leaked",
    [fault_null_argument] = "null-argument",
    [fault_used_after_fork] = "used-after-fork",
    [fault_after_device_failure] = "after-device-failure",
    [fault_configuration] = "configuration",
    [fault_no_device] = "no-device",
    [fault_device_taken] = "device-taken",
    [fault_device_type] = "device-type",
    [fault_device_held] = "device-held",
    [fault_device_not_acquired] = "device-not-acquired",
    [fault_device_identifier] = "device-identifier",
    [fault_device_attribute] = "device-attribute",
    [fault_device_list_short] = "device-list-short",
    [fault_leaked_by_device] = "leaked-by-device",
    [fault_launch_failed] = "launch-failed",
    [fault_memory_flags] = "memory-flags",
    [fault_device_memory_exhausted] = "device-memory-exhausted",
    [fault_device_memory_unknown] = "device-memory-unknown",
    [fault_device_memory_in_use] = "device-memory-in-use",
    [fault_host_memory_not_pinned] = "host-memory-not-pinned",
    [fault_host_memory_unknown] = "host-memory-unknown",
    [fault_host_memory_in_use] = "host-memory-in-use",
    [fault_host_map_overlap] = "host-map-overlap",
    [fault_copy_direction] = "copy-direction",
    [fault_copy_address] = "copy-address",
    [fault_copy_wrong_side] = "copy-wrong-side",
    [fault_copy_range] = "copy-range",
    [fault_copy_overlap] = "copy-overlap",
    [fault_memset_range] = "memset-range",
    [fault_unordered_access] = "unordered-access",
    [fault_stream_flags] = "stream-flags",
    [fault_stream_handle] = "stream-handle",
    [fault_stream_destroyed_busy] = "stream-destroyed-busy",
    [fault_event_handle] = "event-handle",
    [fault_event_flags] = "event-flags",
    [fault_event_never_recorded] = "event-never-recorded",
    [fault_event_without_time] = "event-without-time",
    [fault_event_wait_flags] = "event-wait-flags",
    [fault_event_wait_own_stream] = "event-wait-own-stream",
    [fault_graph_device_type] = "graph-device-type",
    [fault_graph_handle] = "graph-handle",
    [fault_graph_attribute] = "graph-attribute",
    [fault_graph_compiled] = "graph-compiled",
    [fault_graph_empty] = "graph-empty",
    [fault_graph_cycle] = "graph-cycle",
    [fault_section_handle] = "section-handle",
    [fault_section_other_graph] = "section-other-graph",
    [fault_section_locked] = "section-locked",
    [fault_section_persistent_rmw] = "section-persistent-rmw",
    [fault_section_not_persistent] = "section-not-persistent",
    [fault_section_overlap] = "section-overlap",
    [fault_section_unordered] = "section-unordered",
    [fault_tensor_handle] = "tensor-handle",
    [fault_tensor_name] = "tensor-name",
    [fault_tensor_name_used] = "tensor-name-used",
    [fault_tensor_kind] = "tensor-kind",
    [fault_tensor_geometry] = "tensor-geometry",
    [fault_tensor_geometry_kind] = "tensor-geometry-kind",
    [fault_tensor_data_type] = "tensor-data-type",
    [fault_tensor_locked] = "tensor-locked",
    [fault_tensor_without_geometry] = "tensor-without-geometry",
    [fault_tensor_without_type] = "tensor-without-type",
    [fault_tensor_without_name] = "tensor-without-name",
    [fault_tensor_other_graph] = "tensor-other-graph",
    [fault_tensor_two_producers] = "tensor-two-producers",
    [fault_tensor_without_producer] = "tensor-without-producer",
    [fault_node_handle] = "node-handle",
    [fault_node_dependency] = "node-dependency",
    [fault_compile_planted] = "compile-planted",
    [fault_compile_without_name] = "compile-without-name",
    [fault_node_unknown_guid] = "node-unknown-guid",
    [fault_node_input_count] = "node-input-count",
    [fault_node_output_count] = "node-output-count",
    [fault_node_missing_input] = "node-missing-input",
    [fault_node_parameter_bytes] = "node-parameter-bytes",
    [fault_node_parameter_value] = "node-parameter-value",
    [fault_node_input_type] = "node-input-type",
    [fault_node_output_type] = "node-output-type",
    [fault_node_input_shape] = "node-input-shape",
    [fault_node_output_shape] = "node-output-shape",
    [fault_recipe_handle] = "recipe-handle",
    [fault_recipe_attribute] = "recipe-attribute",
    [fault_recipe_file] = "recipe-file",
    [fault_recipe_format] = "recipe-format",
    [fault_recipe_version] = "recipe-version",
    [fault_recipe_device_type] = "recipe-device-type",
    [fault_recipe_checksum] = "recipe-checksum",
    [fault_launch_device_type] = "launch-device-type",
    [fault_launch_flags] = "launch-flags",
    [fault_launch_tensor_unknown] = "launch-tensor-unknown",
    [fault_launch_tensor_kind] = "launch-tensor-kind",
    [fault_launch_tensor_name] = "launch-tensor-name",
    [fault_launch_tensor_size] = "launch-tensor-size",
    [fault_launch_tensor_twice] = "launch-tensor-twice",
    [fault_launch_tensor_missing] = "launch-missing-tensor",
    [fault_launch_address] = "launch-address",
    [fault_launch_alignment] = "launch-alignment",
    [fault_launch_section_base] = "launch-section-base",
    [fault_launch_overlap] = "launch-overlap",
    [fault_launch_workspace] = "launch-workspace",
    [fault_hccl_identifier] = "hccl-identifier",
    [fault_hccl_ranks] = "hccl-ranks",
    [fault_hccl_rank_taken] = "hccl-rank-taken",
    [fault_hccl_device_twice] = "hccl-device-twice",
    [fault_hccl_nobody_came] = "hccl-nobody-came",
    [fault_hccl_shared_memory] = "hccl-shared-memory",
    [fault_hccl_communicator] = "hccl-communicator",
    [fault_hccl_data_type] = "hccl-data-type",
    [fault_hccl_reduction] = "hccl-reduction",
    [fault_hccl_root] = "hccl-root",
    [fault_hccl_buffer] = "hccl-buffer",
    [fault_hccl_buffer_overlap] = "hccl-buffer-overlap",
    [fault_hccl_stream] = "hccl-stream",
    [fault_hccl_finalized] = "hccl-finalized",
    [fault_hccl_group] = "hccl-group",
    [fault_hccl_disagreement] = "hccl-disagreement",
    [fault_hccl_rank_ended] = "hccl-rank-ended",
    [fault_hccl_rank_left] = "hccl-rank-left",
    [fault_hccl_rank_aborted] = "hccl-rank-aborted",
};

static enum fault last = fault_none;
static char last_text[1024];

__attribute__((format(printf, 2, 0))) static void remember(enum fault fault, const char *format, va_list arguments) {
  last = fault;
  const int used = snprintf(last_text, sizeof last_text, "%s: ", current_call());
  vsnprintf(last_text + used, sizeof last_text - (size_t)used, format, arguments);
  if (library.settings.is_verbose) fprintf(stderr, "gaudi stub: %s: %s\n", names[fault], last_text);
}

synStatus refuse(enum fault fault, synStatus status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  remember(fault, format, arguments);
  va_end(arguments);
  return status;
}

hcclResult_t refuse_hccl(enum fault fault, hcclResult_t result, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  remember(fault, format, arguments);
  va_end(arguments);
  return result;
}

void note(enum fault fault, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  remember(fault, format, arguments);
  va_end(arguments);
}

enum fault fault_of_node(enum stub_node_fault fault) {
  _Static_assert(fault_node_output_shape - fault_node_unknown_guid == stub_output_shape - stub_unknown_guid,
                 "the kinds of node.h, in its order");
  return (enum fault)(fault_node_unknown_guid + (fault - stub_unknown_guid));
}

synStatus require(const void *pointer, const char *what) {
  return pointer ? synSuccess : refuse(fault_null_argument, synInvalidArgument, "%s is NULL", what);
}

// MARK: For tests

EXPORT const char *gaudi_stub_last_fault(void) {
  SCOPED struct call call = begin_call("gaudi_stub_last_fault", needs_nothing);
  return names[last];
}

EXPORT const char *gaudi_stub_last_text(void) {
  SCOPED struct call call = begin_call("gaudi_stub_last_text", needs_nothing);
  static char copy[sizeof last_text];
  memcpy(copy, last_text, sizeof copy);
  return copy;
}

EXPORT void gaudi_stub_forget(void) {
  SCOPED struct call call = begin_call("gaudi_stub_forget", needs_nothing);
  last = fault_none;
  last_text[0] = 0;
  library.counts = (struct gaudi_stub_counts){0};
}

EXPORT size_t gaudi_stub_fault_kinds(const char *const **out) {
  if (out) *out = names + 1;
  return fault_count - 1;
}
