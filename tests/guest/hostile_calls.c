/*
 * Every call with everything that an argument must not be, beside two victims and a VM that it has no
 * channel to. A call answers with a status that its header names, and then nothing has changed.
 */
#include "tests/guest/bootargs.h"
#include "tests/guest/hostile.h"
#include "tests/guest/tap.h"

#define NOT_SUPPORTED  -1
#define ARGUMENTS      6u
#define SAMPLES	       20000u
#define HANDLE_INDICES 65536u
#define OWNERS	       64u
#define OWNER_PSCI     4u
#define WORST_STATUS   WEIR_FAULT

static weir_handle port;
static uint64_t canary[512], *buffer;
static uint64_t values[64];
static uint32_t value_count;

static struct weir_result call(uint32_t function, const uint64_t *a)
{
	return weir_call(function, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void add_value(uint64_t value)
{
	values[value_count++] = value;
}

/* What an argument may be taken for, and what lies beside it. */
static void make_values(void)
{
	struct region ram = weir_region(WEIR_REGION_RAM), pool = weir_region(WEIR_REGION_POOL),
		      window = weir_region(WEIR_REGION_WINDOW);
	const uint64_t some[] = {
		0,	    1,
		2,	    3,
		4,	    5,
		8,	    31,
		32,	    63,
		64,	    65,
		127,	    128,
		255,	    256,
		257,	    0xfff,
		0x1000,	    0xffff,
		0x10000,    0x10001,
		0x20000,    1ull << 31,
		1ull << 32, (1ull << 32) + 1,
		1ull << 47, 1ull << 48,
		1ull << 52, 1ull << 55,
		1ull << 63, INT64_MAX,
		~0ull,	    ~0ull - 1,
		~0ull << 9, ~0ull << 12,
		0x08000000, 0x080a0000,
		0x09000000, 0x0e000000,
		0x0e001000,
	};

	for (uint32_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		add_value(some[i]);
	add_value(port);
	add_value(port + 1);
	add_value(port + 0x10000);
	add_value(port ^ 1ull << 63);
	add_value((uint64_t)ram.base - 512);
	add_value((uint64_t)ram.base);
	add_value((uint64_t)ram.base + ram.bytes - 512);
	add_value((uint64_t)ram.base + ram.bytes);
	add_value((uint64_t)pool.base);
	add_value(pool.bytes / PAGE_SIZE);
	add_value(pool.bytes / PAGE_SIZE - 1);
	add_value((uint64_t)window.base);
	add_value(window.bytes / PAGE_SIZE);
	add_value((uint64_t)buffer);
	add_value((uint64_t)buffer + 8);
}

/* What is known may be refused, but only as its header says; what is not is not supported. */
static void check_outcome(uint32_t number, const struct weir_result *result)
{
	uint64_t values_or = result->value[0] | result->value[1] | result->value[2];

	CHECK(result->status == WEIR_OK ||
	      (result->status <= WEIR_INVALID && result->status >= WORST_STATUS));
	if (result->status != WEIR_OK)
		CHECK_IS(values_or, 0);
	else if (number == WEIR_FN_GRANT_SHARE)
		CHECK_IS(weir_grant_revoke(result->value[0]), WEIR_OK);
	else if (number == WEIR_FN_PORT_OPEN || number == WEIR_FN_PORT_CONNECT)
		CHECK_IS(weir_port_close(result->value[0]), WEIR_OK);
	if (tap_failure.line)
		printf("# call %u answered %ld\n", number, result->status);
}

static bool is_known(uint32_t number)
{
	const uint64_t none[ARGUMENTS] = { ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull };

	return call(WEIR_FN(number), none).status != NOT_SUPPORTED;
}

/* What came of the calls that succeeded must not fill up what others need. */
static void undo(void)
{
	struct weir_completion completion;

	while (weir_block_next(weir_here(), &completion))
		continue;
	for (uint64_t page = 0; page < 256; page++)
		weir_grant_unmap(page);
	for (uint32_t i = 0; i < HOSTILE_VICTIMS; i++)
		weir_port_mask(hostile_victim[i], false);
}

TEST(it_has_victims)
{
	hostile_begin();
	CHECK(hostile_victim[0] && hostile_victim[1]);
	port = hostile_victim[0];
	buffer = memory_pages(4);
	for (uint32_t i = 0; i < 512; i++)
		canary[i] = ~(uint64_t)i;
	make_values();
	irq_handle(WEIR_INTID_BLOCK, NULL, NULL); /* it would take the cookies for its own */
}

TEST(what_has_no_number_is_not_supported)
{
	const uint64_t none[ARGUMENTS] = { 0 };
	uint32_t known = 0;

	for (uint32_t number = 0; number < WEIR_FN_COUNT; number++)
		known += is_known(number);
	CHECK(known >= 16);
	for (uint32_t number = WEIR_FN_COUNT; number < 0xff00; number++)
		CHECK_IS(call(WEIR_FN(number), none).status, NOT_SUPPORTED);
	for (uint32_t owner = 0; owner < OWNERS; owner++) {
		for (uint32_t i = 0; owner != OWNER_PSCI && i < 64; i++) {
			uint32_t number = i * 1031 & 0xfeff;

			CHECK_IS(call(0x80000000 | owner << 24 | number, none).status,
				 owner == 0 && number < 2 ? call(0x80000000 | number, none).status
							  : NOT_SUPPORTED);
			CHECK_IS(call(owner << 24 | number, none).status, NOT_SUPPORTED);
		}
	}
}

TEST(each_argument_alone_is_checked)
{
	for (uint32_t number = 0; number < WEIR_FN_COUNT; number++) {
		for (uint32_t i = 0; is_known(number) && i < ARGUMENTS * value_count; i++) {
			uint64_t a[ARGUMENTS] = { port, 0, 1 };
			struct weir_result result;

			a[i / value_count] = values[i % value_count];
			result = call(WEIR_FN(number), a);
			check_outcome(number, &result);
		}
		undo();
	}
}

TEST(all_arguments_at_once_are_checked)
{
	struct random random = { 3 };

	for (uint32_t i = 0; i < SAMPLES; i++) {
		uint32_t number = (uint32_t)random_below(&random, WEIR_FN_COUNT);
		uint32_t used = (uint32_t)random_below(&random, ARGUMENTS + 1);
		uint64_t a[ARGUMENTS] = { 0 };
		struct weir_result result;

		for (uint32_t k = 0; k < used; k++)
			a[k] = values[random_below(&random, value_count)];
		result = call(WEIR_FN(number), a);
		if (result.status != NOT_SUPPORTED)
			check_outcome(number, &result);
		if (i % 64 == 0)
			undo();
	}
	undo();
}

/* There is no way to say the port of another VM: all that can be said is tried. */
TEST(ports_of_others_cannot_be_named)
{
	static const uint32_t calls[] = { WEIR_FN_EVENT_SEND, WEIR_FN_PORT_BIND,
					  WEIR_FN_PORT_PEER };
	uint64_t own = 0;

	for (uint64_t index = 0; index < HANDLE_INDICES; index++) {
		for (uint64_t generation = 0; generation < 4; generation++) {
			uint64_t a[ARGUMENTS] = { generation << 16 | index };
			int64_t status = call(WEIR_FN(calls[(index + generation) % 3]), a).status;

			own += status == WEIR_OK;
			CHECK(status == WEIR_OK || status == WEIR_INVALID ||
			      (status == WEIR_STALE && index > 1)); /* it has opened some */
		}
	}
	CHECK_IS(own, HOSTILE_VICTIMS);
}

/* The victims share nothing with us, and the honest VM has no channel to us. */
TEST(what_was_not_granted_is_not_mapped)
{
	for (uint64_t index = 0; index < HANDLE_INDICES / 16; index++) {
		for (uint64_t generation = 0; generation < 3; generation++) {
			uint32_t pages = 0;
			enum weir_status status = weir_grant_map(
				hostile_victim[index % 2],
				generation << 22 | index / 64 % 8 << 16 | index, 0, &pages, NULL);

			CHECK(status == WEIR_INVALID || status == WEIR_STALE ||
			      status == WEIR_DENIED);
			CHECK_IS(pages, 0);
		}
	}
}

static int64_t block(uint64_t operation, uint64_t sector, uint64_t sectors, uint64_t address)
{
	return weir_call(WEIR_FN(WEIR_FN_BLOCK_SUBMIT), operation << 8, sector, sectors, address, 7,
			 0)
		.status;
}

TEST(blocks_stay_on_the_disk)
{
	static const uint64_t starts[] = {
		4096, 4097, 8191, 8192, 1ull << 32, 1ull << 55, ~0ull - 7
	};
	static const uint64_t counts[] = { 1, 8, 1ull << 23, 1ull << 32, 1ull << 55, ~0ull };

	for (uint64_t operation = WEIR_BLOCK_READ; operation <= WEIR_BLOCK_WRITE; operation++) {
		for (uint32_t i = 0; i < 7; i++)
			for (uint32_t k = 0; k < 6; k++)
				CHECK_IS(block(operation, starts[i], counts[k], (uint64_t)buffer),
					 WEIR_INVALID);
		for (uint64_t sectors = 1; sectors < 64; sectors++)
			CHECK_IS(block(operation, 4096 - sectors, sectors + 1, (uint64_t)buffer),
				 WEIR_INVALID);
	}
}

/* Shared pages are those of the pool that a victim may map; their neighbours are not. */
TEST(blocks_stay_in_memory_that_is_its_own)
{
	struct region ram = weir_region(WEIR_REGION_RAM), pool = weir_region(WEIR_REGION_POOL),
		      window = weir_region(WEIR_REGION_WINDOW);
	uint64_t end = (uint64_t)ram.base + ram.bytes, shared = (uint64_t)pool.base + 2 * PAGE_SIZE;
	const uint64_t addresses[] = { (uint64_t)ram.base - 512,
				       end,
				       (uint64_t)window.base,
				       (uint64_t)window.base + window.bytes - 512,
				       0x0e000000,
				       0x0e001000,
				       0x0e002000,
				       0x08000000,
				       0x09000000,
				       1ull << 40,
				       1ull << 47,
				       ~0ull << 9 };
	weir_handle grant = 0;

	CHECK_IS(weir_grant_share(port, 2, 2, WEIR_READ_WRITE, &grant), WEIR_OK);
	for (uint64_t operation = WEIR_BLOCK_READ; operation <= WEIR_BLOCK_WRITE; operation++) {
		for (uint32_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
			for (uint64_t sectors = 1; sectors <= 8; sectors += 7)
				CHECK_IS(block(operation, 0, sectors, addresses[i]), WEIR_FAULT);
		for (uint64_t before = 1; before < 8; before++) {
			CHECK_IS(block(operation, 0, before + 1, end - before * 512), WEIR_FAULT);
			CHECK_IS(block(operation, 0, before + 1, shared - before * 512),
				 WEIR_FAULT);
		}
		for (uint64_t at = shared; at < shared + 2 * PAGE_SIZE; at += 512)
			CHECK_IS(block(operation, 0, 1, at), WEIR_FAULT);
		for (uint64_t odd = 1; odd < 512; odd++)
			CHECK_IS(block(operation, 0, 1, (uint64_t)buffer + odd), WEIR_INVALID);
	}
	CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
}

/*
 * A page that a request in flight names cannot be shared; one that is shared cannot be read into. Only
 * where nothing is promised about time: these requests wait for the host.
 */
TEST(a_page_is_never_shared_and_read_into)
{
	struct region pool = weir_region(WEIR_REGION_POOL);
	uint64_t requests = bootargs_number("requests", 0);
	uint32_t refused = 0;

	for (uint64_t round = 0; round < requests; round++) {
		struct weir_completion completion;
		weir_handle grant = 0;
		int64_t submitted, shared;

		submitted = block(WEIR_BLOCK_READ, 0, 8, (uint64_t)pool.base);
		shared = weir_grant_share(port, 0, 1, WEIR_READ, &grant);
		CHECK_IS(submitted, WEIR_OK);
		CHECK(shared == WEIR_OK || shared == WEIR_BUSY);
		refused += shared == WEIR_BUSY;
		if (shared == WEIR_OK) {
			CHECK_IS(block(WEIR_BLOCK_READ, 0, 8, (uint64_t)pool.base), WEIR_FAULT);
			CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
		}
		while (!weir_block_next(weir_here(), &completion))
			task_sleep(20000);
	}
	CHECK(refused > 0 || !requests);
}

TEST(nothing_has_changed)
{
	for (uint32_t i = 0; i < 512; i++)
		CHECK_IS(canary[i], ~(uint64_t)i);
	task_sleep(1000000);
	CHECK_IS(weir_event_send(port), WEIR_OK);
	hostile_end();
}

TESTS = {
	RUN(it_has_victims),
	RUN(what_has_no_number_is_not_supported),
	RUN(each_argument_alone_is_checked),
	RUN(all_arguments_at_once_are_checked),
	RUN(ports_of_others_cannot_be_named),
	RUN(what_was_not_granted_is_not_mapped),
	RUN(blocks_stay_on_the_disk),
	RUN(blocks_stay_in_memory_that_is_its_own),
	RUN(a_page_is_never_shared_and_read_into),
	RUN(nothing_has_changed),
};
TESTS_MAIN
