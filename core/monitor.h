/*
 * The monitor on the console: who gets what is typed, and a few commands about the VMs. It opens
 * with MONITOR_KEY; `help` tells the rest.
 *
 * All of it runs on the core that takes the UART's interrupt, without a lock. Its output is longer
 * than an exit may take, so the console asks for it line by line, whenever it has room.
 * Source: monitor.c. Tests: tests/host/test_monitor.c, tests/qemu/test_monitor.py
 */
#pragma once

#include "core/base/types.h"

#define MONITOR_KEY 0x1d /* Ctrl-]; QEMU's own is Ctrl-A */

/* A byte was typed. Not while the monitor is busy. */
void monitor_receive(u8 byte);
/* A command has more to say. */
bool monitor_busy(void);
/* Prints its next line, if there is one and the console has room; what monitor_busy() says then. */
bool monitor_step(void);
/* Shows again what was typed, or the line that the VM with the input has not ended. */
void monitor_refresh(void);
