/*
 * Marks of the places at which an instruction has to stand for the order of memory accesses.
 *
 *	WEIR_ORDERED(S2, stlr, __atomic_store_n(tail, position, __ATOMIC_RELEASE));
 *
 * is the statement itself. Built for AArch64 with -DWEIR_ORDER_MARKS, the program's file (not its
 * image: a section that is not loaded) says too where the statement begins and ends, under which label
 * and with which instruction; tools/check-order then looks whether that is there. Not one
 * instruction is added. Labels come in pairs; the comment at the place says with whom.
 *
 * Of a debugger's kind by its name, so that the linker keeps it, and keeps no code for it.
 */
#pragma once

#if defined(__aarch64__) && defined(WEIR_ORDER_MARKS)
#define WEIR_ORDER_MARK(text)                                                           \
	__asm__ inline volatile("9:\t.pushsection .debug_weir_order, \"\"; .8byte 9b; " \
				".asciz \"" text "\"; .popsection" ::)
#else
#define WEIR_ORDER_MARK(text) ((void)0)
#endif

#define WEIR_ORDERED(label, promise, statement)       \
	do {                                          \
		WEIR_ORDER_MARK(#label " " #promise); \
		statement;                            \
		WEIR_ORDER_MARK(#label);              \
	} while (0)
