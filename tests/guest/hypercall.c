/* The hypercall layer: abi.h. */
#include "tests/guest/tap.h"

#define FIRST_UNKNOWN 3u /* between MEMORY and PORT_FIND nothing has a number */
#define NOT_SUPPORTED -1

static volatile bool aborted; /* written by the handler at any instruction */

static struct weir_result call(uint32_t number, uint64_t a1, uint64_t a2, uint64_t a3)
{
	return weir_call(WEIR_FN(number), a1, a2, a3, 0, 0, 0);
}

TEST(uid_and_revision_tell_who_is_there)
{
	struct weir_result uid = weir_call(WEIR_SMCCC_UID, 0, 0, 0, 0, 0, 0);
	struct weir_result revision = weir_call(WEIR_SMCCC_REVISION, 0, 0, 0, 0, 0, 0);

	CHECK_IS((uint32_t)uid.status, WEIR_UID_0);
	CHECK_IS(uid.value[0], WEIR_UID_1);
	CHECK_IS(uid.value[1], WEIR_UID_2);
	CHECK_IS(uid.value[2], WEIR_UID_3);
	CHECK_IS(revision.status, WEIR_ABI_VERSION);
	CHECK_IS(revision.value[0], 0);
}

TEST(version_is_this_abi)
{
	struct weir_result version = call(WEIR_FN_VERSION, 0, 0, 0);

	CHECK_IS(version.status, WEIR_OK);
	CHECK_IS(version.value[0], WEIR_ABI_VERSION);
	CHECK_IS(version.value[1], 0);
	CHECK_IS(version.value[2], 0);
}

TEST(unknown_numbers_are_not_supported)
{
	static const uint32_t numbers[] = {
		FIRST_UNKNOWN,	   7,	  23,	  31,	 35, WEIR_FN_COUNT,
		WEIR_FN_COUNT + 1, 0x100, 0xfeff, 0xffff
	};

	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct weir_result result = call(numbers[i], 1, 2, 3);

		CHECK_IS(result.status, NOT_SUPPORTED);
		CHECK_IS(result.value[0] | result.value[1] | result.value[2], 0);
	}
	CHECK_IS(weir_call(0x06000000, 0, 0, 0, 0, 0, 0).status, NOT_SUPPORTED);
	CHECK_IS(weir_call(0xffffffff, 0, 0, 0, 0, 0, 0).status, NOT_SUPPORTED);
}

TEST(other_immediates_are_not_supported)
{
	register uint64_t x0 __asm__("x0") = WEIR_FN(WEIR_FN_VERSION);

	__asm__ volatile("hvc #1" : "+r"(x0)::"x1", "x2", "x3", "memory");
	CHECK_IS(x0, NOT_SUPPORTED);
}

/* Each argument that VERSION, PAGES and MEMORY do not name, with a single bit at either end. */
TEST(reserved_arguments_must_be_zero)
{
	static const uint64_t bits[] = { 1, 1ull << 63 };

	for (unsigned int i = 0; i < 2; i++) {
		uint64_t bit = bits[i];

		CHECK_IS(weir_call(WEIR_FN(WEIR_FN_VERSION), bit, 0, 0, 0, 0, 0).status,
			 WEIR_INVALID);
		CHECK_IS(weir_call(WEIR_FN(WEIR_FN_VERSION), 0, bit, 0, 0, 0, 0).status,
			 WEIR_INVALID);
		CHECK_IS(weir_call(WEIR_FN(WEIR_FN_VERSION), 0, 0, bit, 0, 0, 0).status,
			 WEIR_INVALID);
		CHECK_IS(weir_call(WEIR_FN(WEIR_FN_PAGES), 0, 0, 0, bit, 0, 0).status,
			 WEIR_INVALID);
		CHECK_IS(weir_call(WEIR_FN(WEIR_FN_PAGES), 0, 0, 0, 0, bit, 0).status,
			 WEIR_INVALID);
		CHECK_IS(weir_call(WEIR_FN(WEIR_FN_MEMORY), 0, 0, 0, 0, 0, bit).status,
			 WEIR_INVALID);
		CHECK_IS(weir_call(WEIR_FN(WEIR_FN_MEMORY), 0, bit, 0, 0, 0, 0).status,
			 WEIR_INVALID);
	}
}

TEST(results_are_zero_unless_ok)
{
	struct weir_result result = call(WEIR_FN_MEMORY, 3, 0, 0);

	CHECK_IS(result.status, WEIR_INVALID);
	CHECK_IS(result.value[0] | result.value[1] | result.value[2], 0);
}

TEST(memory_tells_the_regions)
{
	struct region ram = weir_region(WEIR_REGION_RAM), pool = weir_region(WEIR_REGION_POOL),
		      window = weir_region(WEIR_REGION_WINDOW);

	CHECK_IS(ram.bytes, 2 << 20);
	CHECK_IS(pool.bytes, 256 << 10);
	CHECK_IS(pool.base + pool.bytes, ram.base + ram.bytes);
	CHECK_IS(window.bytes, 1024 << 10);
	CHECK((uint64_t)window.base % WEIR_PAGE_SIZE == 0);
	CHECK_IS(call(WEIR_FN_MEMORY, 3, 0, 0).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_MEMORY, ~0ull, 0, 0).status, WEIR_INVALID);
}

TEST(pages_stay_where_they_are)
{
	struct weir_result first = call(WEIR_FN_PAGES, 0, 0, 0),
			   second = call(WEIR_FN_PAGES, 0, 0, 0);

	CHECK_IS(first.status, WEIR_OK);
	CHECK(first.value[0] && first.value[1] && first.value[2]);
	CHECK_IS((first.value[0] | first.value[1] | first.value[2]) % WEIR_PAGE_SIZE, 0);
	CHECK_IS(first.value[0], second.value[0]);
	CHECK_IS(first.value[1], second.value[1]);
	CHECK_IS(first.value[2], second.value[2]);
	CHECK_IS(first.value[0], weir_here()->in);
}

/*
 * Fills x4..x30 from `before`, but x4..x6, which are arguments, with zero; makes the call with x1 =
 * `argument`; stores x4..x30 and x1..x3 to `after`. Returns x0.
 */
int64_t call_with_registers(const uint64_t before[27], uint64_t after[30], uint64_t call,
			    uint64_t argument);

__asm__(".global call_with_registers\n"
	"call_with_registers:\n"
	"stp x29, x30, [sp, #-112]!\n"
	"stp x19, x20, [sp, #16]\n"
	"stp x21, x22, [sp, #32]\n"
	"stp x23, x24, [sp, #48]\n"
	"stp x25, x26, [sp, #64]\n"
	"stp x27, x28, [sp, #80]\n"
	"str x1, [sp, #96]\n"
	"ldp x4, x5, [x0, #0]\n"
	"ldp x6, x7, [x0, #16]\n"
	"ldp x8, x9, [x0, #32]\n"
	"ldp x10, x11, [x0, #48]\n"
	"ldp x12, x13, [x0, #64]\n"
	"ldp x14, x15, [x0, #80]\n"
	"ldp x16, x17, [x0, #96]\n"
	"ldp x18, x19, [x0, #112]\n"
	"ldp x20, x21, [x0, #128]\n"
	"ldp x22, x23, [x0, #144]\n"
	"ldp x24, x25, [x0, #160]\n"
	"ldp x26, x27, [x0, #176]\n"
	"ldp x28, x29, [x0, #192]\n"
	"ldr x30, [x0, #208]\n"
	"mov x4, xzr\n"
	"mov x5, xzr\n"
	"mov x6, xzr\n"
	"mov x0, x2\n"
	"mov x1, x3\n"
	"mov x2, xzr\n"
	"mov x3, xzr\n"
	"hvc #0\n"
	"str x0, [sp, #104]\n"
	"ldr x0, [sp, #96]\n"
	"str x1, [x0, #216]\n"
	"stp x2, x3, [x0, #224]\n"
	"stp x4, x5, [x0, #0]\n"
	"stp x6, x7, [x0, #16]\n"
	"stp x8, x9, [x0, #32]\n"
	"stp x10, x11, [x0, #48]\n"
	"stp x12, x13, [x0, #64]\n"
	"stp x14, x15, [x0, #80]\n"
	"stp x16, x17, [x0, #96]\n"
	"stp x18, x19, [x0, #112]\n"
	"stp x20, x21, [x0, #128]\n"
	"stp x22, x23, [x0, #144]\n"
	"stp x24, x25, [x0, #160]\n"
	"stp x26, x27, [x0, #176]\n"
	"stp x28, x29, [x0, #192]\n"
	"str x30, [x0, #208]\n"
	"ldr x0, [sp, #104]\n"
	"ldp x19, x20, [sp, #16]\n"
	"ldp x21, x22, [sp, #32]\n"
	"ldp x23, x24, [sp, #48]\n"
	"ldp x25, x26, [sp, #64]\n"
	"ldp x27, x28, [sp, #80]\n"
	"ldp x29, x30, [sp], #112\n"
	"ret\n");

/* The status, if the call has left x4..x30 alone, and not x1..x3; else 1. */
static int64_t preserved(uint32_t number, uint64_t argument, const uint64_t results[3])
{
	uint64_t before[27], after[30], different = 0;
	int64_t status;

	for (unsigned int i = 0; i < 27; i++)
		before[i] = i < 3 ? 0 : 0x1111111111111111ull * (i % 15 + 1) + i;
	status = call_with_registers(before, after, WEIR_FN(number), argument);
	for (unsigned int i = 0; i < 27; i++)
		different |= before[i] ^ after[i];
	for (unsigned int i = 0; i < 3; i++)
		different |= results[i] ^ after[27 + i];
	return different ? 1 : status;
}

/* Callee-saved registers too: EL2's C code uses them for itself. */
TEST(calls_preserve_the_other_registers)
{
	const uint64_t results[3] = { WEIR_ABI_VERSION };

	CHECK_IS(preserved(WEIR_FN_VERSION, 0, results), WEIR_OK);
}

static bool runs, stop;

static void run(void *arg)
{
	(void)arg;
	SHARED_WRITE(runs, true);
	while (!SHARED_READ(stop))
		__asm__ volatile("yield");
}

/* A send has ways of its own through EL2, by who the receiver is and what it does. */
TEST(sends_preserve_the_other_registers)
{
	static const uint64_t none[3];
	uint64_t flags = irq_save();
	weir_handle port = 0;

	CHECK_IS(weir_port_open_ipi(&port), WEIR_OK);
	CHECK_IS(preserved(WEIR_FN_EVENT_SEND, port, none), WEIR_OK); /* to itself */
	CHECK_IS(preserved(WEIR_FN_EVENT_SEND, port, none), WEIR_OK); /* pending already */
	CHECK_IS(preserved(WEIR_FN_EVENT_SEND, port + 1, none), WEIR_INVALID);
	irq_restore(flags);
	CHECK_IS(weir_port_close(port), WEIR_OK);
	CHECK_IS(preserved(WEIR_FN_EVENT_SEND, port, none), WEIR_STALE);

	CHECK_IS(weir_port_open_ipi(&port), WEIR_OK);
	CHECK_IS(weir_port_bind(port, 1, 0), WEIR_OK);
	CHECK_IS(preserved(WEIR_FN_EVENT_SEND, port, none), WEIR_OK); /* to one that is off */
	CHECK_IS(weir_port_bind(port, 1, 1), WEIR_BUSY);
	CHECK_IS(cpu_start(1, run, NULL), 0);
	CHECK(WAIT(SHARED_READ(runs)));
	CHECK(WAIT(weir_port_bind(port, 1, 1) == WEIR_OK));	      /* it has taken that one */
	CHECK_IS(preserved(WEIR_FN_EVENT_SEND, port, none), WEIR_OK); /* to one that runs */
	CHECK(WAIT(weir_port_bind(port, 1, 2) == WEIR_OK));
	SHARED_WRITE(stop, true);
}

static bool skip(struct exception *exception)
{
	aborted = true;
	exception->pc += 4;
	return true;
}

TEST(the_out_page_and_the_event_rings_are_read_only)
{
	struct weir_pages *pages = weir_here();

	exception_handle(skip);
	*(volatile uint64_t *)&pages->out->upcall_sequence = 1;
	CHECK(aborted);
	aborted = false;
	*(volatile uint32_t *)pages->event_rings = 1;
	CHECK(aborted);
	aborted = false;
	*(volatile uint8_t *)pages->in->buffer = 1;
	CHECK(!aborted);
	exception_handle(NULL);
}

TESTS = {
	RUN(uid_and_revision_tell_who_is_there),
	RUN(version_is_this_abi),
	RUN(unknown_numbers_are_not_supported),
	RUN(other_immediates_are_not_supported),
	RUN(reserved_arguments_must_be_zero),
	RUN(results_are_zero_unless_ok),
	RUN(memory_tells_the_regions),
	RUN(pages_stay_where_they_are),
	RUN(calls_preserve_the_other_registers),
	RUN(sends_preserve_the_other_registers),
	RUN(the_out_page_and_the_event_rings_are_read_only),
};
TESTS_MAIN
