/* What is passed to it gets 1 added in each page; it is passed on, or by the last VM returned. */
#include "tests/guest/pass.h"
#include "tests/guest/tap.h"

#define FIRST_PAGE 5u /* of the window */

static weir_handle in, out;
static struct region window;
static volatile uint32_t aborts;

static volatile uint64_t *word_of(uint32_t page)
{
	return (volatile uint64_t *)(window.base + (FIRST_PAGE + page) * PAGE_SIZE + 8 * page);
}

static bool skip(struct exception *exception)
{
	aborts++;
	exception->pc += 4;
	return true;
}

/* The next that is published; 0: none came. */
static weir_handle next_grant(void)
{
	static weir_handle last;
	uint64_t end = timer_now() + timer_ticks(WAIT_NS), word = last;

	while (word == last && timer_now() < end) {
		weir_port_peer(in, &word, NULL);
		if (word == last)
			event_wait(in, timer_now() + timer_ticks(100000000));
	}
	if (word == last)
		return 0;
	last = word;
	return word;
}

static void check_listed(weir_handle grant, uint32_t pages)
{
	struct weir_grant_info info = { 0 };
	uint64_t page = 0;

	CHECK_IS(weir_grant_next(WEIR_GRANTS_MAPPED, &page, &info), WEIR_OK);
	CHECK(info.page == FIRST_PAGE && info.grant == grant && info.pages == pages);
	CHECK(info.port == (in & 0xffff) && info.state == WEIR_GRANT_MAPPED);
	CHECK_IS(weir_grant_next(WEIR_GRANTS_MAPPED, &page, &info), WEIR_NOT_FOUND);
}

static void work(weir_handle grant)
{
	enum weir_access access = WEIR_READ;
	enum weir_status again;
	weir_handle same = 0;
	uint32_t pages = 0;

	CHECK_IS(weir_grant_map(in, grant, FIRST_PAGE, &pages, &access), WEIR_OK);
	CHECK_IS(access, WEIR_PASS);
	check_listed(grant, pages);
	for (uint32_t page = 0; page < pages; page++)
		*word_of(page) += 1;
	CHECK_IS(weir_grant_pass_on(in, FIRST_PAGE, &same), out ? WEIR_DENIED : WEIR_OK);
	if (!out) { /* offered back, and not taken: returned all the same */
		CHECK_IS(weir_grant_return(FIRST_PAGE), WEIR_OK);
		return;
	}
	CHECK_IS(weir_grant_pass_on(out, FIRST_PAGE, &same), WEIR_OK);
	CHECK_IS(same, grant);
	aborts = 0;
	exception_handle(skip);
	(void)*word_of(0);
	exception_handle(NULL);
	CHECK_IS(aborts, 1);
	CHECK_IS(weir_port_publish(out, grant), WEIR_OK);
	again = weir_grant_map(in, grant, FIRST_PAGE + pages, NULL, NULL);
	CHECK(again == WEIR_BUSY || again == WEIR_STALE);
}

TEST(what_is_passed_gets_one_more_and_goes_on)
{
	weir_handle grant;

	window = weir_region(WEIR_REGION_WINDOW);
	CHECK_IS(weir_port_find(weir_here(), "second", &out), WEIR_OK);
	if (weir_port_find(weir_here(), "first", &in)) {
		in = out;
		out = 0;
	}
	while ((grant = next_grant()) && grant != PASS_END)
		work(grant);
	CHECK_IS(grant, PASS_END);
	if (out)
		CHECK_IS(weir_port_publish(out, PASS_END), WEIR_OK);
}

TESTS = { RUN(what_is_passed_gets_one_more_and_goes_on) };
TESTS_MAIN
