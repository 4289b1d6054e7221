/*
 * In the kernel's place: prints where it was entered, and the device tree that Weir made for it, a line for each
 * 32 bytes: `entry ADDRESS`, `tree ADDRESS BYTES`, all hexadecimal. It has an Image's header, so that the tree lies
 * where it does for a kernel (Linux, Documentation/arch/arm64/booting.rst).
 */
	.text
	.global _start
_start:
	b	begin
	.word	0
	.quad	0, 4096, 0		// offset, size, flags
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.word	0

begin:
	mov	x19, x0
	ldr	w20, [x0, #4]		// fdt_header.totalsize
	rev	w20, w20
	add	x20, x19, x20
	mov	x21, #0x09000000	// PL011: DR, FR
	adr	x0, entry_text
	bl	put_text
	adr	x0, _start
	mov	x1, #60
	bl	put_hex
	b	2f
1:	ldrb	w0, [x19], #1
	mov	x1, #4
	bl	put_hex
	tst	x19, #31
	b.ne	3f
2:	mov	w0, #'\n'
	bl	put
	adr	x0, tree_text
	bl	put_text
	mov	x0, x19
	mov	x1, #60
	bl	put_hex
	mov	w0, #' '
	bl	put
3:	cmp	x19, x20
	b.lo	1b
	mov	w0, #'\n'
	bl	put
	ldr	w0, =0x84000008		// PSCI SYSTEM_OFF
	hvc	#0
	b	.

	.include "tests/bench/linux/print.S"

entry_text:
	.asciz	"entry "
tree_text:
	.asciz	"tree "
	.balign	4
	.ltorg
