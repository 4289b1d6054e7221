/* Physical interrupts of EL2: handlers by INTID. Registered at boot. Source: irq.c */
#pragma once

#include "core/base/types.h"

struct vcpu;

void irq_register(u32 intid, u32 core, bool edge, void (*handler)(void *context), void *context);
/*
 * Acknowledges and handles the most urgent interrupt that is pending on this core, if there is one;
 * `current` is the vCPU that is loaded, 0 if none is.
 */
void irq_handle(struct vcpu *current);
