/* Prints as fast as it can; tests/qemu/test_console.py looks whether every line came out whole. */
#include "tests/guest/tap.h"

#define LINES 400

TEST(flooding_is_possible)
{
	for (int i = 0; i < LINES; i++)
		printf("line %d of %d: the quick brown fox jumps over the lazy dog\n", i, LINES);
}

TESTS = {
	RUN(flooding_is_possible),
};
TESTS_MAIN
