/* Looking at what the tree says is there (probe.h). */
#include "core/probe.h"

#include "arch/arm64/cpu.h"
#include "arch/arm64/mmu.h"
#include "core/base/log.h"

/* Every device that we know has a register there that may be read at any time. */
#define HARMLESS 4

bool probe_memory(u64 pa, u32 *value)
{
	return !(pa >> 48) && cpu_probe(mmu_window(WINDOW_SOURCE, PA(align_down(pa, 4))), value);
}

void probe_banks(struct platform *platform)
{
	u32 kept = 0, value;

	for (u32 i = 0; i < platform->bank_count; i++) {
		struct range bank = platform->bank[i];
		u64 last = bank.base + bank.bytes - 1;

		if (probe_memory(bank.base, &value) && probe_memory(last, &value))
			platform->bank[kept++] = bank;
		else
			log_line("tree: /memory@%lx: reg: expected memory up to %lx, but nothing "
				 "answers; the bank is not used",
				 bank.base, last);
	}
	platform->bank_count = kept;
}

void *probe_device(const char *what, const struct platform_device *device)
{
	char *registers = mmu_map_device(device->base, min(device->bytes, PAGE_SIZE));
	u32 value;

	if (cpu_probe(registers + HARMLESS, &value))
		return registers;
	log_line("tree: %s@%lx: reg: expected a device, but nothing answers; it is not used", what,
		 device->base.raw);
	return 0;
}
