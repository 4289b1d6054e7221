/*
 * What `weir join --bios` puts in front of Weir for QEMU's virt machine: flash lies at 0 and is where the
 * cores start, RAM begins at 0x40000000 with the device tree. Copies the hypervisor and the system image
 * behind this page to RAM and enters it as the boot protocol of Linux says. The tool (weirlib/join.py)
 * knows the offsets of `tree`, `mark` and `payload`.
 */
#define LOAD_ADDRESS  0x40200000 /* QEMU's tree takes at most 1 MiB before it */
#define TREE_ADDRESS  0x40000000
#define UART_BASE     0x09000000
#define UART_CONTROL  0x30
#define UART_ON	      0x301 /* UARTEN, TXE, RXE */
#define IMAGE_SIZE    16    /* in the Image header: all that is to be copied */

	.text
	b	start
	.balign	8
tree:	.quad	TREE_ADDRESS		// the tool may name another
mark:	.ascii	"weir virt flash\0"

start:
	msr	daifset, #0xf
	mrs	x1, mpidr_el1
	tst	x1, #0xffffff
	b.ne	park			// a machine without PSCI starts all cores here
	mrs	x1, currentel
	cmp	x1, #(2 << 2)
	b.ne	1f			// Weir itself says that it must be EL2
	adr	x1, vectors
	msr	vbar_el2, x1
	isb
1:	adr	x1, payload
	ldr	x2, =LOAD_ADDRESS
	ldr	x3, [x1, #IMAGE_SIZE]
	add	x3, x3, x2
	mov	x4, x2
2:	ldp	x5, x6, [x1], #16
	stp	x5, x6, [x4], #16
	cmp	x4, x3
	b.lo	2b
	dsb	sy
	ic	iallu
	dsb	sy
	isb
	ldr	x0, tree
	mov	x1, xzr
	mov	x3, xzr
	mov	x4, x2
	mov	x2, xzr
	br	x4

/* Nothing but the copy can fail here: it reached the end of RAM. */
no_room:
	ldr	x1, =UART_BASE
	mov	w2, #UART_ON
	str	w2, [x1, #UART_CONTROL]
	adr	x3, no_room_text
1:	ldrb	w2, [x3], #1
	cbz	w2, 2f
	str	w2, [x1]
	b	1b
2:
park:	wfe
	b	park
no_room_text:
	.asciz	"weir: flash: the joined file does not fit into the machine's memory: give it more (QEMU: -m)\r\n"
	.balign	8
	.ltorg

	.balign	0x800, 0
vectors:
	.rept	16
	b	no_room
	.balign	128
	.endr
payload:
