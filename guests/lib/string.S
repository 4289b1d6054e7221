/*
 * memcpy and memset: 128 and 64 bytes a turn, general registers only, so that handlers may use them.
 * They access memory unaligned, so the MMU must be on.
 */
	.text
	.balign	16

/*
 * void *memcpy(void *to, const void *from, size_t bytes)
 * The first pair of 64 bytes moves its pointer, so that no addition does.
 */
	.macro	copy_64
	ldp	x4, x5, [x1], #64
	ldp	x6, x7, [x1, #-48]
	ldp	x8, x9, [x1, #-32]
	ldp	x10, x11, [x1, #-16]
	stp	x4, x5, [x3], #64
	stp	x6, x7, [x3, #-48]
	stp	x8, x9, [x3, #-32]
	stp	x10, x11, [x3, #-16]
	.endm

	.global memcpy
memcpy:
	mov	x3, x0
	subs	x2, x2, #128
	b.lo	2f
1:	copy_64
	copy_64
	subs	x2, x2, #128
	b.hs	1b
2:	tbz	x2, #6, 3f		/* the low 7 bits are what is left */
	copy_64
3:	tst	x2, #63
	b.eq	9f
	tbz	x2, #5, 4f
	ldp	x4, x5, [x1], #32
	ldp	x6, x7, [x1, #-16]
	stp	x4, x5, [x3], #32
	stp	x6, x7, [x3, #-16]
4:	tbz	x2, #4, 5f
	ldp	x4, x5, [x1], #16
	stp	x4, x5, [x3], #16
5:	tbz	x2, #3, 6f
	ldr	x4, [x1], #8
	str	x4, [x3], #8
6:	tbz	x2, #2, 7f
	ldr	w4, [x1], #4
	str	w4, [x3], #4
7:	tbz	x2, #1, 8f
	ldrh	w4, [x1], #2
	strh	w4, [x3], #2
8:	tbz	x2, #0, 9f
	ldrb	w4, [x1]
	strb	w4, [x3]
9:	ret

/* void *memset(void *to, int byte, size_t bytes) */
	.global memset
memset:
	mov	x3, x0
	and	x1, x1, #255
	orr	x1, x1, x1, lsl #8
	orr	x1, x1, x1, lsl #16
	orr	x1, x1, x1, lsl #32
	subs	x2, x2, #64
	b.lo	2f
1:	stp	x1, x1, [x3]
	stp	x1, x1, [x3, #16]
	stp	x1, x1, [x3, #32]
	stp	x1, x1, [x3, #48]
	add	x3, x3, #64
	subs	x2, x2, #64
	b.hs	1b
2:	tbz	x2, #5, 3f
	stp	x1, x1, [x3], #16
	stp	x1, x1, [x3], #16
3:	tbz	x2, #4, 4f
	stp	x1, x1, [x3], #16
4:	tbz	x2, #3, 5f
	str	x1, [x3], #8
5:	tbz	x2, #2, 6f
	str	w1, [x3], #4
6:	tbz	x2, #1, 7f
	strh	w1, [x3], #2
7:	tbz	x2, #0, 8f
	strb	w1, [x3]
8:	ret
