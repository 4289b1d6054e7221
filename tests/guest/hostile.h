/*
 * What the attackers share: knowing their victims, doing something that may raise any exception and
 * going on after it, executing an instruction made at run time, and looking at their own tables.
 *
 *	hostile_begin();                says HELLO to the victims, and waits until they are at work
 *	hostile_try_asm(fn, a, b, c);   calls a function; whatever exception it raises ends it
 *	hostile_end();                  the victims may stop
 */
#pragma once

#include "guests/lib/runtime.h"
#include "tests/guest/bootargs.h"
#include "tests/guest/random.h"
#include "tests/guest/victim_words.h"

#define HOSTILE_VICTIMS 2u

#define EC_UNDEFINED	0x00u
#define EC_INSTRUCTION	0x21u /* abort, same level */
#define EC_DATA		0x25u
#define EC_OF(syndrome) ((uint32_t)((syndrome) >> 26 & 63))
#define FAULT_EXTERNAL	0x10u /* synchronous external abort, not on a table walk */

#define UNMAPPED   0x20000000ul
#define BEYOND_RAM 0x80000000ul
#define NO_DEVICE  0x0a100000ul /* between virtio-mmio and Weir's pages */

/* ---- Victims --------------------------------------------------------------------------------- */

static weir_handle hostile_victim[HOSTILE_VICTIMS];

/* Which life this is, by what the victims say: those of them that there are must agree. */
static inline uint32_t hostile_begin(void)
{
	static char name[] = "attack00";
	uint64_t life = 0;

	name[7] = (char)('0' + bootargs_number("me", 0));
	for (uint32_t i = 0; i < HOSTILE_VICTIMS; i++) {
		name[6] = (char)('0' + i);
		if (weir_port_find(weir_here(), name, &hostile_victim[i]) != WEIR_OK)
			continue;
		weir_port_publish(hostile_victim[i], WORD_HELLO);
		do {
			weir_port_peer(hostile_victim[i], &life, NULL);
			__asm__ volatile("yield");
		} while ((life & WORD_LIFE_MASK) != WORD_LIFE);
		weir_port_publish(hostile_victim[i], life);
	}
	return (uint32_t)life;
}

static inline void hostile_end(void)
{
	for (uint32_t i = 0; i < HOSTILE_VICTIMS; i++)
		if (hostile_victim[i])
			weir_port_publish(hostile_victim[i], WORD_DONE);
}

/* ---- Exceptions ------------------------------------------------------------------------------ */

/* What the assembly below saves, and what it has seen. One for each vCPU, found by MPIDR_EL1, which is the one register
 * that no attack can change. */
struct hostile_attempt {
	uint64_t x19_to_x30[12], sp, spsel, daif, vectors;
	uint64_t syndrome, address, pc, pstate;
};

extern struct hostile_attempt hostile_attempts[CPUS_MAX];
struct hostile_attempt hostile_attempts[CPUS_MAX];

/* True if an exception of EL1 or EL0 ended fn; interrupts are masked meanwhile. */
bool hostile_try_asm(uint64_t (*fn)(uint64_t, uint64_t, uint64_t), uint64_t a, uint64_t b,
		     uint64_t c);

__asm__(".pushsection .text.hostile, \"ax\"\n"
	"	.balign 2048\n"
	"hostile_vectors:\n"
	"	.rept 16\n"
	"	.balign 128\n"
	"	b	hostile_caught\n"
	"	.endr\n"
	"	.balign 128\n"
	/* x9 = this vCPU's struct hostile_attempt */
	"	.macro	hostile_self\n"
	"	mrs	x9, mpidr_el1\n"
	"	and	x9, x9, #15\n"
	"	mov	x10, #160\n"
	"	mul	x9, x9, x10\n"
	"	adrp	x10, hostile_attempts\n"
	"	add	x10, x10, :lo12:hostile_attempts\n"
	"	add	x9, x9, x10\n"
	"	.endm\n"
	"	.global hostile_try_asm\n"
	"hostile_try_asm:\n"
	"	hostile_self\n"
	"	stp	x19, x20, [x9]\n"
	"	stp	x21, x22, [x9, #16]\n"
	"	stp	x23, x24, [x9, #32]\n"
	"	stp	x25, x26, [x9, #48]\n"
	"	stp	x27, x28, [x9, #64]\n"
	"	stp	x29, x30, [x9, #80]\n"
	"	mov	x10, sp\n"
	"	mrs	x11, spsel\n"
	"	stp	x10, x11, [x9, #96]\n"
	"	mrs	x10, daif\n"
	"	mrs	x11, vbar_el1\n"
	"	stp	x10, x11, [x9, #112]\n"
	"	msr	daifset, #15\n"
	"	adrp	x10, hostile_vectors\n"
	"	add	x10, x10, :lo12:hostile_vectors\n"
	"	msr	vbar_el1, x10\n"
	"	isb\n"
	"	mov	x10, x0\n"
	"	mov	x0, x1\n"
	"	mov	x1, x2\n"
	"	mov	x2, x3\n"
	"	blr	x10\n"
	"	hostile_self\n"
	"	str	x0, [x9, #128]\n"
	"	mov	x0, #0\n"
	"	b	1f\n"
	"hostile_caught:\n"
	"	hostile_self\n"
	"	mrs	x10, esr_el1\n"
	"	mrs	x11, far_el1\n"
	"	stp	x10, x11, [x9, #128]\n"
	"	mrs	x10, elr_el1\n"
	"	mrs	x11, spsr_el1\n"
	"	stp	x10, x11, [x9, #144]\n"
	"	mov	x0, #1\n"
	"1:	ldp	x10, x11, [x9, #96]\n"
	"	msr	spsel, x11\n"
	"	mov	sp, x10\n"
	"	ldp	x19, x20, [x9]\n"
	"	ldp	x21, x22, [x9, #16]\n"
	"	ldp	x23, x24, [x9, #32]\n"
	"	ldp	x25, x26, [x9, #48]\n"
	"	ldp	x27, x28, [x9, #64]\n"
	"	ldp	x29, x30, [x9, #80]\n"
	"	ldp	x10, x11, [x9, #112]\n"
	"	msr	vbar_el1, x11\n"
	"	msr	daif, x10\n"
	"	isb\n"
	"	ret\n"
	"	.popsection\n");

_Static_assert(sizeof(struct hostile_attempt) == 160, "hostile_self counts on it");

static inline struct hostile_attempt *hostile_self(void)
{
	uint64_t mpidr;

	__asm__("mrs %0, mpidr_el1" : "=r"(mpidr));
	return &hostile_attempts[mpidr & (CPUS_MAX - 1)];
}

/* ---- Tables ---------------------------------------------------------------------------------- */

#define TABLE_ADDRESS 0x0000fffffffff000ul
#define NO_EXECUTE    (3ul << 53)

extern uint64_t mmu_level1[512];

static inline void hostile_tables_changed(void)
{
	__asm__ volatile("dsb ish\n\ttlbi vmalle1is\n\tdsb ish\n\tisb" ::: "memory");
}

/* The entry of the last level that maps this address of the first 2 MiB of RAM. */
static inline uint64_t *hostile_entry(const void *address)
{
	uint64_t va = (uint64_t)address, *table = mmu_level1;

	table = (uint64_t *)(table[va >> 30 & 511] & TABLE_ADDRESS);
	table = (uint64_t *)(table[va >> 21 & 511] & TABLE_ADDRESS);
	return &table[va >> 12 & 511];
}

/*
 * A page of RAM, executable and writable at once.
 */
static inline void hostile_make_executable(const void *page)
{
	*hostile_entry(page) &= ~NO_EXECUTE;
	hostile_tables_changed();
}

/* The first GiB, devices and all, again: as Normal memory, writable and executable. */
#define NORMAL_ALIAS (100ul << 30)

static inline void hostile_alias(void)
{
	/* MAIR index 1, inner shareable, accessed, a block. guests/lib/mmu.c. */
	mmu_level1[NORMAL_ALIAS >> 30] = 1ul << 2 | 3ul << 8 | 1ul << 10 | 1ul;
	hostile_tables_changed();
}

/* ---- Instructions ---------------------------------------------------------------------------- */

#define INSTRUCTION_RET 0xd65f03c0u
/*
 * A write of ICC_BPR1_EL1, whatever the general register. Its field is three bits wide (IHI 0069 12.2.5), but QEMU 10.0
 * takes a value such as 8 for more than the least there may be, keeps its three zeros, and fails an assertion of its own
 * at the next interrupt. So what is written there is x0 or x1, three bits of it.
 */
#define IS_MSR_BPR1(instruction) (((instruction) & ~31u) == 0xd518cc60u)

/* Room for instructions with a `ret` behind each; x0..x3 are its arguments, x0 its result. */
static uint32_t hostile_code[PAGE_SIZE / 4] __attribute__((aligned(4096)));

static inline void hostile_code_written(void)
{
	uint64_t address = (uint64_t)hostile_code;

	for (uint64_t at = address; at < address + sizeof(hostile_code); at += 16)
		__asm__ volatile("dc cvau, %0" ::"r"(at) : "memory");
	__asm__ volatile("dsb ish" ::: "memory");
	for (uint64_t at = address; at < address + sizeof(hostile_code); at += 16)
		__asm__ volatile("ic ivau, %0" ::"r"(at) : "memory");
	__asm__ volatile("dsb ish\n\tisb" ::: "memory");
}

#define HOSTILE_SLOTS (PAGE_SIZE / 8)

static inline void hostile_put(uint32_t slot, uint32_t instruction)
{
	hostile_code[2 * slot] = IS_MSR_BPR1(instruction) ? instruction & ~30u : instruction;
	hostile_code[2 * slot + 1] = INSTRUCTION_RET;
}

/* Executes one; true if it raised an exception. */
static inline bool hostile_run(uint32_t slot, uint64_t x0, uint64_t x1, uint64_t x2)
{
	uint64_t kept = IS_MSR_BPR1(hostile_code[2 * slot]) ? 7 : ~0ull;

	return hostile_try_asm(
		(uint64_t(*)(uint64_t, uint64_t, uint64_t))(uint64_t)&hostile_code[2 * slot],
		x0 & kept, x1 & kept, x2);
}
