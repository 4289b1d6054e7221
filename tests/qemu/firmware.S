/*
 * Firmware for tests, as small as it can be. `start` gives Weir a processor as a test wants it: it is what
 * QEMU starts, at EL3 or EL2, and it finds behind itself what test_firmware.py writes there: x0, where to
 * go, at which exception level, whether EL3 opens GICv3's system registers to EL2, and then pairs of an
 * address and a word to be stored there, the last one 0.
 */
	.global _start
_start:
	adr	x10, parameters
	ldp	x0, x1, [x10], #16
	ldp	x2, x3, [x10], #16
1:	ldp	x4, x5, [x10], #16
	cbz	x4, 2f
	str	w5, [x4]
	b	1b
2:	mrs	x4, currentel
	cmp	x4, x2, lsl #2
	b.ne	3f
	br	x1
3:	cmp	x4, #(3 << 2)
	b.eq	from_el3
	cmp	x2, #3
	b.eq	to_el3
	mov	x4, #(1 << 31)		// HCR_EL2.RW
	msr	hcr_el2, x4
	mov	x4, #0x3c5
	msr	spsr_el2, x4
	msr	elr_el2, x1
	eret
to_el3:	smc	#0			// to `psci`, which goes on at x1
from_el3:
	cbz	x3, 4f
	mov	x4, #0xf
	msr	s3_6_c12_c12_5, x4	// ICC_SRE_EL3
4:	mov	x4, #0x531		// SCR_EL3: RW, HCE, NS
	msr	scr_el3, x4
	isb
	mov	x4, #0x3c9
	msr	spsr_el3, x4
	msr	elr_el3, x1
	eret
	.balign	16
parameters:
