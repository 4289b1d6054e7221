/*
 * The console between three VMs, the monitor and a UART, for test_console*.c. Source: console_uart.c
 */
#pragma once

#include "fake.h"
#include "core/console.h"
#include "core/vm.h"

#define UART_INTID 33u
#define ENDLESS	   1000000000u

/* The UART: takes `room` bytes, then says that its FIFO is full. */
extern char line_out[65536];
extern u32 out_length, room, puts_refused;
extern bool transmit_on, busy;
extern const char *input;
extern const struct uart_ops *present; /* 0: nobody drives it */

/* VMs, each with a line that it may have to keep. */
#define VMS 3
extern struct vm vms[VMS];
extern u32 wanted[VMS], printed[VMS]; /* lines */

/* The monitor: takes what is typed, and has so many lines to say. */
extern char typed[64];
extern u32 received, answers, answered, refreshed;

extern jmp_buf stopped; /* where the core goes that stops */

/* Everything out of the last test, and a UART that takes all. */
int start(void **state);

#define FRESH(name) cmocka_unit_test_setup(name, start)

/* As core/vdev/vuart.c does: one line at a time, the next when this one has gone out. */
bool vm_print(u32 id);
/* The UART's. */
void interrupt(void);
/* Interrupts until nothing is left. */
void drain(void);
/* How often that stands in what has gone out. */
u32 count(const char *part);
