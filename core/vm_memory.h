/*
 * Memory for a VM that is to be built: its RAM, and the heap that building it will take.
 * Boot core only. Source: vm_memory.c
 */
#pragma once

#include "core/manifest.h"

/* False: one of both is not left; a line has said which property asks for too much. */
bool vm_memory_take(const struct manifest_vm *config, pa_t *ram);

/* What building takes of the heap, at most. */
u64 vm_memory_heap_bytes(const struct manifest_vm *config);
