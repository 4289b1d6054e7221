/*
 * First instructions of every core: Linux Image header, EL check, MMU on, then C at the fixed
 * virtual address. Position independent until the MMU is on. DDI 0487 D1.2; Linux boot protocol.
 *
 * Nothing is assumed of the registers but what the protocol says: x0 is the tree, MMU off, EL2.
 */
#include "arch/arm64/layout.h"

#define UART_NAME_BYTES 8

	.section .text.boot, "ax"
	.global _start
_start:
	b	primary
	.long	0
	.quad	0			// text_offset
	.quad	image_bytes		// with .bss; `weir join` adds the system image behind it
	.quad	0xa			// little-endian, 4 KiB pages, anywhere in memory
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0
	.quad	image_bytes		// for tools/weirlib/join.py: it stays as it is

primary:
	msr	daifset, #0xf
	mov	x20, x0			// the tree
	mov	x21, #0			// core index
	mrs	x1, currentel
	cmp	x1, #(2 << 2)
	b.ne	wrong_el
	bl	plain_registers
	// The image's own zero memory, before C runs. What a cache holds of it from before must
	// neither be written back over what is written now, past the cache, nor be read later.
	bl	forget_bss
1:	cmp	x1, x2
	b.hs	2f
	stp	xzr, xzr, [x1]		// a line of 64 bytes; there are whole ones
	stp	xzr, xzr, [x1, #16]
	stp	xzr, xzr, [x1, #32]
	stp	xzr, xzr, [x1, #48]
	add	x1, x1, #64
	b	1b
2:	adrp	x1, boot_stack + STACK_BYTES
	mov	sp, x1
	adrp	x0, _start
	bl	early_tables		// x0 = root table (physical)
	bl	forget_bss
	b	mmu_on

	// Invalidates the bss in the caches; x1 and x2 are its bounds. The linker script gives it
	// whole lines. Keeps x0 and x20 up.
forget_bss:
	adrp	x1, bss_start
	add	x1, x1, :lo12:bss_start
	adrp	x2, bss_end
	add	x2, x2, :lo12:bss_end
	mrs	x3, ctr_el0		// DminLine: log2 of the words in a line
	ubfx	x3, x3, #16, #4
	mov	x4, #4
	lsl	x3, x4, x3
	dmb	sy
	mov	x4, x1
1:	dc	ivac, x4
	add	x4, x4, x3
	cmp	x4, x2
	b.lo	1b
	dsb	sy
	ret

/*
 * A secondary core: PSCI CPU_ON's context in x0 is its index. Until its MMU is on it reads nothing but
 * this section, which nobody writes; the tables it walks through the caches, as core 0 writes them.
 */
	.global secondary_entry, spin_entries
secondary_entry:
	msr	daifset, #0xf
	mov	x21, x0
	bl	plain_registers
	adrp	x0, early_root
	b	mmu_on

/* By a spin table no context comes with the entry, so every core has an entry of its own. */
spin_entries:
	.set	core, 0
	.rept	SPIN_ENTRIES
	mov	x0, #core
	b	secondary_entry
	.set	core, core + 1
	.endr

/* x0 = root table, x20 = tree, x21 = core index */
mmu_on:
	msr	ttbr0_el2, x0
	ldr	x1, =MAIR_VALUE
	msr	mair_el2, x1
	mrs	x2, id_aa64mmfr0_el1
	and	x2, x2, #0xf		// PARange goes into PS; 52 bits need another granule
	mov	x3, #5
	cmp	x2, x3
	csel	x2, x3, x2, hi
	ldr	x1, =TCR_VALUE
	orr	x1, x1, x2, lsl #16
	msr	tcr_el2, x1
	ldr	x1, =vectors
	msr	vbar_el2, x1
	ldr	x1, =SCTLR_VALUE
	ldr	x2, =high
	tlbi	alle2
	tlbi	alle1			// what ran before us may have used our VMIDs
	ic	iallu
	dsb	nsh
	isb
	msr	sctlr_el2, x1
	isb
	br	x2
high:
	bti	j
	ldr	x1, =STACK_BASE + STACK_STRIDE
	mov	x2, #STACK_STRIDE
	madd	x1, x21, x2, x1
	stp	xzr, xzr, [x1, #-16]!	// the word of entry.S: no guest is in there
	mov	sp, x1
	mov	x29, xzr
	mov	x30, xzr
	msr	tpidr_el2, x21
	cbnz	x21, 1f
	mov	x0, x20
	b	boot_main
1:	mov	x0, x21
	b	core_main

/* What every core needs before anything else. Keeps x0 and x20 up. */
plain_registers:
	ldr	x1, =HCR_BOOT
	msr	hcr_el2, x1
	isb				// without VHE from here on: what the next ones mean
	ldr	x1, =SCTLR_OFF
	msr	sctlr_el2, x1
	ldr	x1, =CPTR_BOOT
	msr	cptr_el2, x1
	msr	hstr_el2, xzr
	mov	x1, #1			// guests read the counter; CNTP_* traps
	msr	cnthctl_el2, x1
	msr	cntvoff_el2, xzr
	mov	x1, #0
	mrs	x2, id_aa64dfr0_el1	// PMUVer: 0 none, 15 none that we know
	ubfx	x2, x2, #8, #4
	add	x2, x2, #1
	tst	x2, #0xe
	b.eq	1f
	mrs	x1, pmcr_el0		// all event counters belong to EL1
	ubfx	x1, x1, #11, #5
1:	ldr	x2, =MDCR_TRAPS
	orr	x1, x1, x2
	msr	mdcr_el2, x1
	msr	mdscr_el1, xzr		// unknown at reset; extensions.c
	msr	oslar_el1, xzr		// locked at reset: no VM would have debug exceptions. DDI 0487 H6.5
	mrs	x1, id_aa64mmfr1_el1
	ubfx	x1, x1, #40, #4		// HCX: extensions of EL1 that it would open stay shut
	cbz	x1, 1f
	msr	s3_4_c1_c2_2, xzr	// HCRX_EL2
1:	mrs	x1, id_aa64mmfr0_el1
	ubfx	x1, x1, #56, #4		// FGT: zero traps only registers of later extensions
	cbz	x1, 1f
	msr	s3_4_c1_c1_4, xzr	// HFGRTR_EL2
	msr	s3_4_c1_c1_5, xzr	// HFGWTR_EL2
	msr	s3_4_c1_c1_6, xzr	// HFGITR_EL2
	msr	s3_4_c3_c1_4, xzr	// HDFGRTR_EL2
	msr	s3_4_c3_c1_5, xzr	// HDFGWTR_EL2
1:
	msr	vttbr_el2, xzr
	mrs	x1, midr_el1
	msr	vpidr_el2, x1
	msr	spsel, #1
	isb
	ret

/*
 * At EL1 or EL3 nothing is known about the machine: the line goes to where the PL011 of QEMU's virt or
 * the mini UART of the Raspberry Pi 4 is, if the tree in x0 is one and names it; else silence.
 */
wrong_el:
	mrs	x1, mpidr_el1
	tst	x1, #0xffffff		// where no firmware holds them, all cores come here
	b.ne	9f
	cbz	x0, 9f
	tst	x0, #7
	b.ne	9f
	ldr	w1, [x0]
	ldr	w2, =0xedfe0dd0
	cmp	w1, w2
	b.ne	9f
	adr	x8, uarts
1:	ldp	w1, w2, [x8], #8
	cbz	w1, 9f
	ldr	w4, [x0, #4]		// how many bytes it has
	rev	w4, w4
	mov	x5, x0
2:	mov	x6, #0
3:	ldrb	w7, [x8, x6]
	cbz	w7, 4f
	ldrb	w9, [x5, x6]
	add	x6, x6, #1
	cmp	w7, w9
	b.eq	3b
	add	x5, x5, #1
	subs	w4, w4, #1
	b.ne	2b
	add	x8, x8, #UART_NAME_BYTES
	b	1b
4:	mov	w7, #0x301		// UARTEN, TXE, RXE
	ubfx	w3, w2, #16, #8
	str	w7, [x1, x3]
	ubfx	w3, w2, #8, #8
	adr	x5, el_message
5:	ldrb	w7, [x5], #1
	cbz	w7, 9f
6:	ldr	w6, [x1, x3]
	eor	w6, w6, w2
	tbz	w6, #5, 6b
	str	w7, [x1]
	b	5b
9:	wfe
	b	9b
	/*
	 * Base; where to write what turns a PL011 on (for the other: its scratch register), the register
	 * whose bit 5 says that a byte may be written, and in bit 5 what it then is not.
	 */
	.macro	uart, base, control, status, full, name
	.word	\base, \control << 16 | \status << 8 | \full << 5
	.asciz	"\name"		// of UART_NAME_BYTES
	.endm
	.balign	4
uarts:	uart	0x09000000, 0x30, 0x18, 1, "pl011@9"
	uart	0xfe215040, 0x1c, 0x14, 0, "7e21504"
	.word	0
el_message:
	.asciz	"weir: entered at the wrong exception level: start it at EL2 (QEMU: -M virt,virtualization=on)\r\n"
	.balign	4
	.ltorg
