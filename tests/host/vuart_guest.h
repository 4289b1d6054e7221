/*
 * A VM with its UART, and a console that keeps its lines or has no room, for test_vuart*.c. Source: vuart_guest.c
 */
#pragma once

#include "fake.h"
#include "core/console.h"
#include "core/vm.h"

/* By the manual, not from drivers/pl011.h: so a wrong number there is seen. */
enum {
	DR = 0x00,
	RSR = 0x04,
	FR = 0x18,
	IBRD = 0x24,
	FBRD = 0x28,
	LCR_H = 0x2c,
	CR = 0x30,
	IFLS = 0x34,
	IMSC = 0x38,
	RIS = 0x3c,
	MIS = 0x40,
	ICR = 0x44,
	DMACR = 0x48,
};

#define FR_BUSY BIT(3)
#define FR_RXFE BIT(4)
#define FR_TXFF BIT(5)
#define FR_RXFF BIT(6)
#define FR_TXFE BIT(7)
#define INT_RX	BIT(4)
#define INT_TX	BIT(5)
#define FEN	BIT(4)

extern struct vm vm, second;
extern struct vcpu vcpu; /* of `vm`: it makes the accesses */

/* The console: keeps lines, or has no room. */
extern char lines[16][VUART_LINE + 1];
extern u32 line_count, services;
extern bool has_room, serve_resumes;
extern char part[VUART_LINE + 1]; /* of a line, as the console has it */
extern u32 parts;
extern bool shows; /* what console_shows() answers */

int start(void **state);

#define FRESH(name) cmocka_unit_test_setup(name, start)

/* Accesses of the guest; access_bytes(): false if it is answered by an abort. */
bool access_bytes(u64 offset, u32 bytes, bool write, u64 *value);
u64 read_bytes(u64 offset, u32 bytes);
void write_bytes(u64 offset, u32 bytes, u64 value);
u64 get(u64 offset);
void set(u64 offset, u64 value);
void print(const char *text);
