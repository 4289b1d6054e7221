/*
 * core/base/string.c against the C library's functions.
 *
 * Sources: tests/host/string_renamed.c
 */
#include <stdlib.h>
#include <string.h>
#include "fake.h"

/* Defined by string_renamed.c: cmocka and the sanitizers need the library's. */
void *own_memchr(const void *area, int byte, size_t count);
int own_memcmp(const void *a, const void *b, size_t count);
void *own_memcpy(void *restrict to, const void *restrict from, size_t count);
void *own_memmove(void *to, const void *from, size_t count);
void *own_memset(void *area, int byte, size_t count);
char *own_strchr(const char *text, int c);
int own_strcmp(const char *a, const char *b);
int own_strncmp(const char *a, const char *b, size_t count);
size_t own_strlen(const char *text);
size_t own_strnlen(const char *text, size_t limit);
char *own_strrchr(const char *text, int c);

#define AREA 64

static u8 own[AREA], theirs[AREA], pattern[AREA];

static void refill(void)
{
	for (u32 i = 0; i < AREA; i++)
		own[i] = theirs[i] = pattern[i] = (u8)(i * 37 + 11);
}

TEST(copies_are_right_for_every_alignment_and_length)
{
	for (u32 to = 0; to < 9; to++) {
		for (u32 from = 0; from < 9; from++) {
			for (u32 count = 0; count < 40; count++) {
				refill();
				assert_ptr_equal(own_memcpy(own + to, pattern + from, count),
						 own + to);
				memcpy(theirs + to, pattern + from, count);
				assert_memory_equal(own, theirs, AREA);
			}
		}
	}
}

TEST(moves_are_right_for_every_overlap)
{
	for (u32 to = 0; to < 20; to++) {
		for (u32 from = 0; from < 20; from++) {
			for (u32 count = 0; count < 40; count++) {
				refill();
				assert_ptr_equal(own_memmove(own + to, own + from, count),
						 own + to);
				memmove(theirs + to, theirs + from, count);
				assert_memory_equal(own, theirs, AREA);
			}
		}
	}
}

TEST(fills_are_right_for_every_alignment_and_length)
{
	for (u32 to = 0; to < 9; to++) {
		for (u32 count = 0; count < 40; count++) {
			refill();
			assert_ptr_equal(own_memset(own + to, 0x1a5, count), own + to);
			memset(theirs + to, 0x1a5, count);
			assert_memory_equal(own, theirs, AREA);
		}
	}
}

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

TEST(comparisons_have_the_librarys_sign)
{
	static const char *const words[] = { "", "a", "ab", "abc", "abd", "b", "\xff", "ab\xff" };

	for (u32 i = 0; i < ARRAY_SIZE(words); i++) {
		for (u32 j = 0; j < ARRAY_SIZE(words); j++) {
			const char *a = words[i], *b = words[j];
			size_t shorter = min(strlen(a), strlen(b)) + 1;

			assert_int_equal(sign(own_strcmp(a, b)), sign(strcmp(a, b)));
			assert_int_equal(sign(own_strncmp(a, b, 2)), sign(strncmp(a, b, 2)));
			assert_int_equal(sign(own_memcmp(a, b, shorter)),
					 sign(memcmp(a, b, shorter)));
		}
	}
	assert_int_equal(own_strncmp("a", "b", 0), 0);
	assert_int_equal(own_memcmp("a", "b", 0), 0);
}

TEST(searches_find_first_last_and_nothing)
{
	static const char text[] = "/soc/serial";

	assert_ptr_equal(own_strchr(text, '/'), text);
	assert_ptr_equal(own_strrchr(text, '/'), text + 4);
	assert_ptr_equal(own_strchr(text, 0), text + 11);
	assert_ptr_equal(own_strrchr(text, 0), text + 11);
	assert_null(own_strchr(text, 'x'));
	assert_null(own_strrchr(text, 'x'));
	assert_ptr_equal(own_memchr(text, 's', 3), text + 1);
	assert_null(own_memchr(text, 'r', 3));
	assert_ptr_equal(own_memchr(text, 0x100 + '/', 3), text);
	assert_int_equal(own_strlen(text), 11);
	assert_int_equal(own_strnlen(text, 4), 4);
	assert_int_equal(own_strnlen(text, 40), 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(copies_are_right_for_every_alignment_and_length),
		RUN(moves_are_right_for_every_overlap),
		RUN(fills_are_right_for_every_alignment_and_length),
		RUN(comparisons_have_the_librarys_sign),
		RUN(searches_find_first_last_and_nothing),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
