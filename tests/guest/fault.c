/* A guest that does what it may not gets the exception that hardware would raise, and goes on. */
#include "tests/guest/tap.h"

#define EC_UNDEFINED   0x00u
#define EC_DATA	       0x25u /* data abort, same level */
#define FAULT_EXTERNAL 0x10u /* synchronous external abort, not on a table walk */
#define SYNDROME_WRITE (1u << 6)
#define UNMAPPED_DEVICE \
	0x0a100000ul /* between virtio-mmio and Weir's pages: devices for stage 1 \
		      */
#define UNMAPPED_MEMORY 0x20000000ul
#define BEYOND_RAM	0x80000000ul

/* Written by the handler at any instruction. */
static volatile struct exception seen;
static volatile uint32_t exceptions;

static bool note(struct exception *exception)
{
	seen = *exception;
	exceptions++;
	exception->pc += 4;
	return true;
}

static uint32_t class(void)
{
	return (uint32_t)(seen.syndrome >> 26 & 63);
}

static void expect(void)
{
	exceptions = 0;
	exception_handle(note);
}

static void check_abort(uint64_t address)
{
	CHECK_IS(exceptions, 1);
	CHECK_IS(class(), EC_DATA);
	CHECK_IS(seen.syndrome & 0x3f, FAULT_EXTERNAL);
	CHECK_IS(seen.address, address);
}

TEST(reading_what_is_not_there_aborts)
{
	static const uint64_t addresses[] = { UNMAPPED_DEVICE, UNMAPPED_MEMORY, BEYOND_RAM,
					      0x0e400000 };

	for (unsigned int i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		expect();
		*(volatile uint32_t *)addresses[i];
		check_abort(addresses[i]);
	}
}

TEST(writing_what_is_not_there_aborts)
{
	expect();
	*(volatile uint64_t *)(UNMAPPED_DEVICE + 8) = 1;
	check_abort(UNMAPPED_DEVICE + 8);
	CHECK(seen.syndrome & SYNDROME_WRITE);
}

/* No syndrome describes these: EL2 could not emulate them even if a device were there. */
TEST(pair_and_exclusive_accesses_abort)
{
	uint64_t a, b;

	expect();
	__asm__ volatile("ldp %0, %1, [%2]" : "=&r"(a), "=&r"(b) : "r"(UNMAPPED_MEMORY) : "memory");
	check_abort(UNMAPPED_MEMORY);
	expect();
	__asm__ volatile("ldxr %0, [%1]" : "=&r"(a) : "r"(UNMAPPED_MEMORY) : "memory");
	check_abort(UNMAPPED_MEMORY);
	/* An emulated device, reached by an access that cannot be emulated. */
	expect();
	__asm__ volatile("ldp %0, %1, [%2]" : "=&r"(a), "=&r"(b) : "r"(0x09000000ul) : "memory");
	check_abort(0x09000000);
}

TEST(the_window_is_empty_without_a_grant)
{
	uint64_t window = (uint64_t)weir_region(WEIR_REGION_WINDOW).base;

	expect();
	*(volatile uint64_t *)window;
	check_abort(window);
}

/* What the UART and the GIC do not have reads as zero, as in the manuals; 64 bits the UART cannot.
 */
TEST(devices_answer_odd_accesses)
{
	expect();
	CHECK_IS(*(volatile uint32_t *)0x09000100, 0);
	CHECK_IS(*(volatile uint8_t *)0x09000fe0, 0x11);
	CHECK_IS(exceptions, 0);
	*(volatile uint64_t *)0x09000000;
	check_abort(0x09000000);
}

TEST(undefined_instructions_are_undefined)
{
	expect();
	__asm__ volatile(".inst 0x00000000");
	CHECK_IS(exceptions, 1);
	CHECK_IS(class(), EC_UNDEFINED);
}

TEST(registers_of_el2_are_undefined)
{
	uint64_t value = 0;

	expect();
	__asm__ volatile("mrs %0, hcr_el2" : "+r"(value));
	CHECK_IS(exceptions, 1);
	CHECK_IS(class(), EC_UNDEFINED);
	__asm__ volatile("msr vbar_el2, %0" ::"r"(value));
	CHECK_IS(exceptions, 2);
	__asm__ volatile("mrs %0, s3_4_c1_c1_1" : "+r"(value)); /* MDCR_EL2 */
	CHECK_IS(exceptions, 3);
}

/* An encoding that the architecture has not given a meaning yet, nor left to the implementation (CRn 11 and 15). */
TEST(unknown_system_registers_are_undefined)
{
	uint64_t value;

	expect();
	__asm__ volatile("mrs %0, s3_3_c13_c15_7" : "=r"(value));
	CHECK_IS(exceptions, 1);
	CHECK_IS(class(), EC_UNDEFINED);
}

/* A guest's system register file: every ID register answers, reserved ones as zero. */
TEST(every_id_register_answers)
{
	uint64_t value;

	expect();
	__asm__ volatile("mrs %0, s3_0_c0_c4_0" : "=r"(value)); /* ID_AA64PFR0 */
	CHECK_IS(value & 0xf, 1);
	CHECK_IS(value >> 8 & 0xf, 0); /* no EL2 */
	__asm__ volatile("mrs %0, s3_0_c0_c7_7" : "=r"(value));
	__asm__ volatile("mrs %0, s3_0_c0_c3_7" : "=r"(value));
	CHECK_IS(value, 0);
	__asm__ volatile("mrs %0, s3_0_c0_c4_4" : "=r"(value)); /* ID_AA64ZFR0: no SVE */
	CHECK_IS(value, 0);
	CHECK_IS(exceptions, 0);
}

TEST(the_guest_goes_on)
{
	exception_handle(NULL);
	task_sleep(1000000);
	CHECK(weir_present());
}

TESTS = {
	RUN(reading_what_is_not_there_aborts),	RUN(writing_what_is_not_there_aborts),
	RUN(pair_and_exclusive_accesses_abort), RUN(the_window_is_empty_without_a_grant),
	RUN(devices_answer_odd_accesses),	RUN(undefined_instructions_are_undefined),
	RUN(registers_of_el2_are_undefined),	RUN(unknown_system_registers_are_undefined),
	RUN(every_id_register_answers),		RUN(the_guest_goes_on),
};
TESTS_MAIN
