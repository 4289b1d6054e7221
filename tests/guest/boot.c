/* A VM starts as the boot protocol says, with all its vCPUs, memory, time and interrupts. */
#include "tests/guest/tap.h"

static uint32_t initialised = 0x57656972, zeroed;
static bool fired;
static uint64_t fired_at;
static uint32_t seen_index[CPUS_MAX];

TEST(the_image_is_whole_and_bss_is_zero)
{
	CHECK_IS(initialised, 0x57656972);
	CHECK_IS(zeroed, 0);
}

TEST(main_runs_at_el1_with_the_mmu_on)
{
	uint64_t level, control;

	__asm__("mrs %0, CurrentEL" : "=r"(level));
	__asm__("mrs %0, sctlr_el1" : "=r"(control));
	CHECK_IS(level >> 2, 1);
	CHECK_IS(control & 1, 1);
}

TEST(weir_is_found)
{
	CHECK(weir_present());
	CHECK_IS(weir_region(WEIR_REGION_RAM).base, 0x40000000);
}

TEST(all_private_ram_can_be_written)
{
	uint64_t *page, pages = 0;

	while ((page = memory_pages(1))) {
		CHECK_IS(page[0] | page[511], 0);
		page[0] = page[511] = (uint64_t)page;
		pages++;
	}
	CHECK(pages > 0);
}

static void set_fired(void *arg)
{
	(void)arg;
	fired_at = timer_now();
	SHARED_WRITE(fired, true);
}

TEST(the_timer_interrupts)
{
	uint64_t deadline = timer_now() + timer_ticks(1000000);

	timer_set(deadline, set_fired, NULL);
	CHECK(WAIT(SHARED_READ(fired)));
	CHECK(fired_at >= deadline);
}

static void run_vcpu(void *arg)
{
	SHARED_WRITE(seen_index[(uint64_t)arg], cpu_index());
}

/* How many there are is up to the manifest: PSCI tells by its answer. */
TEST(every_vcpu_starts)
{
	for (uint32_t i = 1; i < CPUS_MAX; i++) {
		if (cpu_start(i, run_vcpu, (void *)(uint64_t)i))
			return;
		CHECK(WAIT(SHARED_READ(seen_index[i])));
		CHECK_IS(seen_index[i], i);
	}
}

TESTS = {
	RUN(the_image_is_whole_and_bss_is_zero),
	RUN(main_runs_at_el1_with_the_mmu_on),
	RUN(weir_is_found),
	RUN(the_timer_interrupts),
	RUN(every_vcpu_starts),
	RUN(all_private_ram_can_be_written),
};
TESTS_MAIN
