/*
 * Looks for the longest paths of the virtual interrupt controller: eight vCPUs on one core, every
 * interrupt of theirs pending and enabled, at all priorities, and each register written so that all
 * of that changes. Another VM does the same, more urgently. For either GIC. It reports nothing; the
 * benchmark build of Weir does.
 */
#include "guests/lib/runtime.h"
#include "tests/bench/access.h"
#include "tests/guest/gic_offsets.h"

#define VCPUS	  8u
#define BANKS	  9u /* of 32 interrupts; bank 0 is the vCPU's own */
#define TIMER	  27u
#define TIMER_BIT (1u << TIMER)

/* Only the timer, at priority 0, passes. */
#define MASK_ALL_BUT_TIMER 8u
#define MASK_ALL	   0u
#define MASK_NONE	   0xffu

#define NAP_NS	   100000 /* every other vCPU looks, and sleeps again */
#define NESTED_MAX 40u
/* So many accesses that some of them last longer than what is left of the slice. */
#define REPEATED 4000u

static bool open;      /* the others take what they have */
static uint32_t awake; /* of the others */

static void set_mask(uint32_t mask)
{
	if (gic_version() == 2)
		mmio_write32(GICC_BASE + GICC_PMR, mask);
	else
		__asm__ volatile("msr s3_0_c4_c6_0, %0\n\tisb" ::"r"((uint64_t)mask));
}

static uint32_t acknowledge(void)
{
	uint64_t intid;

	if (gic_version() == 2)
		return mmio_read32(GICC_BASE + GICC_IAR);
	__asm__ volatile("mrs %0, s3_0_c12_c12_0\n\tdsb sy" : "=r"(intid)::"memory");
	return (uint32_t)intid;
}

static void end(uint32_t intid)
{
	if (gic_version() == 2)
		mmio_write32(GICC_BASE + GICC_EOIR, intid);
	else
		__asm__ volatile("msr s3_0_c12_c12_1, %0" ::"r"((uint64_t)intid) : "memory");
}

/* ---- The others ------------------------------------------------------------------------------ */

/* Asleep with everything pending and masked, but for the time when they take all of it. */
static void lie(void *arg)
{
	uint64_t flags = irq_save();

	(void)arg;
	set_mask(MASK_ALL);
	__atomic_fetch_add(&awake, 1, __ATOMIC_RELAXED);
	while (!__atomic_load_n(&open, __ATOMIC_ACQUIRE))
		__asm__ volatile("dsb sy\n\twfi");
	set_mask(MASK_NONE);
	irq_restore(flags);
	task_sleep(NAP_NS);
}

/* All others sleep afterwards, in WFI. */
static void nap(void)
{
	task_sleep(NAP_NS);
}

/* ---- Everything pending ---------------------------------------------------------------------- */

/* The registers of a bank; those of bank 0 for this vCPU. */
static uint64_t frame_of(uint32_t bank)
{
	return bank == 0 && gic_version() == 3 ? GICR_BASE + GICR_SGI_FRAME : GICD_BASE;
}

static uint8_t priority_of(uint32_t intid)
{
	return intid == TIMER ? 0 : (uint8_t)((intid * 7 % 31 + 1) * 8);
}

static void set_priorities(uint64_t frame, uint32_t bank, uint32_t shift)
{
	for (uint32_t n = 32 * bank; n < 32 * bank + 32; n += 4) {
		uint32_t word = 0;

		for (uint32_t i = 0; i < 4; i++)
			word |= (uint32_t)priority_of(n + i == TIMER ? TIMER : n + i + shift)
				<< 8 * i;
		poke(frame + GICD_IPRIORITYR + n, word);
	}
}

static void route(uint32_t intid, uint32_t shift)
{
	uint32_t targets = 0;

	if (gic_version() == 3) {
		mmio_write64(GICD_BASE + GICD_IROUTER + 8 * intid, (intid + shift) % VCPUS);
		return;
	}
	if (intid % 4)
		return;
	for (uint32_t i = 0; i < 4; i++)
		targets |= 1u << (intid + i + shift) % VCPUS << 8 * i;
	poke(GICD_BASE + GICD_ITARGETSR + intid, targets);
}

static void raise_all_of(uint64_t frame, uint32_t bank)
{
	uint32_t all = bank ? ~0u : ~TIMER_BIT;

	set_priorities(frame, bank, 0);
	if (gic_version() == 3)
		poke(frame + GICD_IGROUPR + 4 * bank, ~0u);
	poke(frame + GICD_ISENABLER + 4 * bank, ~0u);
	if (bank) {
		poke(frame + GICD_ICFGR + 8 * bank, 0xaaaa00aa);
		poke(frame + GICD_ICFGR + 8 * bank + 4, 0xaaaa00aa);
	}
	poke(frame + GICD_ISPENDR + 4 * bank, all);
}

static void raise_everything(void)
{
	for (uint32_t bank = 1; bank < BANKS; bank++) {
		raise_all_of(GICD_BASE, bank);
		for (uint32_t n = 32 * bank; n < 32 * bank + 32; n++)
			route(n, 0);
	}
	raise_all_of(frame_of(0), 0);
	for (uint32_t i = 1; gic_version() == 3 && i < VCPUS; i++)
		raise_all_of(GICR_BASE + i * GICR_BYTES + GICR_SGI_FRAME, 0);
}

/* ---- Every access ---------------------------------------------------------------------------- */

static void change_bits(uint64_t frame, uint32_t bank)
{
	static const uint16_t registers[] = { GICD_ICENABLER, GICD_ISENABLER, GICD_ICPENDR,
					      GICD_ISPENDR,   GICD_ISACTIVER, GICD_ICACTIVER };
	uint32_t all = bank ? ~0u : ~TIMER_BIT;

	for (uint32_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		nap();
		poke(frame + registers[i] + 4 * bank, all);
		nap();
		peek(frame + registers[i] + 4 * bank);
	}
	nap();
	poke(frame + GICD_ISACTIVER + 4 * bank, all & 0x0f0f0f0f); /* half of it stays pending */
	if (gic_version() == 2)
		return;
	nap();
	poke(frame + GICD_IGROUPR + 4 * bank, TIMER_BIT);
	nap();
	poke(frame + GICD_IGROUPR + 4 * bank, ~0u);
}

static void change_bank(uint64_t frame, uint32_t bank)
{
	change_bits(frame, bank);
	for (uint32_t shift = 0; shift < 2; shift++) {
		nap();
		set_priorities(frame, bank, 1 - shift);
	}
	if (!bank)
		return;
	for (uint32_t half = 0; half < 2; half++) {
		nap();
		poke(frame + GICD_ICFGR + 8 * bank + 4 * half, 0x5555aa00);
		poke(frame + GICD_ICFGR + 8 * bank + 4 * half, 0xaaaa00aa);
	}
	for (uint32_t n = 32 * bank; n < 32 * bank + 32; n++) {
		if (n % 8 == 0)
			nap();
		route(n, 3);
		route(n, 0);
	}
}

static void open_and_shut(void)
{
	uint32_t control = peek(GICD_BASE);

	for (uint32_t i = 0; i < 4; i++) {
		nap();
		poke(GICD_BASE, 0);
		poke(GICD_BASE, control | 3);
		nap();
		poke(GICD_BASE, control);
	}
}

/* Each SGI to all others, and to all. */
static void storm(void)
{
	for (uint32_t sgi = 0; sgi < 16; sgi++) {
		nap();
		if (gic_version() == 3)
			__asm__ volatile("msr s3_0_c12_c11_5, %0" ::"r"(1ul << 40 | sgi << 24));
		else
			poke(GICD_BASE + GICD_SGIR, 1u << 24 | sgi);
		nap();
		if (gic_version() == 3)
			__asm__ volatile("msr s3_0_c12_c11_5, %0" ::"r"(sgi << 24 | 0xfful));
		else
			poke(GICD_BASE + GICD_SGIR, 0xffu << 16 | sgi);
	}
	for (uint32_t i = 0; gic_version() == 2 && i < 4; i++) {
		nap();
		poke(GICD_BASE + GICD_SPENDSGIR + 4 * i, ~0u);
		nap();
		poke(GICD_BASE + GICD_CPENDSGIR + 4 * i, 0x0f0f0f0f);
		peek(GICD_BASE + GICD_SPENDSGIR + 4 * i);
	}
}

/* The dearest ones again and again: some end when the slice has ended meanwhile. */
static void repeat(void)
{
	for (uint32_t i = 0; i < REPEATED; i++) {
		uint32_t bank = 1 + i % (BANKS - 1);

		poke(GICD_BASE + GICD_ICENABLER + 4 * bank, ~0u);
		poke(GICD_BASE + GICD_ISENABLER + 4 * bank, ~0u);
		poke(GICD_BASE + GICD_ISPENDR + 4 * bank, ~0u);
		peek(GICD_BASE + GICD_ISPENDR + 4 * bank);
		route(32 * bank + i % 32 / 4 * 4, i);
	}
}

/* As deep as priorities go: acknowledged one in the other, and ended in turn. */
static void nest(void)
{
	uint32_t taken[NESTED_MAX], depth = 0;

	set_mask(MASK_NONE);
	poke(GICD_BASE, peek(GICD_BASE) & ~3u);
	poke(GICD_BASE, peek(GICD_BASE) | 3u);
	for (uint32_t level = 31; level > 0; level--) {
		set_mask(level * 8 + 1);
		for (uint32_t bank = 0; bank < BANKS; bank++)
			poke(frame_of(bank) + GICD_ISPENDR + 4 * bank, bank ? ~0u : ~TIMER_BIT);
	}
	set_mask(MASK_NONE);
	for (; depth < NESTED_MAX; depth++) {
		taken[depth] = acknowledge();
		if ((taken[depth] & 0x3ff) >= 1020)
			break;
	}
	while (depth > 0)
		end(taken[--depth]);
	set_mask(MASK_ALL_BUT_TIMER);
}

/* All vCPUs take everything: the end of each makes room for the next. */
static void take_everything(void)
{
	__atomic_store_n(&open, true, __ATOMIC_RELEASE);
	open_and_shut();
	set_mask(MASK_NONE);
	irq_restore(0);
	for (uint32_t i = 0; i < 20; i++)
		nap();
}

int main(void)
{
	for (uint32_t i = 1; i < VCPUS; i++)
		cpu_start(i, lie, NULL);
	while (__atomic_load_n(&awake, __ATOMIC_RELAXED) < VCPUS - 1)
		nap();
	set_mask(MASK_ALL_BUT_TIMER);
	irq_save();
	raise_everything();
	open_and_shut();
	storm();
	for (uint32_t bank = 0; bank < BANKS; bank++) {
		change_bank(frame_of(bank), bank);
		raise_everything();
	}
	for (uint32_t i = 1; gic_version() == 3 && i < VCPUS; i++)
		change_bank(GICR_BASE + i * GICR_BYTES + GICR_SGI_FRAME, 0);
	raise_everything();
	open_and_shut();
	nest();
	repeat();
	take_everything();
	return 0;
}
