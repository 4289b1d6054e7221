/*
 * What stands at EL2 when the kernel runs without Weir: it enters the kernel at EL1, passes its PSCI calls on, and
 * at SYSTEM_OFF prints how many instructions were executed below EL2 and at EL2, as the benchmark build of Weir does
 * (hypervisor/life_count.c), and at each mark before. tools/bench-linux has QEMU write three words for it: the kernel's
 * address, the tree's, and HCR_EL2.TPCP, that cache maintenance to memory traps, if there are marks.
 */
	.equ	PLACE, 0x50100000
	.equ	MARKS, 0x50101000	// of three words; SP is where the next one goes

	.text
	.global _start
_start:
	adr	x0, vectors
	msr	vbar_el2, x0
	ldr	x1, =PLACE
	ldr	x0, [x1, #16]
	orr	x0, x0, #(1 << 31)	// HCR_EL2.RW: EL1 is of 64 bits
	msr	hcr_el2, x0
	ldr	x0, =MARKS
	mov	sp, x0
	mov	x0, #0x33ff		// CPTR_EL2: only its RES1 bits
	msr	cptr_el2, x0
	msr	hstr_el2, xzr
	mov	x0, #3			// CNTHCTL_EL2: the counter and the timer are EL1's
	msr	cnthctl_el2, x0
	msr	cntvoff_el2, xzr
	msr	vttbr_el2, xzr
	mrs	x0, midr_el1
	msr	vpidr_el2, x0
	mrs	x0, mpidr_el1
	msr	vmpidr_el2, x0
	mov	x0, #0xf		// ICC_SRE_EL2: the GIC by registers, for EL1 too
	msr	s3_4_c12_c9_5, x0
	isb
	ldr	w0, =0x30d00800		// SCTLR_EL1: its RES1 bits; no MMU
	msr	sctlr_el1, x0
	mov	x0, #0x3c5		// EL1 by SP_EL1, all masked
	msr	spsr_el2, x0
	ldr	x1, =PLACE
	ldp	x2, x0, [x1]		// kernel and tree
	msr	elr_el2, x2
	mov	x1, #0
	mov	x2, #0
	mov	x3, #0

	mrs	x4, pmcr_el0		// MDCR_EL2: no trap, all event counters belong to EL1
	ubfx	x4, x4, #11, #5
	msr	mdcr_el2, x4
	mov	x4, #0x08		// INST_RETIRED at EL0 and EL1
	msr	pmevtyper0_el0, x4
	ldr	w4, =0xc8000008		// at EL2 only: P, U, NSH
	msr	pmevtyper1_el0, x4
	mov	x4, #3
	msr	pmcntenset_el0, x4
	msr	pmcr_el0, x4		// E, and P: from 0
	isb
	eret

off:
	mrs	x19, pmevcntr0_el0
	mrs	x20, pmevcntr1_el0
	mov	x21, #0x09000000	// PL011: DR, FR; the MMU is off at EL2
	ldr	x22, =MARKS
1:	mov	x23, sp
	cmp	x22, x23
	b.eq	2f
	adr	x0, mark_text
	bl	put_text
	ldr	x0, [x22], #8
	bl	put_word
	ldr	x0, [x22], #8
	bl	put_word
	ldr	x0, [x22], #8
	bl	put_word
	mov	w0, #'\n'
	bl	put
	b	1b
2:	adr	x0, text
	bl	put_text
	mov	x0, x19
	bl	put_word
	mov	x0, x20
	bl	put_word
	mov	w0, #'\n'
	bl	put
	ldr	w0, =0x84000008
	smc	#0
	b	.

put_word:				// x0: the number, behind a space
	mov	x8, x30
	mov	x6, x0
	mov	w0, #' '
	bl	put
	mov	x0, x6
	mov	x1, #60
	bl	put_hex
	ret	x8

	.include "tests/bench/linux/print.S"

text:
	.asciz	"native: counted"
mark_text:
	.asciz	"native: mark"
bad_text:
	.asciz	"native: an exit that is no PSCI call\n"
	.balign	8
	.ltorg

	.balign	0x800
vectors:
	.rept	8			// from EL2: none
	b	bad
	.balign	0x80
	.endr
	msr	tpidr_el2, x17		// from below: HVC and cache maintenance only
	mrs	x17, esr_el2
	lsr	x17, x17, #26
	cmp	x17, #0x18
	b.eq	maintenance
	cmp	x17, #0x16
	b.ne	bad
	movz	w17, #0x8400, lsl #16	// PSCI SYSTEM_OFF
	movk	w17, #0x0008
	cmp	w0, w17
	b.eq	off
	mrs	x17, tpidr_el2
	smc	#0
	eret
	.balign	0x80
	.rept	7
	b	bad
	.balign	0x80
	.endr
maintenance:				// passed over, for there are no caches; at EL0 it is a mark
	mrs	x17, elr_el2
	add	x17, x17, #4
	msr	elr_el2, x17
	mrs	x17, spsr_el2
	tst	x17, #0xc
	b.ne	1f
	str	x0, [sp], #8
	mrs	x17, pmevcntr0_el0
	str	x17, [sp], #8
	mrs	x17, pmevcntr1_el0
	str	x17, [sp], #8
1:	mrs	x17, tpidr_el2
	eret
bad:
	adr	x0, bad_text
	mov	x21, #0x09000000
	bl	put_text
	ldr	w0, =0x84000008
	smc	#0
	b	.
	.ltorg
