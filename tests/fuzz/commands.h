/*
 * Submission rings as weir/submit.h describes them: what was put is taken once, in order, and ends as the call
 * for which it stands would; nothing else is touched. Source: commands.c
 */
#pragma once

#include "machine.h"

void commands_reset(void);
void commands_begin(u32 vm); /* it begins a life */

/* An honest vCPU puts a command; nothing, if the ring is full. */
void commands_put(const struct vcpu *vcpu, u64 what, u64 first, u64 second);
/* It fills the ring with what is no command, and leaves some tail. What is taken of that is INVALID. */
void commands_lie(const struct vcpu *vcpu, u64 tail);

/* Around what drains the ring. `sure`: nobody came in between. */
void commands_before(const struct vcpu *vcpu);
void commands_after(const struct vcpu *vcpu, bool sure);

void commands_check(void);
/* Every ring of a VM that runs is drained: nothing is half done. */
void commands_finish(void);
