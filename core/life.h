/*
 * The life of a virtual machine: who starts and ends one, and what the scheduler does for it.
 *
 * Nothing here waits: a VM that is told to end is dying at once, and off or built anew some time
 * later; `state` of struct vm says how far it is. Any core, any context.
 * Source: life.c. Tests: tests/host/test_life*.c, tests/guest/restart.c
 */
#pragma once

#include <weir/status.h>
#include "core/vm.h"

/* Boot: every VM begins to be built. `stay`: the machine is not powered off with the last VM. */
void vm_start_all(bool stay);

/*
 * A VM ends by itself: every vCPU stops, and what it had with others is closed. After a reset, or a
 * fault with on-fault restart, it is rebuilt and starts again. False, and nothing, while it is not running: then
 * somebody else was faster, whose word counts.
 */
enum vm_end { VM_END_OFF, VM_END_RESET, VM_END_FAULT };
bool vm_stop(struct vm *vm, enum vm_end why);

/*
 * A command from outside, which counts in every state: the last one decides what the VM ends up as.
 * `life`: the life that is meant (vm->life), or VM_ANY_LIFE. Starting a VM that is not off is
 * WEIR_BUSY; another life than the VM's is WEIR_STALE. Restarting one that is off starts it.
 */
enum vm_command { VM_START, VM_STOP, VM_RESTART };
#define VM_ANY_LIFE 0
enum weir_status vm_command(struct vm *vm, enum vm_command what, u64 life);

const char *vm_state_name(enum vm_state state);

/* Called by the block service: a request of a VM that ended is over. */
void vm_device_done(struct vm *vm);

/* Called by the scheduler when the turn of a vCPU has come whose `turns` are its VM's: one bounded step. */
void vm_step(struct vm *vm);
/* Called by the scheduler: a vCPU that ended with its VM has left its core. */
void vm_vcpu_left(struct vm *vm);
