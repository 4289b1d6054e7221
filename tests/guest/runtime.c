/* The guest runtime itself: tasks, memory, string functions, faults. guests/lib. */
#include "tests/guest/tap.h"

#define STACK_BYTES 4096u

static uint8_t stacks[2][STACK_BYTES] __attribute__((aligned(16)));
static struct task tasks[2];
static char trail[16];
static uint32_t steps, faults;
static bool flag;
static uint64_t fault_address;

static void leave(char mark)
{
	if (steps < sizeof(trail) - 1)
		trail[steps++] = mark;
}

static void start_over(void)
{
	memset(trail, 0, sizeof(trail));
	steps = 0;
	flag = false;
}

static void mark_and_yield(void *arg)
{
	for (int i = 0; i < 3; i++) {
		leave((char)(uint64_t)arg);
		task_yield();
	}
}

static void start(uint32_t which, void (*run)(void *arg), void *arg)
{
	task_create(&tasks[which], run, arg, stacks[which], STACK_BYTES);
}

TEST(tasks_take_turns)
{
	start_over();
	start(1, mark_and_yield, (void *)'b');
	start(0, mark_and_yield, (void *)'a');
	task_join(&tasks[0]);
	task_join(&tasks[1]);
	CHECK_IS(strcmp(trail, "ababab"), 0);
}

static bool flag_is_set(void *arg)
{
	(void)arg;
	return flag;
}

static void wait_for_flag(void *arg)
{
	(void)arg;
	leave(task_wait(flag_is_set, NULL, TASK_FOREVER) ? 'y' : 'n');
}

static void set_flag(void *arg)
{
	(void)arg;
	leave('s');
	flag = true;
}

TEST(a_waiting_task_goes_on_when_its_condition_holds)
{
	start_over();
	start(0, set_flag, NULL);
	start(1, wait_for_flag, NULL);
	task_join(&tasks[1]);
	CHECK_IS(strcmp(trail, "sy"), 0);
}

static void set_flag_in_handler(void *arg)
{
	(void)arg;
	flag = true;
}

TEST(a_handler_ends_the_sleep_of_all_tasks)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);

	start_over();
	timer_set(timer_now() + timer_ticks(2000000), set_flag_in_handler, NULL);
	CHECK(task_wait(flag_is_set, NULL, end));
}

TEST(a_wait_ends_at_its_deadline)
{
	uint64_t end = timer_now() + timer_ticks(2000000);

	start_over();
	CHECK(!task_wait(flag_is_set, NULL, end));
	CHECK(timer_now() >= end);
}

static void sleep_and_mark(void *arg)
{
	task_sleep((uint64_t)arg * 3000000);
	leave((char)('0' + (uint64_t)arg));
}

TEST(sleeping_tasks_wake_in_the_order_of_their_deadlines)
{
	start_over();
	start(0, sleep_and_mark, (void *)2);
	start(1, sleep_and_mark, (void *)1);
	task_join(&tasks[0]);
	task_join(&tasks[1]);
	CHECK_IS(strcmp(trail, "12"), 0);
}

TEST(timer_set_again_replaces_the_first)
{
	uint64_t flags;

	start_over();
	/* Masked: a busy machine may take longer from one line to the next than the timer runs. */
	flags = irq_save();
	timer_set(timer_now() + timer_ticks(1000000), set_flag_in_handler, NULL);
	timer_set(0, NULL, NULL);
	irq_restore(flags);
	task_sleep(3000000);
	CHECK(!flag);
}

TEST(pages_are_zero_and_do_not_overlap)
{
	uint64_t *first = memory_pages(1), *second = memory_pages(2);

	CHECK(first && second && second >= first + PAGE_SIZE / 8);
	for (uint32_t i = 0; first && second && i < PAGE_SIZE / 8; i++)
		CHECK_IS(first[i] | second[i] | second[PAGE_SIZE / 8 + i], 0);
	CHECK(!memory_pages(SIZE_MAX / PAGE_SIZE));
	CHECK(!memory_pages(SIZE_MAX));
}

/* Every length and misalignment up to a few turns of the loop, and not a byte more. */
TEST(copies_are_exact)
{
	static uint8_t from[400], to[400];
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)(i * 7 + 1);
	for (uint32_t at = 0; at < 9; at++) {
		for (uint32_t length = 0; length < 330; length++) {
			memset(to, 0, sizeof(to));
			memcpy(to + at, from + 3, length);
			wrong += memcmp(to + at, from + 3, length) != 0;
			wrong += (at && to[at - 1]) || to[at + length];
			memset(to + at, 0x5a, length);
			wrong += (at && to[at - 1]) || to[at + length];
			wrong += length && (to[at] != 0x5a || to[at + length - 1] != 0x5a);
		}
	}
	CHECK_IS(wrong, 0);
}

TEST(memmove_goes_both_ways)
{
	char text[] = "abcdefgh";

	memmove(text + 2, text, 6);
	CHECK_IS(strcmp(text, "ababcdef"), 0);
	memmove(text, text + 2, 6);
	CHECK_IS(strcmp(text, "abcdefef"), 0);
	CHECK(strncmp("abc", "abd", 2) == 0 && strcmp("abc", "abd") < 0 && strlen("abc") == 3);
}

/* Goes on behind the instruction that faulted. */
static bool step_over(struct exception *exception)
{
	faults++;
	fault_address = exception->address;
	exception->pc += 4;
	return true;
}

static uint64_t address_after_store(uint64_t address)
{
	fault_address = ~0ull;
	faults = 0;
	exception_handle(step_over);
	__asm__ volatile("str wzr, [%0]" ::"r"(address) : "memory");
	exception_handle(NULL);
	return faults == 1 ? fault_address : ~1ull;
}

TEST(null_and_code_cannot_be_written)
{
	CHECK_IS(address_after_store(8), 8);
	CHECK_IS(address_after_store((uint64_t)address_after_store), address_after_store);
	CHECK_IS(address_after_store((uint64_t)trail), ~1ull);
}

TESTS = {
	RUN(tasks_take_turns),
	RUN(a_waiting_task_goes_on_when_its_condition_holds),
	RUN(a_handler_ends_the_sleep_of_all_tasks),
	RUN(a_wait_ends_at_its_deadline),
	RUN(sleeping_tasks_wake_in_the_order_of_their_deadlines),
	RUN(timer_set_again_replaces_the_first),
	RUN(pages_are_zero_and_do_not_overlap),
	RUN(copies_are_exact),
	RUN(memmove_goes_both_ways),
	RUN(null_and_code_cannot_be_written),
};
TESTS_MAIN
