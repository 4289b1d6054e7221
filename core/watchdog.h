/*
 * The machine's watchdog (watchdog-ms at the root of the manifest): the hardware resets the machine
 * unless every core has shown within that time that it is served by its timer and that its
 * scheduler decides who runs. Source: watchdog.c. Tests: tests/host/test_watchdog.c
 */
#pragma once

#include "core/base/types.h"

/* Boot, when all is built: arms it for `cores` cores; 0 ms: there is none. Where the machine has none it says so. */
void watchdog_init(u64 ms, u32 cores);
/* Each core, before it enters the scheduler for the first time. */
void watchdog_start_core(void);
/* Disarms it, for good: before the machine is turned off. Any core. */
void watchdog_stop(void);
