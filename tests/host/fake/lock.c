/* Every lock of a program of one thread: the order of them, and what happens between them (fake.h). */
#include "fake.h"

struct spinlock;

/* fake/arch/arm64/lock.h calls them. */
void fake_locks(const struct spinlock *lock);
void fake_unlocks(const struct spinlock *lock);

#define LOCKS 64u
#define DEPTH 8u

static struct {
	const struct spinlock *lock[LOCKS]; /* as they were met */
	u64 inner[LOCKS];		    /* bit n: lock n was taken inside, directly or not */
	u32 count, taken;
	u32 held[DEPTH], depth;
	u32 gap;
	void (*other)(void *context);
	void *context;
} seen;

void fake_lock_reset(void)
{
	__builtin_memset(&seen, 0, sizeof(seen));
}

u32 fake_locks_held(void)
{
	return seen.depth;
}

u32 fake_locks_taken(void)
{
	u32 taken = seen.taken;

	seen.taken = 0;
	return taken;
}

void fake_lock_between(u32 gap, void (*other)(void *context), void *context)
{
	seen.gap = gap;
	seen.other = other;
	seen.context = context;
}

bool fake_lock_happened(void)
{
	bool happened = !seen.other;

	seen.other = 0;
	return happened;
}

u32 fake_lock_each_gap(void (*make)(void), void (*one)(void), void (*other)(void *),
		       void (*check)(void))
{
	for (u32 gap = 0;; gap++) {
		bool happened;

		make();
		fake_lock_between(gap, other, 0);
		one();
		happened = fake_lock_happened();
		assert_int_equal(fake_locks_held(), 0);
		check();
		if (!happened)
			return gap;
	}
}

static u32 number_of(const struct spinlock *lock)
{
	for (u32 i = 0; i < seen.count; i++)
		if (seen.lock[i] == lock)
			return i;
	assert_true(seen.count < LOCKS);
	seen.lock[seen.count] = lock;
	return seen.count++;
}

/* `inner` is taken while `outer` is held: never the other way round, also by way of others. */
static void nest(u32 outer, u32 inner)
{
	if (seen.inner[inner] & BIT(outer))
		fail_msg("locks %u and %u are taken in both orders", outer, inner);
	for (u32 i = 0; i < seen.count; i++)
		if (i == outer || seen.inner[i] & BIT(outer))
			seen.inner[i] |= BIT(inner) | seen.inner[inner];
}

void fake_locks(const struct spinlock *lock)
{
	void (*other)(void *context) = seen.other;
	u32 number = number_of(lock);

	if (!seen.depth && other && !seen.gap--) {
		seen.other = 0;
		other(seen.context);
		assert_int_equal(seen.depth, 0);
	}
	for (u32 i = 0; i < seen.depth; i++) {
		if (seen.held[i] == number)
			fail_msg("a core waits for a lock that it holds");
		nest(seen.held[i], number);
	}
	assert_true(seen.depth < DEPTH);
	seen.held[seen.depth++] = number;
	seen.taken++;
}

void fake_unlocks(const struct spinlock *lock)
{
	u32 number = number_of(lock), i = seen.depth;

	while (i && seen.held[i - 1] != number)
		i--;
	if (!i)
		fail_msg("a core gives back a lock that it does not hold");
	for (; i < seen.depth; i++)
		seen.held[i - 1] = seen.held[i];
	seen.depth--;
}
