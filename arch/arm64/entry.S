/*
 * Exceptions: the vector table, the way into C and back to the guest that C chose. DDI 0487 D1.3.
 *
 * While a guest runs, SP_EL2 points at its struct arch_vcpu; the word at the top of the core's stack
 * (CORE_STACK) points there while EL2 runs, and is 0 before the first guest, and when that vCPU was reset. C does not use x12..x15 and x18 (UNUSED in the Makefile), so
 * these and x19..x29 stay in the registers, and are saved only when another vCPU is entered, or when
 * the exit may have to look at any register (trap_sync). The send of an event uses still fewer (NARROW).
 */
#include "arch/arm64/layout.h"

#define X(n)	   ((n) * 8)
#define CORE_STACK (31 * 8)
#define ELR_SPSR   (32 * 8)

#define HVC_0_CLASS 0x5a		// ESR_EL2 of `hvc #0` from AArch64, turned by 24 bits
#define CALLS	    -0xc6000000		// added to W0: the number of a hypercall, weir/abi.h
#define CALL_SEND   9

	.macro save_volatile
	stp	x0, x1, [sp, #X(0)]
	save_more
	.endm

	// All of these but x0 and x1.
	.macro save_more
	stp	x2, x3, [sp, #X(2)]
	stp	x4, x5, [sp, #X(4)]
	stp	x6, x7, [sp, #X(6)]
	stp	x8, x9, [sp, #X(8)]
	stp	x10, x11, [sp, #X(10)]
	stp	x16, x17, [sp, #X(16)]
	str	x30, [sp, #X(30)]
	.endm

	.macro save_kept, vcpu
	stp	x12, x13, [\vcpu, #X(12)]
	stp	x14, x15, [\vcpu, #X(14)]
	stp	x18, x19, [\vcpu, #X(18)]
	stp	x20, x21, [\vcpu, #X(20)]
	stp	x22, x23, [\vcpu, #X(22)]
	stp	x24, x25, [\vcpu, #X(24)]
	stp	x26, x27, [\vcpu, #X(26)]
	stp	x28, x29, [\vcpu, #X(28)]
	.endm

	.macro load_kept, vcpu
	ldp	x12, x13, [\vcpu, #X(12)]
	ldp	x14, x15, [\vcpu, #X(14)]
	ldp	x18, x19, [\vcpu, #X(18)]
	ldp	x20, x21, [\vcpu, #X(20)]
	ldp	x22, x23, [\vcpu, #X(22)]
	ldp	x24, x25, [\vcpu, #X(24)]
	ldp	x26, x27, [\vcpu, #X(26)]
	ldp	x28, x29, [\vcpu, #X(28)]
	.endm

	// x0 = the vCPU that leaves the guest. x1 stays.
	.macro to_core_stack
	mov	x0, sp
	ldr	x2, [sp, #CORE_STACK]
	mov	sp, x2
	.endm

	// Back to the guest whose vCPU x0 is.
	.macro enter_volatile
	mov	sp, x0
	ldp	x2, x3, [sp, #X(2)]
	ldp	x4, x5, [sp, #X(4)]
	ldp	x6, x7, [sp, #X(6)]
	ldp	x8, x9, [sp, #X(8)]
	ldp	x10, x11, [sp, #X(10)]
	ldp	x16, x17, [sp, #X(16)]
	ldr	x30, [sp, #X(30)]
	ldp	x0, x1, [sp, #X(0)]
	eret
	dsb	nsh			// no speculation past the ERET
	isb
	.endm

	// x0 = the vCPU to enter, 0: the one that left. In the vectors themselves, for it is hot.
	.macro leave
	cbnz	x0, change
	ldr	x0, [sp]
	enter_volatile
	.endm

	.macro el2_vector, number
	.balign	0x80
	msr	tpidrro_el0, x0		// lost to the guest: nothing of it runs again
	mov	x0, #\number
	b	el2_exception
	.endm

	.section .text.vectors, "ax"
	.balign	2048
	.global vectors
vectors:
	el2_vector 0
	el2_vector 1
	el2_vector 2
	el2_vector 3
	el2_vector 4
	el2_vector 5
	el2_vector 6
	el2_vector 7

	// Lower EL, AArch64: synchronous.
	.balign	0x80
	stp	x0, x1, [sp, #X(0)]
	mrs	x1, esr_el2
	ror	w1, w1, #24
	cmp	w1, #HVC_0_CLASS
	b.ne	lower_sync
	mov	w1, #CALLS
	add	w1, w1, w0
	cmp	w1, #CALL_SEND
	b.eq	send
call:	save_more
	to_core_stack
	bl	trap_hvc
	b	left

	.balign	0x80
	save_volatile
	to_core_stack
	bl	trap_irq
	leave

	el2_vector 10			// FIQs are never routed to EL2

	.balign	0x80
	save_volatile
	to_core_stack
	bl	trap_serror
	leave

	// Lower EL, AArch32: from an AArch64 EL1 (HCR_EL2.RW) exits come to the vectors above.
	el2_vector 12
	el2_vector 13
	el2_vector 14
	el2_vector 15

	.text
	.balign	64
change:
	ldr	x1, [sp]
	cbz	x1, enter_all		// entry_forget()
	save_kept x1
enter_all:
	str	x0, [sp]
enter_same:
	load_kept x0
	enter_volatile

left:	leave

	// An event's send: x1 to x6 are 0 afterwards, or else it is a call as any other.
send:	orr	x0, x2, x3
	orr	x0, x0, x4
	orr	x0, x0, x5
	orr	x0, x0, x6
	cbnz	x0, call
	ldr	x1, [sp, #X(1)]
	stp	x16, x17, [sp, #X(16)]
	str	x30, [sp, #X(30)]
	to_core_stack
	bl	trap_send
	cbnz	w0, sent
	ldr	x1, [sp]
	mov	sp, x1
	ldp	x16, x17, [sp, #X(16)]
	ldr	x30, [sp, #X(30)]
	mov	x1, #0
	mov	x2, #0
	mov	x3, #0
	mov	x4, #0
	mov	x5, #0
	mov	x6, #0
	eret
	dsb	nsh
	isb

	// Something is left to do: the rest is saved.
sent:	mov	w1, w0
	ldr	x0, [sp]
	stp	xzr, xzr, [x0, #X(2)]
	stp	xzr, xzr, [x0, #X(4)]
	stp	xzr, x7, [x0, #X(6)]
	stp	x8, x9, [x0, #X(8)]
	stp	x10, x11, [x0, #X(10)]
	bl	trap_sent
	b	left

lower_sync:
	save_more
	save_kept sp
	to_core_stack
	bl	trap_sync
	cbnz	x0, enter_all
	ldr	x0, [sp]
	b	enter_same

	// The first time on this core: its stack begins anew.
	.global arch_enter
arch_enter:
	bti	c
	ldr	x1, [x0, #CORE_STACK]
	mov	sp, x1
	b	enter_all

	// void entry_forget(struct arch_vcpu *vcpu). It is reset: if this exit is its own, what the
	// registers still have of it is of no vCPU any more.
	.global entry_forget
entry_forget:
	bti	c
	ldr	x1, [x0, #CORE_STACK]
	ldr	x2, [x1]
	cmp	x2, x0
	b.ne	1f
	str	xzr, [x1]
1:	ret

	// x0 = vector number. A stack of its own, for the stack may be what overflowed. Two functions
	// below expect an exception: it is their result, and of x0 to x30 only x0, x2, x3 change.
el2_exception:
	mrs	x2, elr_el2
	adr	x3, probe_load
	cmp	x2, x3
	adr	x3, answer_false
	b.eq	2f
	adr	x3, serror_window
	sub	x2, x2, x3
	tst	x2, #~12		// one of the window's three instructions, or the next
	adr	x3, answer_true
	b.eq	2f
	adrp	x4, fault_stack_top
	add	x4, x4, :lo12:fault_stack_top
	mov	sp, x4
	mrs	x1, esr_el2
	mrs	x2, elr_el2
	mrs	x3, far_el2
	b	trap_el2
2:	msr	elr_el2, x3
	mrs	x2, spsr_el2
	orr	x2, x2, #0x100		// PSTATE.A: an SError that stays is not taken again
	msr	spsr_el2, x2
	eret

	// bool cpu_probe(const void *address, u32 *value). DDI 0487 D17: an external abort on a load is
	// synchronous on the cores we know.
	.global cpu_probe
cpu_probe:
	dsb	sy
probe_load:
	ldr	w2, [x0]
	dsb	sy
	str	w2, [x1]
answer_true:
	mov	w0, #1
	ret

	// bool cpu_take_serror(void). DDI 0487 D1.3.5: unmasked, an SError that is pending is taken at
	// the latest at the ISB; where there is RAS (A2.9, else a NOP) the ESB makes pending what is on
	// its way.
	.global cpu_take_serror
cpu_take_serror:
	dsb	sy
	msr	daifclr, #4
serror_window:
	hint	#16			// ESB
	isb
	msr	daifset, #4
answer_false:
	mov	w0, #0
	ret

	.bss
	.balign	16
	.space	2048
fault_stack_top:
