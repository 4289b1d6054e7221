/* Physical interrupts of EL2: handlers by INTID. Registered at boot. Source: irq.c */
#pragma once

#include "core/base/types.h"

void irq_register(u32 intid, u32 core, bool edge, void (*handler)(void *context), void *context);
/* Acknowledges and handles everything that is pending on this core. */
void irq_handle(void);
