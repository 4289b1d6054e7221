/*
 * A raw kernel, without the runtime and with its MMU off, that looks at what QEMU's virt has besides devices: the
 * device tree at the start of RAM, flash with nothing in it, and maintenance of caches by set and way. A fault
 * ends its report early.
 */
	.equ	RAM, 0x40000000
	.equ	LAST_OF_FLASH, 0x07fffff8
	.equ	TREE_MAGIC, 0xedfe0dd0
	.equ	UART, 0x09000000

	/* Says whether the condition holds, and goes on. */
	.macro	verdict condition, name
	adr	x21, 8f
	adr	x22, 9f
	csel	x21, x21, x22, \condition
	bl	say
	b	7f
8:	.asciz	"ok \name\n"
9:	.asciz	"not ok \name\n"
	.balign	4
7:
	.endm

	mov	x20, x0
	adr	x21, plan
	bl	say

	/* At the start of RAM, if the kernel leaves room there; else anywhere. */
	mov	x1, #RAM
	adr	x2, plan
	ands	x2, x2, #0xfff80000
	cmp	x2, x1
	cset	w3, eq
	cmp	x20, x1
	cset	w4, eq
	ldr	w5, [x20]
	ldr	w6, =TREE_MAGIC
	cmp	w5, w6
	ccmp	w3, w4, #4, eq	/* Z, that is wrong, if it is no tree */
	verdict	ne, "1 the_tree_is_at_the_start_of_ram_if_there_is_room"

	mov	x1, #0x1000
	ldr	x2, =LAST_OF_FLASH
	ldr	w3, [x1, #4]
	ldrb	w4, [x1, #3]
	ldr	x5, [x2]
	orr	w3, w3, w4
	orr	x3, x3, x5
	cmp	x3, #0
	verdict	eq, "2 empty_flash_reads_as_zero"

	mov	x1, #0x1000
	mov	w3, #0x98	/* of CFI: a query, which would be answered by QRY */
	strb	w3, [x1, #0x55]
	str	w3, [x1]
	ldr	w3, [x1, #0x10]
	ldr	w4, [x1]
	orr	w3, w3, w4
	cmp	w3, #0
	verdict	eq, "3 empty_flash_takes_nothing"

	adr	x1, word
	mov	w3, #0x5a
	str	w3, [x1]
	mov	x4, #1 << 5
	dc	isw, xzr
	dc	isw, x4
	dc	csw, x4
	dc	cisw, x4
	dsb	sy
	ldr	w3, [x1]
	cmp	w3, #0x5a
	verdict	eq, "4 maintenance_by_set_and_way_loses_nothing"

	adr	x21, done
	bl	say
	ldr	w0, =0x84000008		/* PSCI SYSTEM_OFF, by the other conduit */
	smc	#0
	b	.

say:	ldr	x1, =UART
1:	ldrb	w0, [x21], #1
	cbz	w0, 2f
	strb	w0, [x1]
	b	1b
2:	ret

	.balign	8
word:	.zero	8
plan:	.asciz	"1..4\n"
done:	.asciz	"# done\n"
	.balign	8
	.ltorg
