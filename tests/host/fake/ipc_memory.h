/*
 * Memory behind the pools and windows of the fake VMs (ipc_vms.h), for tests of what guests do with
 * it: each VM sees its pages where its stage-2 tables say that they are. What is not mapped faults,
 * and so does a write to what is mapped read-only. Source: ipc_memory.c
 */
#pragma once

#include <weir/space.h>
#include "ipc_vms.h"

/* After ipc_vms_make(): all pools are zero. From now on each call of a guest's changes the views. */
void ipc_memory_make(u32 vms);
void ipc_memory_free(void);
int ipc_memory_end(void **state); /* that and ipc_vms_free(), as what cmocka calls after a test */

/* What Weir did without a call of a guest's (the end of a VM), now the guests see it. */
void ipc_memory_sync(void);

/* Where a VM sees its pool and window. */
struct weir_space ipc_memory_space(u32 vm);
/* The page itself, whoever has it mapped. */
void *ipc_memory_page(u32 vm, u64 page);

/* The VM ends, and the others see it. */
void ipc_memory_stop(u32 vm);
/* It ends and starts again: its RAM is that of a new one. */
void ipc_memory_renew(u32 vm);
