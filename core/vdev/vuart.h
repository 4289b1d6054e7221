/*
 * A VM's PL011 (ARM DDI 0183). Output is gathered into lines for the console; while the console has
 * no room the transmit FIFO reads full, so a VM that floods waits by itself. Of a line that does not
 * end, a prompt, the console is given what there is when the VM has been silent for a moment.
 *
 * As on QEMU's virt machine: transmission takes no time, the receive interrupt rises with the first
 * byte, and what the guest sets in CR does not stop the model.
 * Locks: `lock` guards the model; inside it vm->vgic.lock and the console's may be taken.
 * Source: vuart.c. Tests: tests/host/test_vuart*.c
 */
#pragma once

#include "arch/arm64/lock.h"
#include "core/mmio.h"

struct vm;
struct vcpu;

#define VUART_LINE 160
#define VUART_FIFO 32  /* what FR tells of */
#define VUART_KEPT 256 /* what is typed ahead, or pasted, follows from here */

struct vuart {
	struct spinlock lock;
	char line[VUART_LINE];
	u32 line_length;
	u8 escape;		   /* of escape_has(): sequences are left out */
	u8 silent;		   /* looks since the last byte, see vuart.c */
	bool typed;		   /* somebody types at this VM */
	const struct vcpu *writer; /* who wrote a register last */
	u8 fifo[VUART_KEPT];	   /* received, not yet read */
	u32 fifo_head, fifo_count;
	u32 control, line_control, integer_baud, fraction_baud, fifo_levels;
	u32 mask, raw;	/* IMSC, RIS */
	u32 flags;	/* FR; written under the lock, read without */
	bool interrupt; /* the level last given to the vGIC */
};

/* Registers and FIFO as new; what the VM has printed is printed. After vuart_flush(). */
void vuart_reset(struct vm *vm);
bool vuart_mmio(struct vcpu *self, struct mmio *access);
/*
 * Bytes that the VM prints in another way, as far as the end of a line; how many were taken, 0: a finished line waits for
 * the console.
 */
u32 vuart_print(struct vcpu *self, const u8 *bytes, u32 count);
/* A byte typed at the console for this VM; false: its FIFO is full. */
bool vuart_receive(struct vm *vm, u8 byte);
/* Prints what is gathered without waiting for the end of the line (the VM went off). */
void vuart_flush(struct vm *vm);
/* Shows what is gathered of a line that has not ended. Called by the monitor. */
void vuart_show(struct vm *vm);
/* The console has room for the line that it refused. Called by the console only. */
void vuart_resume(struct vm *vm);
