/*
 * Stands in for cmocka under the fakes of tests/host when libFuzzer drives them: there is no test that
 * could fail, so a check that does not hold ends the program, which libFuzzer reports with the stack and
 * the input. -Itests/fuzz/include comes first.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define fail_msg(...)                                                   \
	do {                                                            \
		fprintf(stderr, "FAILED: %s:%d: ", __FILE__, __LINE__); \
		fprintf(stderr, __VA_ARGS__);                           \
		fputc('\n', stderr);                                    \
		abort();                                                \
	} while (0)

#define assert_true(condition)                                     \
	do {                                                       \
		if (!(condition))                                  \
			fail_msg("it must be so: %s", #condition); \
	} while (0)

#define assert_int_equal(a, b)                                                         \
	do {                                                                           \
		unsigned long left_ = (unsigned long)(a), right_ = (unsigned long)(b); \
		if (left_ != right_)                                                   \
			fail_msg("%s is %#lx, %s is %#lx", #a, left_, #b, right_);     \
	} while (0)

#define assert_false(condition)		 assert_true(!(condition))
#define assert_null(pointer)		 assert_true((pointer) == 0)
#define assert_non_null(pointer)	 assert_true((pointer) != 0)
#define assert_memory_equal(a, b, bytes) assert_true(memcmp(a, b, bytes) == 0)
#define assert_string_equal(a, b)	 assert_true(strcmp(a, b) == 0)
#define mock_assert(condition, text, file, line) \
	do {                                     \
		(void)(file), (void)(line);      \
		if (!(condition))                \
			fail_msg("%s", text);    \
	} while (0)
