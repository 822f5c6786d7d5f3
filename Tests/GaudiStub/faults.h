// Refusals: each has a kind, a sentence and a status. Kinds that are noted only are those where the real library says
// synSuccess.
#pragma once

#include "node.h"
#include "synapse_abi.h"

#pragma GCC visibility push(hidden)

enum fault {
  // The library
  fault_none,
  fault_not_initialised,
  fault_initialised_twice,
  fault_leaked,
  fault_null_argument,
  fault_used_after_fork,
  fault_after_device_failure,
  fault_configuration,
  // Devices
  fault_no_device,
  fault_device_taken,
  fault_device_type,
  fault_device_held,
  fault_device_not_acquired,
  fault_device_identifier,
  fault_device_attribute,
  fault_device_list_short,
  fault_leaked_by_device,
  fault_launch_failed,
  // Memory
  fault_memory_flags,
  fault_device_memory_exhausted,
  fault_device_memory_unknown,
  fault_device_memory_in_use,
  fault_host_memory_not_pinned,
  fault_host_memory_unknown,
  fault_host_memory_in_use,
  fault_host_map_overlap,
  fault_copy_direction,
  fault_copy_address,
  fault_copy_wrong_side,
  fault_copy_range,
  fault_copy_overlap,
  fault_memset_range,
  fault_unordered_access,
  // Streams and events
  fault_stream_flags,
  fault_stream_handle,
  fault_stream_destroyed_busy,
  fault_event_handle,
  fault_event_flags,
  fault_event_never_recorded,
  fault_event_without_time,
  fault_event_wait_flags,
  fault_event_wait_own_stream,
  // Graphs
  fault_graph_device_type,
  fault_graph_handle,
  fault_graph_attribute,
  fault_graph_compiled,
  fault_graph_empty,
  fault_graph_cycle,
  fault_section_handle,
  fault_section_other_graph,
  fault_section_locked,
  fault_section_persistent_rmw,
  fault_section_not_persistent,
  fault_section_overlap,
  fault_section_unordered,
  fault_tensor_handle,
  fault_tensor_name,
  fault_tensor_name_used,
  fault_tensor_kind,
  fault_tensor_geometry,
  fault_tensor_geometry_kind,
  fault_tensor_data_type,
  fault_tensor_locked,
  fault_tensor_without_geometry,
  fault_tensor_without_type,
  fault_tensor_without_name,
  fault_tensor_other_graph,
  fault_tensor_two_producers,
  fault_tensor_without_producer,
  fault_node_handle,
  fault_node_dependency,
  fault_compile_planted,
  fault_compile_without_name,
  // What stub_check_node finds, in the order of stub_node_fault
  fault_node_unknown_guid,
  fault_node_input_count,
  fault_node_output_count,
  fault_node_missing_input,
  fault_node_parameter_bytes,
  fault_node_parameter_value,
  fault_node_input_type,
  fault_node_output_type,
  fault_node_input_shape,
  fault_node_output_shape,
  // Recipes
  fault_recipe_handle,
  fault_recipe_attribute,
  fault_recipe_file,
  fault_recipe_format,
  fault_recipe_version,
  fault_recipe_device_type,
  fault_recipe_checksum,
  // Launches
  fault_launch_device_type,
  fault_launch_flags,
  fault_launch_tensor_unknown,
  fault_launch_tensor_kind,
  fault_launch_tensor_name,
  fault_launch_tensor_size,
  fault_launch_tensor_twice,
  fault_launch_tensor_missing,
  fault_launch_address,
  fault_launch_alignment,
  fault_launch_section_base,
  fault_launch_overlap,
  fault_launch_workspace,
  // HCCL
  fault_hccl_identifier,
  fault_hccl_ranks,
  fault_hccl_rank_taken,
  fault_hccl_device_twice,
  fault_hccl_nobody_came,
  fault_hccl_shared_memory,
  fault_hccl_communicator,
  fault_hccl_data_type,
  fault_hccl_reduction,
  fault_hccl_root,
  fault_hccl_buffer,
  fault_hccl_buffer_overlap,
  fault_hccl_stream,
  fault_hccl_finalized,
  fault_hccl_group,
  fault_hccl_disagreement,
  fault_hccl_rank_ended,
  fault_hccl_rank_left,
  fault_hccl_rank_aborted,
  fault_count
};

/// Remembers the kind and the sentence, and returns the status.
synStatus refuse(enum fault fault, synStatus status, const char *format, ...) __attribute__((format(printf, 3, 4)));
hcclResult_t refuse_hccl(enum fault fault, hcclResult_t result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/// Remembers what the real library lets pass.
void note(enum fault fault, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// The kind for what stub_check_node says.
enum fault fault_of_node(enum stub_node_fault fault);

/// A pointer of the caller's that must be there.
synStatus require(const void *pointer, const char *what);

#pragma GCC visibility pop
