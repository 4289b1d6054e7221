/*
 * Deadlines of a core: whatever is set and cancelled, they expire in their order, and finding one's place takes a few
 * looks, however many there are.
 *
 * Sources: core/timeout.c tests/host/fake/timer.c
 */
#include "arch/arm64/cpu.h"
#include "core/timeout.h"
#include "fake.h"
#include "soak.h"

#define COUNT 1024u /* 64 VMs of 16 vCPUs */

static struct timeout timeouts[COUNT];
static u64 wanted[COUNT]; /* 0: not pending */
static u64 last;	  /* the deadline that expired last */
static u32 expired_count;

static u64 seed;

static u64 random_number(void)
{
	seed = seed * 6364136223846793005ul + 1442695040888963407ul;
	return seed >> 33;
}

u32 cpu_index(void)
{
	return 0;
}

static void expired(struct timeout *timeout)
{
	u64 *mine = &wanted[timeout - timeouts];

	assert_int_equal(timeout->deadline, *mine);
	assert_true(timeout->deadline >= last && timeout->deadline <= timer_now());
	assert_false(timeout_pending(timeout));
	last = timeout->deadline;
	*mine = 0;
	expired_count++;
}

static void set(u32 index, u64 deadline)
{
	wanted[index] = deadline;
	timeout_set(&timeouts[index], deadline);
}

static void cancel(u32 index)
{
	wanted[index] = 0;
	timeout_cancel(&timeouts[index]);
}

static int begin(void **state)
{
	(void)state;
	fake_timer_set(0);
	timeout_init_core();
	for (u32 i = 0; i < COUNT; i++) {
		wanted[i] = 0;
		timeout_init(&timeouts[i], expired);
	}
	last = expired_count = 0;
	return 0;
}

static u64 earliest(void)
{
	u64 deadline = UINT64_MAX;

	for (u32 i = 0; i < COUNT; i++)
		if (wanted[i])
			deadline = min(deadline, wanted[i]);
	return deadline;
}

static u32 rank_of(const struct timeout *timeout)
{
	return timeout ? (u32)timeout->rank : 0;
}

/* Leftist: so a way to the right is as long as the rank says, and of that rank are at least 2^rank - 1. */
static u32 check_heap(const struct timeout *timeout, const struct timeout *above)
{
	if (!timeout)
		return 0;
	assert_ptr_equal(timeout->up, above);
	assert_true(!above || above->deadline <= timeout->deadline);
	assert_true(rank_of(timeout->below[0]) >= rank_of(timeout->below[1]));
	assert_int_equal(timeout->rank, rank_of(timeout->below[1]) + 1);
	return 1 + check_heap(timeout->below[0], timeout) + check_heap(timeout->below[1], timeout);
}

static void check(void)
{
	const struct timeout *top = 0;
	u32 pending = 0;

	for (u32 i = 0; i < COUNT; i++) {
		assert_int_equal(timeout_pending(&timeouts[i]), wanted[i] != 0);
		pending += wanted[i] != 0;
		if (wanted[i] && !timeouts[i].up)
			top = &timeouts[i];
	}
	assert_int_equal(check_heap(top, 0), pending);
	assert_int_equal(fake_timer_el2_deadline(), earliest());
}

TEST(timeouts_expire_in_order_four_at_an_interrupt)
{
	for (u32 i = 0; i < 100; i++)
		set(i, 1000 - 7 * i);
	check();
	fake_timer_set(999);
	timeout_interrupt();
	assert_int_equal(expired_count, 4);
	check();
	for (u32 i = 0; i < 24; i++)
		timeout_interrupt();
	assert_int_equal(expired_count, 99);
	check();
}

TEST(timeouts_set_and_cancelled_at_random_expire_in_order)
{
	u64 now = 0;

	seed = soak_seed();
	for (u64 turn = 0; turn < soak_count(20000, 1000000); turn++) {
		u32 index = (u32)random_number() % COUNT;

		if (random_number() % 4)
			set(index, now + 1 + random_number() % 1000);
		else
			cancel(index);
		if (turn % 16 == 0) {
			fake_timer_set(now += random_number() % 8);
			timeout_interrupt();
		}
		if (turn % 64 == 0)
			check();
	}
	assert_true(expired_count > 100);
}

/* In the order of time, against it, and such as make all ways to the left long. */
TEST(timeouts_have_short_ways_to_the_right_whatever_the_order)
{
	for (u32 order = 0; order < 3; order++) {
		for (u32 i = 0; i < COUNT; i++)
			set(i, 1 + (order == 0 ? i : order == 1 ? COUNT - i : (i * 37) % COUNT));
		check();
		for (u32 i = 0; i < COUNT; i += 2)
			cancel(i);
		check();
		for (u32 i = 0; i < COUNT; i++)
			cancel(i);
		check();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(timeouts_expire_in_order_four_at_an_interrupt, begin),
		cmocka_unit_test_setup(timeouts_set_and_cancelled_at_random_expire_in_order, begin),
		cmocka_unit_test_setup(timeouts_have_short_ways_to_the_right_whatever_the_order,
				       begin),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
