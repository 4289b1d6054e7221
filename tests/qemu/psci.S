/*
 * PSCI for the Raspberry Pi as QEMU has it: where the vector of an SMC from EL2 is, 0x400, when firmware has
 * set none. Cores that are off wait in QEMU's spin table. Arm DEN 0022.
 */
	.global _start
_start:
	ldr	w9, cpu_on
	cmp	w0, w9
	b.eq	on
	ldr	w9, system_off
	cmp	w0, w9
	b.eq	off
	ldr	w9, version
	cmp	w0, w9
	b.eq	1f
	mov	x0, #-1			// NOT_SUPPORTED
	eret
1:	ldr	w0, =0x10001
	eret

on:	cmp	x1, #4
	b.hs	2f
	adr	x9, places
	add	x9, x9, x1, lsl #4
	stp	x2, x3, [x9]
	adr	x10, came
	mov	x9, #0xd8
	add	x9, x9, x1, lsl #3
	str	x10, [x9]
	dsb	sy
	sev
	mov	x0, #0
	eret
2:	mov	x0, #-2			// INVALID_PARAMETERS
	eret
came:	mrs	x9, mpidr_el1
	and	x9, x9, #3
	adr	x10, places
	add	x10, x10, x9, lsl #4
	ldp	x9, x0, [x10]
	br	x9

off:	ldr	w9, power		// the block's registers, as for a halt
	ldr	w10, =0x5a000555
	str	w10, [x9, #0x20]
	ldr	w10, =0x5a00000a
	str	w10, [x9, #0x24]
	ldr	w10, =0x5a000020
	str	w10, [x9, #0x1c]
3:	wfi
	b	3b

cpu_on:		.word	0xc4000003
system_off:	.word	0x84000008
version:	.word	0x84000000
power:		.word	0xfe100000
	.ltorg
	.balign	16
places:	.fill	8, 8, 0
