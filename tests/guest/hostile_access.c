/*
 * Every kind of access to addresses where there is nothing, and to those of emulated devices and of
 * Weir's own pages: each ends, and it ends in what hardware would do, an abort at that address, or
 * the access itself where a device can answer it.
 */
#include "tests/guest/hostile.h"
#include "tests/guest/tap.h"

#define FAULT_ALIGNMENT		0x21u
#define IS_PERMISSION(syndrome) (((syndrome)&0x3c) == 0x0c) /* of stage 1: not for EL0 */
#define GIB			(1ul << 30)
#define EC_MISALIGNED_PC	0x22u
#define STATUS(syndrome)	((uint32_t)((syndrome)&0x3f))
#define RANDOM_WRITES		20000u

/* x0 = address; x1, x2 = data. The words are the manual's (DDI 0487 C6.2). */
enum kind { LOAD, STORE, UNPRIVILEGED, EXECUTE, MAINTENANCE, ATOMIC };

struct access {
	const char *name;
	uint32_t word;
	enum kind kind;
	uint32_t bytes; /* of one general register, so that a device can be emulated; else 0 */
};

static const struct access accesses[] = {
	{ "ldrb", 0x39400001, LOAD, 1 },
	{ "ldrh", 0x79400001, LOAD, 2 },
	{ "ldr w", 0xb9400001, LOAD, 4 },
	{ "ldr x", 0xf9400001, LOAD, 8 },
	{ "ldrsb x", 0x39800001, LOAD, 1 },
	{ "ldrsh w", 0x79c00001, LOAD, 2 },
	{ "ldrsw", 0xb9800001, LOAD, 4 },
	{ "ldr wzr", 0xb940001f, LOAD, 4 },
	{ "ldtr w", 0xb8400801, UNPRIVILEGED, 0 },
	{ "ldr w, post", 0xb8404401, LOAD, 0 },
	{ "ldr w, pre", 0xb8400c01, LOAD, 0 },
	{ "ldp w", 0x29400801, LOAD, 0 },
	{ "ldp x", 0xa9400801, LOAD, 0 },
	{ "ldnp x", 0xa8400801, LOAD, 0 },
	{ "ldpsw", 0x69400801, LOAD, 0 },
	{ "ldr b", 0x3d400001, LOAD, 0 },
	{ "ldr d", 0xfd400001, LOAD, 0 },
	{ "ldr q", 0x3dc00001, LOAD, 0 },
	{ "ldp q", 0xad400801, LOAD, 0 },
	{ "ld1 4v", 0x4c402001, LOAD, 0 },
	{ "ld4 4v", 0x4c400001, LOAD, 0 },
	{ "ldar w", 0x88dffc01, LOAD, 4 },
	{ "ldlar w", 0x88df7c01, LOAD, 4 },
	{ "ldapr w", 0xb8bfc001, LOAD, 4 },
	{ "ldxr w", 0x885f7c01, LOAD, 0 },
	{ "ldaxr x", 0xc85ffc01, LOAD, 0 },
	{ "ldxp x", 0xc87f0801, LOAD, 0 },
	{ "strb", 0x39000001, STORE, 1 },
	{ "strh", 0x79000001, STORE, 2 },
	{ "str w", 0xb9000001, STORE, 4 },
	{ "str x", 0xf9000001, STORE, 8 },
	{ "str wzr", 0xb900001f, STORE, 4 },
	{ "sttr w", 0xb8000801, UNPRIVILEGED, 0 },
	{ "str w, post", 0xb8004401, STORE, 0 },
	{ "stp w", 0x29000801, STORE, 0 },
	{ "stp x", 0xa9000801, STORE, 0 },
	{ "stp x, pre", 0xa9800801, STORE, 0 },
	{ "str q", 0x3d800001, STORE, 0 },
	{ "stp q", 0xad000801, STORE, 0 },
	{ "st1 4v", 0x4c002001, STORE, 0 },
	{ "stlr w", 0x889ffc01, STORE, 4 },
	{ "stllr w", 0x889f7c01, STORE, 4 },
	{ "stxr w", 0x88037c01, ATOMIC, 0 },
	{ "stlxp x", 0xc8238801, ATOMIC, 0 },
	{ "ldadd w", 0xb8210002, ATOMIC, 0 },
	{ "ldset x", 0xf8e13002, ATOMIC, 0 },
	{ "ldclrb", 0x38211002, ATOMIC, 0 },
	{ "swp w", 0xb8218002, ATOMIC, 0 },
	{ "cas w", 0x88a17c02, ATOMIC, 0 },
	{ "casal x", 0xc8e1fc02, ATOMIC, 0 },
	{ "casp x", 0x48207c02, ATOMIC, 0 },
	{ "stadd x", 0xf821001f, ATOMIC, 0 },
	{ "blr", 0xd61f0000, EXECUTE, 0 }, /* br x0 */
	{ "prfm", 0xf9800000, MAINTENANCE, 0 },
	{ "prfm pst", 0xf9800010, MAINTENANCE, 0 },
	{ "dc zva", 0xd50b7420, MAINTENANCE, 0 },
	{ "dc ivac", 0xd5087620, MAINTENANCE, 0 },
	{ "dc cvac", 0xd50b7a20, MAINTENANCE, 0 },
	{ "dc cvau", 0xd50b7b20, MAINTENANCE, 0 },
	{ "dc cvap", 0xd50b7c20, MAINTENANCE, 0 },
	{ "dc civac", 0xd50b7e20, MAINTENANCE, 0 },
	{ "ic ivau", 0xd50b7520, MAINTENANCE, 0 },
	{ "at s1e1r", 0xd5087800, MAINTENANCE, 0 },
	{ "at s1e1w", 0xd5087820, MAINTENANCE, 0 },
	{ "at s1e0r", 0xd5087840, MAINTENANCE, 0 },
	{ "at s12e1r", 0xd50c7800, MAINTENANCE, 0 },
	{ "tlbi vae1", 0xd5088720, MAINTENANCE, 0 },
	{ "tlbi vaale1is", 0xd50883e0, MAINTENANCE, 0 },
	{ "tlbi ipas2e1", 0xd50c8420, MAINTENANCE, 0 },
	{ "ld64b", 0xf83fd000, LOAD, 0 },
	{ "st64b", 0xf83f9000, STORE, 0 },
	{ "ldg", 0xd9600001, LOAD, 0 },
	{ "stg", 0xd9200801, STORE, 0 },
	{ "stzgm", 0xd9200001, STORE, 0 },
};

#define ACCESSES (sizeof(accesses) / sizeof(accesses[0]))

static struct random random = { 4 };

TEST(it_has_victims)
{
	hostile_begin();
	CHECK(hostile_victim[0] && hostile_victim[1]);
	hostile_make_executable(hostile_code);
	hostile_alias();
	for (uint32_t i = 0; i < ACCESSES; i++)
		hostile_put(i, accesses[i].word);
	hostile_code_written();
}

/* What an abort has to say. An instruction that this CPU does not have is undefined wherever it points. */
static void check_end(const struct access *access, uint64_t address, bool aborted)
{
	const struct hostile_attempt *attempt = hostile_self();
	uint32_t class = EC_OF(attempt->syndrome);
	/* Devices are not executable in our own tables, nor is anything there for EL0. */
	bool by_stage_1 = access->kind == UNPRIVILEGED || access->kind == EXECUTE;

	if (!aborted) {
		CHECK(access->kind == MAINTENANCE || access->kind == ATOMIC);
	} else if (class == EC_UNDEFINED || class == EC_MISALIGNED_PC) {
		CHECK((access->kind == EXECUTE) == (class == EC_MISALIGNED_PC));
	} else {
		CHECK_IS(class, access->kind == EXECUTE ? EC_INSTRUCTION : EC_DATA);
		CHECK(STATUS(attempt->syndrome) == FAULT_EXTERNAL ||
		      STATUS(attempt->syndrome) == FAULT_ALIGNMENT ||
		      (by_stage_1 && IS_PERMISSION(attempt->syndrome)));
		CHECK_IS(attempt->address & ~63ul, address & ~63ul);
	}
	if (tap_failure.line)
		printf("# %s at %lx: %d, syndrome %lx\n", access->name, address, aborted,
		       attempt->syndrome);
}

static void try_all(uint64_t address)
{
	for (uint32_t i = 0; i < ACCESSES && !tap_failure.line; i++)
		check_end(&accesses[i], address, hostile_run(i, address, 0, 0));
}

TEST(where_nothing_is_every_access_aborts)
{
	static const uint64_t addresses[] = { UNMAPPED,	  BEYOND_RAM, NO_DEVICE,  0x0e400000,
					      0x0dfff000, 0x0ffff000, 0x3ffff000, 0x10000000 };

	for (uint32_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		try_all(addresses[i]);
		if (addresses[i] < GIB)
			try_all(NORMAL_ALIAS + addresses[i]);
	}
}

TEST(unaligned_accesses_abort_as_well)
{
	for (uint64_t offset = 1; offset < 16; offset++) {
		try_all(UNMAPPED + offset);
		try_all(UNMAPPED + 0x1000 - offset);
		try_all(NO_DEVICE + offset);
	}
}

static void check_device(uint32_t slot, uint64_t address, bool answers)
{
	const struct access *access = &accesses[slot];
	bool aborted = hostile_run(slot, address, 0, 0);
	uint32_t class = EC_OF(hostile_self()->syndrome);

	if (access->kind != LOAD && access->kind != STORE)
		check_end(access, address, aborted);
	else if (answers)
		CHECK(!aborted || class == EC_UNDEFINED);
	else
		CHECK(aborted && (class == EC_DATA || class == EC_UNDEFINED));
	if (tap_failure.line)
		printf("# %s at %lx: %d, syndrome %lx\n", access->name, address, aborted,
		       hostile_self()->syndrome);
}

/* GICD_IIDR and UARTIBRD: harmless, whatever is read or written; as on virt each size has an answer. */
TEST(devices_answer_what_they_can_and_abort_the_rest)
{
	for (uint32_t k = 0; k < ACCESSES && !tap_failure.line; k++) {
		check_device(k, GICD_BASE + 8, accesses[k].bytes != 0);
		check_device(k, UART_BASE + 0x24, accesses[k].bytes && accesses[k].bytes <= 4);
	}
}

/* The same devices seen as memory: unaligned accesses get past stage 1. */
TEST(devices_seen_as_memory_are_still_devices)
{
	static const uint64_t addresses[] = { 0x08000008, 0x08000009, 0x0800000e, 0x09000024,
					      0x09000025, 0x09000ffd, 0x0800ffff };

	for (uint32_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		for (uint32_t k = 0; k < ACCESSES; k++)
			if (accesses[k].kind != EXECUTE)
				hostile_run(k, NORMAL_ALIAS + addresses[i], 0, 0);
	/* And they are not executable, which an abort says. */
	for (uint32_t k = 0; k < ACCESSES; k++) {
		if (accesses[k].kind != EXECUTE)
			continue;
		for (uint32_t i = 0; i < 4; i += 3) {
			CHECK(hostile_run(k, NORMAL_ALIAS + (addresses[i] & ~3ul), 0, 0));
			CHECK_IS(EC_OF(hostile_self()->syndrome), EC_INSTRUCTION);
		}
	}
}

/* Read-only for us, and nothing there is executable, whatever our own tables say. */
TEST(pages_of_weir_are_not_executed_and_out_is_not_written)
{
	uint64_t in = (uint64_t)weir_here()->in, out = (uint64_t)weir_here()->out;

	for (uint32_t k = 0; k < ACCESSES; k++) {
		bool aborted;

		if (accesses[k].kind == STORE) {
			aborted = hostile_run(k, out + 1024, 0x5a5a, 0x5a5a);
			CHECK(aborted);
			aborted = hostile_run(k, NORMAL_ALIAS + out + 1024, 0x5a5a, 0x5a5a);
			CHECK(aborted);
		} else if (accesses[k].kind == EXECUTE) {
			CHECK(hostile_run(k, NORMAL_ALIAS + in, 0, 0));
			CHECK_IS(EC_OF(hostile_self()->syndrome), EC_INSTRUCTION);
			CHECK(hostile_run(k, NORMAL_ALIAS + out, 0, 0));
		} else {
			hostile_run(k, NORMAL_ALIAS + out + 1024, 0, 0);
			hostile_run(k, NORMAL_ALIAS + in + 3072, 0, 0);
		}
	}
	CHECK_IS(*(const volatile uint64_t *)(out + 1024), 0);
}

static void read_all(uint64_t base, uint64_t bytes)
{
	/* ldrb, ldrh, ldr w, ldr x: the first four. */
	for (uint64_t offset = 0; offset < bytes; offset += 4)
		for (uint32_t k = 0; k < 4; k++)
			hostile_run(k, base + offset, 0, 0);
}

TEST(every_register_of_every_device_is_read)
{
	read_all(GICD_BASE, 0x10000);
	read_all(UART_BASE, 0x1000);
	if (gic_version() == 3)
		read_all(GICR_BASE, 0x40000);
	else
		read_all(GICC_BASE, 0x2000);
}

/*
 * Any value to any register, also where there is none. The interrupt controller is of no use to us
 * after this; the UART's line is printed by the next newline.
 */
TEST(every_register_of_every_device_is_written)
{
	static const uint32_t stores[] = { 27, 28, 29, 30 };
	const uint64_t bases[] = { GICD_BASE, UART_BASE,
				   gic_version() == 3 ? GICR_BASE : GICC_BASE };
	const uint64_t bytes[] = { 0x10000, 0x1000, gic_version() == 3 ? 0x20000 : 0x2000 };

	irq_save();
	__asm__ volatile("msr daifset, #1"); /* interrupts of group 0 may come as FIQs then */
	for (uint32_t i = 0; i < RANDOM_WRITES; i++) {
		uint64_t which = random_below(&random, 3), value = random_next(&random);
		uint64_t offset = random_below(&random, bytes[which]) & ~7ul;

		if (which == 1 && offset == 0)
			continue; /* the console is for the report */
		if (i % 4 == 0)
			value = ~0ul << random_below(&random, 64);
		hostile_run(stores[random_below(&random, 4)], bases[which] + offset, value, value);
	}
}

TEST(it_works_still)
{
	CHECK_IS(weir_event_send(hostile_victim[0]), WEIR_OK);
	hostile_end();
}

TESTS = {
	RUN(it_has_victims),
	RUN(where_nothing_is_every_access_aborts),
	RUN(unaligned_accesses_abort_as_well),
	RUN(devices_answer_what_they_can_and_abort_the_rest),
	RUN(devices_seen_as_memory_are_still_devices),
	RUN(pages_of_weir_are_not_executed_and_out_is_not_written),
	RUN(every_register_of_every_device_is_read),
	RUN(every_register_of_every_device_is_written),
	RUN(it_works_still),
};
TESTS_MAIN
