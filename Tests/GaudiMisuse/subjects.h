// The subjects: each runs in a process of its own, or in several.
#pragma once

void misuse_library(void);
void misuse_devices(void);
void misuse_devices_of_others(void);
void misuse_taken_devices(void);
void misuse_hidden_devices(void);
void misuse_no_devices(void);
void misuse_after_fork(void);

void misuse_memory(void);
void misuse_copies(void);
void misuse_streams(void);
void misuse_events(void);
void misuse_order_of_streams(void);

void misuse_sections(void);
void misuse_tensors(void);
void misuse_tensors_in_nodes(void);
void misuse_graphs(void);
void misuse_node_dependencies(void);
void misuse_compilation(void);
void misuse_shared_sections(void);
void misuse_planted_compilation(void);
void misuse_every_node(void);
void misuse_node_values(void);

void misuse_recipes(void);
void misuse_recipe_files(void);
void misuse_recipes_of_other_versions(void);
void misuse_launches(void);
void misuse_launch_addresses(void);
void misuse_launch_sections(void);
void misuse_failed_launches(void);

void misuse_one_rank(void);
void misuse_joining(void);
void misuse_nobody_came(void);
void misuse_collectives(void);
void misuse_unfinished_work(void);
