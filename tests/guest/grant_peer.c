/* The peer of grant.c: maps what it shares, and does what `control` says. */
#include "tests/guest/grant_commands.h"
#include "tests/guest/tap.h"

#define WORDS	   (PAGE_SIZE / 8)
#define FIRST_PAGE 7u /* of the window */

static weir_handle control, grants;
static struct region window;
static uint32_t mapped_pages;
static volatile uint32_t aborts; /* counted by the handler at any instruction */

static volatile uint64_t *page_words(uint64_t page)
{
	return (volatile uint64_t *)(window.base + (FIRST_PAGE + page) * PAGE_SIZE);
}

static uint64_t differences(bool zero)
{
	uint64_t different = 0;

	for (uint64_t page = 0; page < mapped_pages; page++)
		for (uint64_t word = 0; word < WORDS; word++)
			different += page_words(page)[word] != (zero ? 0 : pattern(page, word));
	return different;
}

static bool skip(struct exception *exception)
{
	aborts++;
	exception->pc += 4;
	return true;
}

static bool map(void)
{
	enum weir_access access = WEIR_READ;
	weir_handle grant = 0;

	weir_port_peer(grants, &grant, NULL);
	CHECK_IS(weir_grant_map(grants, grant, FIRST_PAGE, &mapped_pages, &access), WEIR_OK);
	CHECK_IS(weir_grant_map(grants, grant, FIRST_PAGE, NULL, NULL), WEIR_BUSY);
	CHECK_IS(differences(false), 0);
	return !tap_failure.line;
}

static bool write(void)
{
	for (uint64_t page = 0; page < mapped_pages; page++)
		for (uint64_t word = 0; word < WORDS; word++)
			page_words(page)[word] = ~pattern(page, word);
	return true;
}

static bool read_only(void)
{
	aborts = 0;
	exception_handle(skip);
	for (uint64_t page = 0; page < mapped_pages; page++)
		page_words(page)[3] = 0;
	exception_handle(NULL);
	CHECK_IS(aborts, mapped_pages);
	CHECK_IS(differences(false), 0);
	return !tap_failure.line;
}

static bool unmap(void)
{
	CHECK_IS(weir_grant_unmap(FIRST_PAGE), WEIR_OK);
	CHECK_IS(weir_grant_unmap(FIRST_PAGE), WEIR_NOT_FOUND);
	aborts = 0;
	exception_handle(skip);
	for (uint64_t page = 0; page < mapped_pages; page++)
		(void)page_words(page)[0];
	exception_handle(NULL);
	CHECK_IS(aborts, mapped_pages);
	return !tap_failure.line;
}

static bool revoked(void)
{
	CHECK_IS(differences(true), 0);
	page_words(0)[1] = 0x1234;
	CHECK_IS(page_words(0)[1], 0x1234);
	return !tap_failure.line;
}

/* The first word of a page is 0 only when it is not the sharer's any more. */
static void read_on(void)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);
	uint32_t zero = 0;

	aborts = 0;
	exception_handle(skip);
	while (zero != mapped_pages && timer_now() < end) {
		zero = 0;
		for (uint64_t page = 0; page < mapped_pages; page++)
			zero += page_words(page)[0] == 0;
	}
	exception_handle(NULL);
	CHECK_IS(zero, mapped_pages);
	CHECK_IS(aborts, 0);
}

static bool serve(uint64_t command)
{
	switch (command) {
	case MAP:
		return map();
	case WRITE:
		return write();
	case READ_ONLY:
		return read_only();
	case UNMAP:
		return unmap();
	case REVOKED:
		return revoked();
	default:
		return true;
	}
}

TEST(ports_and_window_are_there)
{
	window = weir_region(WEIR_REGION_WINDOW);
	CHECK_IS(weir_port_find(weir_here(), "control", &control), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "grants", &grants), WEIR_OK);
}

TEST(map_and_unmap_refuse_bad_arguments)
{
	uint64_t pages = window.bytes / PAGE_SIZE;

	CHECK_IS(weir_grant_map(0xffff, 1, 0, NULL, NULL), WEIR_INVALID);
	CHECK_IS(weir_grant_map(grants + (1ull << 16), 1, 0, NULL, NULL), WEIR_INVALID);
	CHECK_IS(weir_grant_unmap(pages), WEIR_INVALID);
	CHECK_IS(weir_grant_unmap(~0ull), WEIR_INVALID);
	CHECK_IS(weir_grant_unmap(0), WEIR_NOT_FOUND);
}

TEST(commands_are_served)
{
	uint64_t word = 0, last = 0;

	while (COMMAND_OF(word) != END) {
		event_wait(control, TASK_FOREVER);
		weir_port_peer(control, &word, NULL);
		if (word == last || COMMAND_OF(word) == END)
			continue;
		last = word;
		word |= serve(COMMAND_OF(word)) ? COMMAND_DONE : COMMAND_DONE | COMMAND_FAILED;
		CHECK_IS(weir_port_publish(control, word), WEIR_OK);
		word = last;
		if (COMMAND_OF(word) == READ_ON)
			read_on();
	}
}

TESTS = {
	RUN(ports_and_window_are_there),
	RUN(map_and_unmap_refuse_bad_arguments),
	RUN(commands_are_served),
};
TESTS_MAIN
