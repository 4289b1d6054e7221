/*
 * From the first instruction to C: the arm64 Image header, the first vCPU, the other vCPUs, and the
 * MMU. Boot protocol of Linux: EL1, MMU off, x0 = device tree (first vCPU) or PSCI's context.
 */
	.section .head, "ax"
	.global _start
_start:
	b	primary
	.long	0
	.quad	0x80000		/* text_offset */
	.quad	__image_size
	.quad	2		/* little endian, 4 KiB pages */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

primary:
	mov	x19, x0
	msr	daifset, #15
	bl	set_vectors

	/* The bss, and then what a cache may hold of it from before we wrote it with the MMU off. */
	adrp	x0, __bss_start
	add	x0, x0, :lo12:__bss_start
	adrp	x1, __bss_end
	add	x1, x1, :lo12:__bss_end
	mov	x2, x0
1:	cmp	x2, x1
	b.hs	2f
	stp	xzr, xzr, [x2], #16
	b	1b
2:	dmb	sy
	bl	invalidate

	adrp	x1, __irq_stack_top
	add	x1, x1, :lo12:__irq_stack_top
	adrp	x2, __stack_top
	add	x2, x2, :lo12:__stack_top
	msr	spsel, #1
	mov	sp, x1
	msr	spsel, #0
	mov	sp, x2

	bl	mmu_build
	dmb	sy
	adrp	x0, __bss_start
	add	x0, x0, :lo12:__bss_start
	adrp	x1, __bss_end
	add	x1, x1, :lo12:__bss_end
	bl	invalidate
	bl	mmu_enable
	mov	x0, x19
	mov	x29, xzr
	mov	x30, xzr
	b	guest_main

/* x0 = struct cpu_start, which must not be read before the MMU is on. */
	.global secondary_start
secondary_start:
	mov	x19, x0
	msr	daifset, #15
	bl	set_vectors
	bl	mmu_enable
	ldp	x1, x2, [x19]
	msr	spsel, #1
	mov	sp, x1
	msr	spsel, #0
	mov	sp, x2
	mov	x0, x19
	mov	x29, xzr
	mov	x30, xzr
	b	cpu_main

set_vectors:
	adrp	x1, vectors
	add	x1, x1, :lo12:vectors
	msr	vbar_el1, x1
	mov	x1, #(3 << 20)		/* CPACR_EL1.FPEN: floating point does not trap */
	msr	cpacr_el1, x1
	isb
	ret

/* Clean and invalidate the data cache by address, [x0, x1); the range is not empty. */
invalidate:
	mrs	x2, ctr_el0
	ubfx	x2, x2, #16, #4		/* DminLine: log2 of words */
	mov	x3, #4
	lsl	x3, x3, x2
	sub	x4, x3, #1
	bic	x0, x0, x4
1:	dc	civac, x0
	add	x0, x0, x3
	cmp	x0, x1
	b.lo	1b
	dsb	sy
	ret

/* Uses registers only: a secondary vCPU has no stack yet. */
mmu_enable:
	ldr	x0, =0xff04		/* MAIR: 0 = Device-nGnRE, 1 = Normal write-back */
	msr	mair_el1, x0
	/* 39 bits of VA from TTBR0 alone (EPD1), 4 KiB pages, walks cached and inner shareable. */
	ldr	x0, =(25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23)
	mrs	x1, id_aa64mmfr0_el1
	and	x1, x1, #15		/* PARange; IPS has the same encoding up to 48 bits */
	mov	x2, #5
	cmp	x1, x2
	csel	x1, x1, x2, lo
	orr	x0, x0, x1, lsl #32
	msr	tcr_el1, x0
	adrp	x0, mmu_level1
	add	x0, x0, :lo12:mmu_level1
	msr	ttbr0_el1, x0
	isb
	tlbi	vmalle1
	dsb	nsh
	ic	iallu
	dsb	nsh
	isb
	/* RES1 bits, M, C, SA, I; A stays 0: Normal memory may be accessed unaligned. */
	ldr	x0, =(0x30d00800 | 1 << 0 | 1 << 2 | 1 << 3 | 1 << 12)
	msr	sctlr_el1, x0
	isb
	ret
	.ltorg
