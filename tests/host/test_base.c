/*
 * core/base: text formatting, the log and its early lines, lists.
 *
 * Sources: core/base/log.c tests/host/fake/panic.c
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "fake.h"
#include "core/base/list.h"
#include "core/base/log.h"

/* The library's printf is the judge of our own. */
#define EXPECT_FORMAT(...)                                                  \
	do {                                                                \
		char own[128], theirs[128];                                 \
		size_t length = format_text(own, sizeof(own), __VA_ARGS__); \
                                                                            \
		snprintf(theirs, sizeof(theirs), __VA_ARGS__);              \
		assert_string_equal(own, theirs);                           \
		assert_int_equal(length, strlen(theirs));                   \
	} while (0)

TEST(formats_print_what_the_library_prints)
{
	EXPECT_FORMAT("plain");
	EXPECT_FORMAT("%s and %s", "one", "");
	EXPECT_FORMAT("%c%c", 'a', 'b');
	EXPECT_FORMAT("%d %d %d", 0, INT_MAX, INT_MIN);
	EXPECT_FORMAT("%ld %ld", LONG_MAX, LONG_MIN);
	EXPECT_FORMAT("%u %u", 0u, UINT_MAX);
	EXPECT_FORMAT("%lu", ULONG_MAX);
	EXPECT_FORMAT("%x %lx", 0xdeadbeefu, 0x123456789abcdeful);
	EXPECT_FORMAT("%zu", (size_t)7);
	EXPECT_FORMAT("100%%");
}

TEST(width_pads_with_blanks_or_zeroes)
{
	EXPECT_FORMAT("[%5d] [%5d] [%1d]", 42, -42, 123);
	EXPECT_FORMAT("[%05d] [%05d] [%02d]", 42, -42, -42);
	EXPECT_FORMAT("[%016lx] [%8x]", 0xabcul, 0xabcu);
	EXPECT_FORMAT("[%10s] [%2s]", "right", "long");
	EXPECT_FORMAT("[%3c]", 'x');
}

TEST(precision_cuts_a_string)
{
	EXPECT_FORMAT("[%.3s] [%.3s] [%.0s]", "abcdef", "ab", "abc");
	EXPECT_FORMAT("[%5.2s] [%.12s]", "abc", "abcdefghijklmno");
}

TEST(text_that_is_too_long_is_cut_and_terminated)
{
	char buffer[8];

	memset(buffer, 'x', sizeof(buffer));
	assert_int_equal(format_text(buffer, 4, "abcdef"), 3);
	assert_string_equal(buffer, "abc");
	assert_int_equal(buffer[4], 'x');
	assert_int_equal(format_text(buffer, 4, "%05d", 12345), 3);
	assert_string_equal(buffer, "123");
	assert_int_equal(format_text(buffer, 1, "abc"), 0);
	assert_string_equal(buffer, "");
	assert_int_equal(format_text(buffer, 0, "abc"), 0);
}

TEST(null_string_and_unfinished_format_are_harmless)
{
	const char *volatile nothing = 0, *volatile unfinished = "5%";
	char buffer[32];

	format_text(buffer, sizeof(buffer), "%s", nothing);
	assert_string_equal(buffer, "(none)");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	format_text(buffer, sizeof(buffer), unfinished);
#pragma GCC diagnostic pop
	assert_string_equal(buffer, "5");
}

static char taken[4096];
static u32 taken_lines;

static void take(const char *line, size_t length)
{
	assert_int_equal(line[length], 0);
	strcat(taken, line);
	strcat(taken, "|");
	taken_lines++;
}

/* First in main(): there was no sink yet. */
TEST(lines_before_the_sink_are_kept_in_order_up_to_1_kib)
{
	log_line("one %u", 1u);
	log_line("two");
	log_set_sink(take);
	assert_string_equal(taken, "weir: one 1|weir: two|");

	log_set_sink(0);
	for (u32 i = 0; i < 100; i++)
		log_line("early line number %02u", i);
	taken[0] = 0;
	taken_lines = 0;
	log_set_sink(take);
	assert_int_equal(taken_lines, 1024 / sizeof("weir: early line number 00"));
	assert_memory_equal(taken, "weir: early line number 00|weir: early line number 01|", 54);
}

TEST(lines_go_to_the_sink_once_and_early_ones_not_again)
{
	taken[0] = 0;
	log_set_sink(take);
	log_line("now");
	assert_string_equal(taken, "weir: now|");
}

TEST(long_line_is_cut_not_split)
{
	char longer[512];

	memset(longer, 'a', sizeof(longer));
	longer[511] = 0;
	taken[0] = 0;
	taken_lines = 0;
	log_line("%s", longer);
	assert_int_equal(taken_lines, 1);
	assert_int_equal(strlen(taken), 256);
}

TEST(list_keeps_the_order_of_appending)
{
	struct list head = LIST_INIT(head), node[3];
	struct list *at = head.next;

	assert_true(list_empty(&head));
	for (u32 i = 0; i < 3; i++)
		list_append(&head, &node[i]);
	at = head.next;
	for (u32 i = 0; i < 3; i++, at = at->next)
		assert_ptr_equal(at, &node[i]);
	assert_ptr_equal(at, &head);
	list_remove(&node[1]);
	assert_ptr_equal(node[0].next, &node[2]);
	assert_true(list_empty(&node[1]));
	list_remove(&node[1]);
	list_insert_before(&node[0], &node[1]);
	assert_ptr_equal(head.next, &node[1]);
}

TEST(masked_index_stays_below_the_size)
{
	assert_int_equal(index_nospec(3, 4), 3);
	/* A size that is a power of two takes the low bits, another gives 0. */
	assert_int_equal(index_nospec(4, 4), 0);
	assert_int_equal(index_nospec(UINT64_MAX >> 1, 4), 3);
	assert_int_equal(index_nospec(4, 5), 4);
	assert_int_equal(index_nospec(5, 5), 0);
	assert_int_equal(index_nospec(UINT64_MAX >> 1, 5), 0);
	assert_int_equal(align_up(4097, PAGE_SIZE), 8192);
	assert_int_equal(align_down(4097, PAGE_SIZE), 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(lines_before_the_sink_are_kept_in_order_up_to_1_kib),
		RUN(lines_go_to_the_sink_once_and_early_ones_not_again),
		RUN(long_line_is_cut_not_split),
		RUN(formats_print_what_the_library_prints),
		RUN(width_pads_with_blanks_or_zeroes),
		RUN(precision_cuts_a_string),
		RUN(text_that_is_too_long_is_cut_and_terminated),
		RUN(null_string_and_unfinished_format_are_harmless),
		RUN(list_keeps_the_order_of_appending),
		RUN(masked_index_stays_below_the_size),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
