/*
 * Task switch: what a C function must preserve (AAPCS64), d8 to d15 too, since a guest may be compiled
 * with floating point. A new task's stack holds the same frame, with x19 = function, x20 = argument.
 */
	.arch armv8-a+fp
	.text

/* void task_switch(uint64_t *save_sp, uint64_t sp) */
	.global task_switch
task_switch:
	sub	sp, sp, #160
	stp	x19, x20, [sp]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mov	x2, sp
	str	x2, [x0]
	mov	sp, x1
	ldp	x19, x20, [sp]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	ret

/* The first instructions of a new task, reached by task_switch's return; interrupts are masked. */
	.global task_entry
task_entry:
	msr	daifclr, #2
	mov	x0, x20
	blr	x19
	b	task_exit
