/*
 * What Weir itself raises ports for: the timers of vCPUs, completions of their requests, changes of VMs,
 * watches of the store. Beside the model of the events (events.h), which knows the ports.
 *
 * Where something came in between it is believed, as there; that nobody waits for a watch for ever is
 * asserted even then.
 * Source: sources.c
 */
#pragma once

#include "events.h"

void sources_reset(void);
void sources_learn(void); /* with events_learn() */
/* After a part of a step: completions that are there since, VMs that are off or run since. */
void sources_settle(void);
/* The VM's vCPU 0 has made a step of its life in this state. */
void sources_stepped(u32 vm, enum vm_state state);

/* What a port of these kinds may be refused for beside the VM having none free, and that it was opened. */
u32 sources_errors(const struct vcpu *self, enum port_kind kind, u64 argument);
void sources_opened(const struct vcpu *self, enum port_kind kind);

u32 sources_timer_errors(const struct vcpu *self, weir_handle handle);
void sources_timer(const struct vcpu *self, u64 deadline);
/* After the interrupt of the timer of the core whose turn it is. */
void sources_after_time(void);

/*
 * Around what may change the store: the vCPU tells others of it, a few of those that wait at once.
 * `touched`: a node that counts as changed if it looks the same, 0: none. Or a step of the VM's end has.
 */
void sources_before_store(void);
void sources_after_store(const struct vcpu *self, weir_handle touched);
void sources_after_end(u32 vm);
/* The guest has read an event of this port; its watches have nothing to tell. */
void sources_received(u32 vm, u32 port);
void sources_searched(u32 vm);

/* Are completions of this vCPU announced by its interrupt? */
bool sources_interrupt(const struct vcpu *vcpu);

void sources_check(void);
