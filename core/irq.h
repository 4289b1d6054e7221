/* Physical interrupts of EL2: handlers by INTID. Registered at boot. Source: irq.c */
#pragma once

#include "core/base/types.h"

struct vcpu;
struct vm;

void irq_register(u32 intid, u32 core, bool edge, void (*handler)(void *context), void *context);
/* An SPI is the VM's: vgic_hardware_came() is its handler. It stays disabled. Boot. */
void irq_pass(u32 intid, struct vm *vm, bool edge);
/*
 * Acknowledges and handles the most urgent interrupt that is pending on this core, if there is one;
 * `current` is the vCPU that is loaded, 0 if none is.
 */
void irq_handle(struct vcpu *current);
