/*
 * Test guests report TAP: the plan first, a line for each test, `# done` last; then the VM powers
 *off.
 *
 *	TEST(name_is_the_promise)
 *	{
 *		CHECK(condition);
 *		CHECK_IS(expression, expected);
 *	}
 *
 *	TESTS = {
 *		RUN(name_is_the_promise),
 *	};
 *	TESTS_MAIN
 *
 * A failed check does not end its test; the first one is the reason that is printed. Checks belong
 *to the first vCPU: others leave words for it to check.
 */
#pragma once

#include <guest.h>

#define TEST(name) static void name(void)
#define RUN(name)           \
	{                   \
#name, name \
	}
#define TESTS static const struct tap_test tap_tests[]
#define TESTS_MAIN                                                                   \
	int main(void)                                                               \
	{                                                                            \
		return tap_run(tap_tests, sizeof(tap_tests) / sizeof(tap_tests[0])); \
	}

#define CHECK(condition) tap_check((condition) ? 1 : 0, 1, __LINE__, #condition)
/* For whole numbers of any kind. */
#define CHECK_IS(expression, expected) \
	tap_check((int64_t)(expression), (int64_t)(expected), __LINE__, #expression)

/*
 * Waits for what another vCPU or VM, or a handler, will make true; false if it takes too long: less than the two
 * minutes after which a machine hangs, and longer than any host is busy with others.
 */
#define WAIT_NS 60000000000ull
#define WAIT(condition)                                                \
	({                                                             \
		uint64_t tap_end = timer_now() + timer_ticks(WAIT_NS); \
		while (!(condition) && timer_now() < tap_end)          \
			task_sleep(500000);                            \
		(condition) ? true : false;                            \
	})

/* A word that another vCPU or a handler changes. */
#define SHARED_READ(word)	  __atomic_load_n(&(word), __ATOMIC_ACQUIRE)
#define SHARED_WRITE(word, value) __atomic_store_n(&(word), value, __ATOMIC_RELEASE)

struct tap_test {
	const char *name;
	void (*run)(void);
};

struct tap_failure {
	int line; /* 0: none */
	const char *text;
	int64_t value, expected;
};

static struct tap_failure tap_failure;

static inline void tap_check(int64_t value, int64_t expected, int line, const char *text)
{
	if (value == expected || tap_failure.line)
		return;
	tap_failure = (struct tap_failure){
		.line = line, .text = text, .value = value, .expected = expected
	};
}

static inline int tap_run(const struct tap_test *tests, unsigned int count)
{
	unsigned int failed = 0;

	printf("1..%u\n", count);
	for (unsigned int i = 0; i < count; i++) {
		tap_failure = (struct tap_failure){ 0 };
		tests[i].run();
		if (!tap_failure.line) {
			printf("ok %u %s\n", i + 1, tests[i].name);
			continue;
		}
		failed++;
		printf("not ok %u %s # line %d: %s is %ld, not %ld\n", i + 1, tests[i].name,
		       tap_failure.line, tap_failure.text, tap_failure.value, tap_failure.expected);
	}
	printf("# done\n");
	return failed ? 1 : 0;
}
