/*
 * Printing for native.S and tree.S, which include it. x21: the PL011's registers (DR, FR at 0x18). Uses x0 to x4 and x9 to x11.
 */
put_text:				// x0: the text
	mov	x9, x30
	mov	x10, x0
1:	ldrb	w0, [x10], #1
	cbz	w0, 2f
	bl	put
	b	1b
2:	ret	x9

put_hex:				// x0: the number, x1: its highest digit's lowest bit
	mov	x9, x30
	mov	x10, x0
	mov	x11, x1
1:	lsr	x0, x10, x11
	and	x0, x0, #15
	add	w2, w0, #'0'
	add	w3, w0, #('a' - 10)
	cmp	w0, #10
	csel	w0, w2, w3, lo
	bl	put
	subs	x11, x11, #4
	b.ge	1b
	ret	x9

put:					// w0: a character
	ldr	w4, [x21, #0x18]
	tbnz	w4, #5, put
	str	w0, [x21]
	ret
