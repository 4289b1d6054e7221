/*
 * Marks of the places between which tools/bench counts barriers, TLB invalidations and GIC accesses: where a
 * passage of a row begins and ends (tools/weirlib/accesses.py says how marks are written). A mark is an entry of
 * a section that is not loaded, and no instruction: the next one that is executed at this place has it.
 *
 * Of a debugger's kind by its name, so that the linker keeps it, and keeps no code for it.
 */
#pragma once

#define MARK_TEXT(text)                                                                        \
	"9:\n	.pushsection .debug_bench_marks, \"\"\n	.8byte 9b\n	.asciz \"" text "\"\n" \
	"	.popsection\n"
#define MARK(text) __asm__ inline volatile(MARK_TEXT(text)::: "memory")
