/*
 * A card that is pulled and put back, by who reads `# pull` and `# insert` here; after `# pull and type` that is
 * followed by a line. Sector n of the card starts with the word n; this VM has the first half, another VM the second
 * (card_neighbour.c). Whoever asks for what is not there gets WEIR_IO, each time, and soon.
 */
#include "tests/guest/peer.h"
#include "tests/guest/tap.h"

#define SECTORS 64u   /* of a request: it is under way for some time */
#define WRITTEN 1024u /* from here on it writes */
#define LONGEST 5000u /* ticks */

static uint8_t *buffer;
static weir_handle pair; /* who shares the card says there how many errors it has seen */
static uint64_t ticks;	 /* milliseconds, but that the machine stands still is one, however long */

static void tick(void *arg)
{
	(void)arg;
	for (;; ticks++)
		task_sleep(1000000);
}

static enum weir_status run(enum weir_block_operation operation)
{
	struct block_request request = { .operation = operation,
					 .sector = operation == WEIR_BLOCK_WRITE ? WRITTEN : 0,
					 .sectors = SECTORS,
					 .buffer = buffer };
	uint64_t begun = ticks;
	enum weir_status status = block_run(&request);

	CHECK(ticks - begun < LONGEST);
	return status;
}

/* As often as it takes until the answer changes. */
static enum weir_status run_while(enum weir_status status, enum weir_block_operation operation)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);
	enum weir_status now;

	do
		now = run(operation);
	while (now == status && timer_now() < end);
	return now;
}

static uint64_t word(uint64_t sector)
{
	return *(uint64_t *)(void *)(buffer + sector * WEIR_SECTOR_SIZE);
}

static bool typed(void)
{
	static bool seen;

	seen = seen || uart_get() == '\n';
	return seen;
}

/* For the neighbour too, however late it comes to look. */
static void check_gone(void)
{
	static uint64_t seen;

	for (uint32_t i = 0; i < 3; i++) {
		CHECK_IS(run(WEIR_BLOCK_READ), WEIR_IO);
		CHECK_IS(run(WEIR_BLOCK_WRITE), WEIR_IO);
	}
	CHECK(WAIT(word_of(pair) > seen));
	seen = word_of(pair);
}

static void check_back(void)
{
	printf("# insert\n");
	CHECK_IS(run_while(WEIR_IO, WEIR_BLOCK_READ), WEIR_OK);
	memset(buffer, 0, SECTORS * WEIR_SECTOR_SIZE);
	CHECK_IS(run(WEIR_BLOCK_READ), WEIR_OK);
	for (uint64_t i = 0; i < SECTORS; i++)
		CHECK_IS(word(i), i);
	CHECK_IS(run(WEIR_BLOCK_WRITE), WEIR_OK);
}

TEST(card_works)
{
	static uint8_t stack[4096] __attribute__((aligned(16)));
	static struct task ticker;

	task_create(&ticker, tick, NULL, stack, sizeof(stack));
	CHECK_IS(weir_port_find(weir_here(), "pair", &pair), WEIR_OK);
	buffer = memory_pages(SECTORS * WEIR_SECTOR_SIZE / PAGE_SIZE);
	CHECK(buffer != NULL);
	CHECK_IS(run(WEIR_BLOCK_READ), WEIR_OK);
	CHECK_IS(run(WEIR_BLOCK_WRITE), WEIR_OK);
}

TEST(card_that_is_pulled_while_it_is_read_is_an_error)
{
	printf("# pull\n");
	CHECK_IS(run_while(WEIR_OK, WEIR_BLOCK_READ), WEIR_IO);
	check_gone();
	check_back();
}

TEST(card_that_is_pulled_while_it_is_written_is_an_error)
{
	printf("# pull\n");
	CHECK_IS(run_while(WEIR_OK, WEIR_BLOCK_WRITE), WEIR_IO);
	check_gone();
	check_back();
}

TEST(card_that_was_pulled_between_two_requests_is_an_error)
{
	printf("# pull and type\n");
	CHECK(WAIT(typed()));
	check_gone();
	check_back();
}

TESTS = {
	RUN(card_works),
	RUN(card_that_is_pulled_while_it_is_read_is_an_error),
	RUN(card_that_is_pulled_while_it_is_written_is_an_error),
	RUN(card_that_was_pulled_between_two_requests_is_an_error),
};
TESTS_MAIN
