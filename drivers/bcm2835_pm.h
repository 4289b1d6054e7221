/*
 * The power management block of the Raspberry Pi: power-off, reset and watchdog, where there is no
 * PSCI. The manual leaves it out; what its registers do is what the tree's binding
 * (brcm,bcm2835-pm) and its drivers elsewhere show. Source: bcm2835_pm.c
 */
#pragma once

#include "core/base/types.h"

/* Registers of the node's first region, mapped. */
void bcm2835_pm_init(void *registers);
bool bcm2835_pm_found(void);
/* Returns at once: the machine goes off some ten watchdog ticks (160 us) later. Nothing before
 * bcm2835_pm_init(). */
void bcm2835_pm_power_off(void);

/* Of the longest time that its counter can hold, 15.99 s. */
#define BCM2835_PM_WATCHDOG_MAX_MS 15000u
/*
 * The machine is reset after `ms` unless this is called again: the count begins anew. 0: it is not.
 * QEMU has no count, and resets at once. Only after bcm2835_pm_init().
 */
void bcm2835_pm_watchdog(u32 ms);
