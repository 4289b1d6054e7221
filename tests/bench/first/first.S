/*
 * A guest without a runtime: reads the counter by its first instruction, prints it, powers off.
 */
	.text
	.global _start
_start:
	mrs	x19, cntvct_el0
	mov	x20, #0x09000000	// PL011: DR, FR
	adr	x21, text
1:	ldrb	w0, [x21], #1
	cbz	w0, 2f
	bl	put
	b	1b
2:	mov	x22, #60		// hexadecimal, from the highest digit
3:	lsr	x0, x19, x22
	and	x0, x0, #15
	add	w1, w0, #'0'
	add	w2, w0, #('a' - 10)
	cmp	w0, #10
	csel	w0, w1, w2, lo
	bl	put
	subs	x22, x22, #4
	b.ge	3b
	mov	w0, #'\n'
	bl	put
	ldr	w0, =0x84000008		// PSCI SYSTEM_OFF
	hvc	#0
	b	.
put:
	ldr	w1, [x20, #0x18]
	tbnz	w1, #5, put
	str	w0, [x20]
	ret
text:
	.asciz	"row boot.first_guest_instruction 1 0x"
	.balign	4
	.ltorg
