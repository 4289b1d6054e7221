/*
 * The console's UART. One is chosen at boot from /chosen stdout-path; a driver is matched by
 * `compatible`. Source: uart.c (choice), uart_pl011.c, uart_mini.c
 */
#pragma once

#include "core/base/types.h"

struct uart_ops {
	const char *compatible;
	void (*init)(void *registers); /* 8n1, FIFOs on, all interrupts masked; baud rate is kept */
	bool (*put)(u8 byte);	       /* false: the FIFO is full */
	int (*get)(void);	       /* -1: nothing */
	/* The transmit interrupt, raised while the FIFO has room; receive is always on after init.
	 */
	void (*transmit_interrupt)(bool on);
	void (*interrupt_clear)(void);
	bool (*idle)(void); /* everything is out on the line */
};

/* Chooses and initialises a driver for registers that are mapped already. False: none matches. */
bool uart_init(const char *compatible, u32 compatible_bytes, void *registers);
const struct uart_ops *uart_get(void);

extern const struct uart_ops uart_pl011, uart_mini;
