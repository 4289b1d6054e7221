/*
 * Starting the other cores (cpu.h).
 *
 * They come up with caches and MMU off, and find in memory what is theirs: the release word of a spin
 * table, which is cleaned to there. All else they read through the caches when their MMU is on (boot.S);
 * a DSB stands between what was written for them (tables, stack, number) and the start.
 */
#include "arch/arm64/cache.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/layout.h"
#include "arch/arm64/mmu.h"
#include "arch/arm64/sysreg.h"

/* Arm DEN 0022 (PSCI) 5.1. */
#define PSCI_CPU_ON 0xc4000003u

_Static_assert(SPIN_ENTRIES == MAX_PCPUS, "a core has an entry of its own");

extern const char secondary_entry[], spin_entries[], image_start[];

static u64 physical(const char *in_image)
{
	return mmu_image_pa().raw + (u64)(in_image - image_start);
}

s32 cpu_start_psci(u32 index, u64 mpidr)
{
	dsb(sy);
	return cpu_psci(PSCI_CPU_ON, mpidr, physical(secondary_entry), index);
}

void cpu_start_spin_table(u32 index, pa_t release)
{
	u64 *word = mmu_window(WINDOW_TARGET, release);

	*word = physical(spin_entries) + index * SPIN_ENTRY_BYTES;
	cache_clean_invalidate(word, sizeof(*word));
	sev();
}
