/*
 * EL2's virtual addresses and control register values, for C and assembly alike. Everything lies in
 * level-0 slot 511, which no physical address uses. What a small system has lies in the first GiB, so it shares one
 * level-2 table, and image, stacks, windows and the first of the heap share one of level 3.
 */
#pragma once

#define VA_IMAGE      0xff8000000000 /* up to 1 MiB */
#define VA_STACKS     0xff8000100000 /* stacks and windows: pages with holes */
#define VA_HEAP	      0xff8000140000 /* up to 959 MiB */
#define VA_HEAP_END   0xff803c000000
#define VA_MAPPED     0xff803c000000 /* tree, system image (read-only), devices: up to 1088 MiB */
#define VA_MAPPED_END 0xff8080000000

/* Per core: a hole that guards, then the stack. */
#define STACK_BYTES  8192
#define STACK_STRIDE 0x4000
#define STACK_BASE   VA_STACKS
#define VA_WINDOWS   (VA_STACKS + 0x20000)

/* Where cores of a spin table enter, one each. */
#define SPIN_ENTRIES	 8
#define SPIN_ENTRY_BYTES 8

/* MAIR: 0 Device-nGnRE, 1 Normal write-back. */
#define MAIR_VALUE 0xff04
/* T0SZ 16, walks write-back inner shareable, RES1 bits 23 and 31. PS is put in at boot. */
#define TCR_VALUE 0x80803510
/* RES1 bits; on: M, C, SA, I, WXN, BT (a guarded page's target must be a BTI). */
#define SCTLR_OFF   0x30c50830
#define SCTLR_VALUE 0x1030cd183d

/* AArch64 guests, physical interrupts to EL2; the rest is set when a guest is entered. */
#define HCR_BOOT 0x80000038
/* RES1, and FP/SIMD open until the first guest runs: libfdt may use it. */
#define CPTR_BOOT 0x32ff
/*
 * TPMCR TPM TDA TDOSA TDRA TPMS TTRF: guests have no debug, no profiling, no trace, and no PMU
 * unless the manifest says.
 */
#define MDCR_TRAPS 0x84e60
