/*
 * A million accesses of every size to the registers of every device that a VM has, any value, from four vCPUs at once:
 * each ends, in the access or in an abort, and afterwards the victims have worked on and so does the VM.
 */
#include "tests/guest/hostile.h"
#include "tests/guest/tap.h"

#define VCPUS	   4u
#define ACCESSES   250000u /* of each vCPU, unless bootargs say `accesses=N` */
#define UART_IMSC  0x38u
#define VIRTIO	   0x0a000000ul
#define VIRTIO_END 0x4000ul

/* ldrb, ldrh, ldr w, ldr x, and the stores: x0 = address, x1 = data. */
static const uint32_t instructions[] = { 0x39400001, 0x79400001, 0xb9400001, 0xf9400001,
					 0x39000001, 0x79000001, 0xb9000001, 0xf9000001 };

#define INSTRUCTIONS (sizeof(instructions) / sizeof(instructions[0]))

/* Where the registers are dense: GICD's and GICR's blocks (IHI 0069, 12.8 and 12.10), of virtio the configuration. */
static const uint16_t blocks[] = { 0x000, 0x080, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380,
				   0x400, 0x480, 0x800, 0x880, 0xc00, 0xf00, 0xf10, 0xfd0 };

#define BLOCKS (sizeof(blocks) / sizeof(blocks[0]))

static uint64_t accesses;
static uint64_t answered[VCPUS], aborted[VCPUS]; /* each vCPU its own */
static uint32_t finished;

struct device {
	uint64_t base, bytes;
};

/* The CPU interface of a GICv2 is the hardware's own: it takes what it gets without Weir. */
static struct device some_device(struct random *random)
{
	static const struct device gic[2] = { { GICD_BASE, 0x10000 }, { GICC_BASE, 0x2000 } };

	switch (random_below(random, 8)) {
	case 0:
	case 1:
	case 2:
		return gic[0];
	case 3:
	case 4:
		if (gic_version() == 2)
			return gic[1];
		return (struct device){ GICR_BASE + 0x10000 * random_below(random, 2 * VCPUS),
					0x10000 };
	case 5:
		return (struct device){ UART_BASE, 0x1000 };
	default:
		return (struct device){ VIRTIO + 0x200 * random_below(random, VIRTIO_END / 0x200),
					0x200 };
	}
}

/* Mostly aligned, mostly where there is a register. */
static uint64_t some_address(struct random *random)
{
	struct device device = some_device(random);
	uint64_t offset = random_below(random, device.bytes), how = random_below(random, 16);

	if (how > 3)
		offset = blocks[offset % BLOCKS] + random_below(random, 0x40);
	if (how != 0)
		offset &= ~7ul;
	offset %= device.bytes;
	if (device.base == UART_BASE && offset < 4)
		offset = UART_IMSC; /* the console is for the report */
	return device.base + offset;
}

static uint64_t some_value(struct random *random)
{
	uint64_t value = random_next(random);

	return value & 1 ? 1ul << (value >> 8 & 63) : value & 2 ? value >> 32 : value;
}

static void attack(uint32_t vcpu)
{
	struct random random = { bootargs_number("seed", 1) << 8 | vcpu };

	for (uint64_t i = 0; i < accesses; i++) {
		uint64_t slot = random_below(&random, INSTRUCTIONS);

		if (hostile_run((uint32_t)slot, some_address(&random), some_value(&random), 0))
			aborted[vcpu]++;
		else
			answered[vcpu]++;
	}
	__atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
}

/* The interrupt controller is of no use to us after this; a GICv2's CPU interface may turn to fast interrupts. */
static void mask_interrupts(void)
{
	__asm__ volatile("msr daifset, #3" ::: "memory");
}

static void attack_beside(void *arg)
{
	mask_interrupts();
	attack((uint32_t)(uint64_t)arg);
	for (;;)
		__asm__ volatile("wfi");
}

TEST(it_has_victims)
{
	hostile_begin();
	accesses = bootargs_number("accesses", ACCESSES);
	CHECK(hostile_victim[0] && hostile_victim[1]);
	hostile_make_executable(hostile_code);
	for (uint32_t i = 0; i < INSTRUCTIONS; i++)
		hostile_put(i, instructions[i]);
	hostile_code_written();
}

TEST(every_access_from_every_vcpu_ends)
{
	mask_interrupts();
	for (uint64_t i = 1; i < VCPUS; i++)
		CHECK_IS(cpu_start((uint32_t)i, attack_beside, (void *)i), 0);
	attack(0);
	while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) != VCPUS)
		__asm__ volatile("yield");
	for (uint32_t i = 0; i < VCPUS; i++) {
		printf("# vCPU %u: %lu accesses, %lu aborts\n", i, answered[i], aborted[i]);
		CHECK_IS(answered[i] + aborted[i], accesses);
		CHECK(answered[i] > accesses / 8 && aborted[i] > 0);
	}
}

TEST(it_works_still)
{
	CHECK_IS(weir_event_send(hostile_victim[0]), WEIR_OK);
	hostile_end();
}

TESTS = {
	RUN(it_has_victims),
	RUN(every_access_from_every_vcpu_ends),
	RUN(it_works_still),
};
TESTS_MAIN
