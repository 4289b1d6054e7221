/*
 * Ends a VM as often as the bootargs say ("lives=1000"). In each of its lives it and we use all that
 * it may have: its whole pool shared and mapped here, its whole window filled from here, as many
 * block requests as there are slots. If anything were not given back one life would get less.
 */
#include "tests/guest/bootargs.h"
#include "tests/guest/life_manager.h"

#define GRANTS (LIFE_WINDOW_PAGES / LIFE_GRANT_PAGES) /* of ours, that fill its window */

static struct target both = { .name = "both" };
static weir_handle grants[GRANTS];
static struct region pool, window;

static void share_own(void)
{
	for (uint64_t i = 0; i < GRANTS; i++)
		CHECK_IS(weir_grant_share(both.data, i * LIFE_GRANT_PAGES, LIFE_GRANT_PAGES,
					  WEIR_READ, &grants[i]),
			 WEIR_OK);
	both.grant = grants[0];
}

/* What it shares, a page a grant; one is looked at from end to end, another one each time. */
static void map_its_pool(uint64_t pages)
{
	weir_handle first = word_of(both.data);
	uint64_t different = 0, whole = both.life % pages;

	for (uint64_t page = 0; page < pages && !tap_failure.line; page++) {
		const volatile uint64_t *words =
			(const volatile uint64_t *)(window.base + page * PAGE_SIZE);

		CHECK_IS(weir_grant_map(both.data, first + page, page, NULL, NULL), WEIR_OK);
		if (tap_failure.line)
			return;
		for (uint64_t word = 0; word < (page == whole ? PAGE_WORDS : 1); word++)
			different += words[word] != life_pattern(both.life, word);
	}
	CHECK_IS(different, 0);
}

static void unmap_its_pool(uint64_t pages)
{
	const volatile uint64_t *words = (const volatile uint64_t *)window.base;
	uint64_t all = 0;

	for (uint64_t word = 0; word < pages * PAGE_WORDS; word += 8)
		all |= words[word];
	CHECK_IS(all, 0);
	for (uint64_t page = 0; page < pages; page++)
		CHECK_IS(weir_grant_unmap(page), WEIR_OK);
}

/* Now and then we take back and share anew what it maps; it is mapped by nobody between lives. */
static void renew_own(void)
{
	for (uint64_t i = 0; i < GRANTS; i++)
		CHECK_IS(weir_grant_revoke(grants[i]), WEIR_OK);
	share_own();
}

static void live_once(uint64_t turn)
{
	enum life_way way = turn % 3 == 2 ? LIFE_BY_RESET : LIFE_BY_MANAGER;
	/* A mapping takes a while on QEMU: all of them now and then. */
	uint64_t pages = turn % 16 ? 4 : LIFE_POOL_PAGES;

	order(&both, LIFE_USES_ALL, way);
	if (tap_failure.line)
		return;
	map_its_pool(pages);
	if (turn % 3 == 0)
		CHECK_IS(weir_vm_restart(info_of(&both).vm), WEIR_OK);
	else if (turn % 3 == 1)
		CHECK_IS(weir_vm_stop(info_of(&both).vm), WEIR_OK);
	else
		weir_event_send(both.control);
	if (turn % 3 == 1)
		start_again(&both);
	meet(&both);
	if (tap_failure.line)
		return;
	unmap_its_pool(pages);
	if (turn % 16 == 15)
		renew_own();
}

TEST(each_of_many_lives_has_all_that_the_first_had)
{
	uint64_t lives = bootargs_number("lives", 1000);

	pool = weir_region(WEIR_REGION_POOL);
	window = weir_region(WEIR_REGION_WINDOW);
	target_open(&both);
	for (uint64_t page = 0; page < LIFE_WINDOW_PAGES; page++)
		for (uint64_t word = 0; word < PAGE_WORDS; word++)
			((volatile uint64_t *)(pool.base + page * PAGE_SIZE))[word] =
				life_pattern(0, word);
	share_own();
	meet(&both);
	for (uint64_t turn = 0; turn < lives && !tap_failure.line; turn++)
		live_once(turn);
	CHECK_IS(both.starts, lives + 1);
	printf("# %lu lives\n", both.starts);
	CHECK_IS(weir_vm_stop(info_of(&both).vm), WEIR_OK);
	CHECK(WAIT(is_off(&both)));
}

TESTS = {
	RUN(each_of_many_lives_has_all_that_the_first_had),
};
TESTS_MAIN
