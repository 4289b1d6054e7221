/*
 * All that there is of a VM in EL2, on the machine of fake/ipc_vms.h, to see whether something has changed: what
 * it has in the heap, its pages that it shares with Weir included, its stage 2, its vCPUs, its interrupts.
 * Source: ipc_state.c
 */
#pragma once

#include "ipc_vms.h"

struct ipc_state;

/* Of a VM that makes a call, not its registers, its account and the scratch of the dispatcher. */
struct ipc_state *ipc_state_take(u32 vm);
/* Nothing is different; and frees it. `what` is for the message. */
void assert_state_is(struct ipc_state *before, const char *what);
void ipc_state_free(struct ipc_state *state);
