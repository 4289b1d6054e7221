/*
 * A kernel that looks at its registers first: at the beginning of each life all are 0 but x0, whatever a
 * former life left in them. It fills them and begins anew, by a call, whose exit saves few registers; in
 * its eighth life it is content. VM 0, with the right to ask which life it is. MMU off: no stack, no unaligned
 * access.
 */
	.equ	UART, 0x09000000
	.equ	LIVES, 8
	.equ	VM_INFO, 0xc6000024	/* weir/abi.h; x3 = how many times it has started */
	.equ	SYSTEM_OFF, 0x84000008
	.equ	SYSTEM_RESET, 0x84000009

	.macro gather, registers:vararg
	.irp	n, \registers
	orr	x1, x1, x\n
	.endr
	.endm

	gather	2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
	adr	x20, dirty
	cbnz	x1, say
	ldr	w0, =VM_INFO
	hvc	#0
	adr	x20, denied
	cbnz	x0, say
	adr	x20, clean
	cmp	x3, #LIVES
	b.hs	say

	.irp	n, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
	mov	x\n, #\n
	.endr
	ldr	w0, =SYSTEM_RESET
	hvc	#0
	adr	x20, lived

say:	mov	x1, #UART
1:	ldrb	w0, [x20], #1
	cbz	w0, 2f
	strb	w0, [x1]
	b	1b
2:	ldr	w0, =SYSTEM_OFF
	hvc	#0
	b	.

clean:	.asciz	"each life began with registers that are 0\n"
dirty:	.asciz	"a register is not 0\n"
denied:	.asciz	"who am I?\n"
lived:	.asciz	"lived on after its reset\n"
	.balign 8
	.ltorg
