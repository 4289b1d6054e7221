/* For fuzzers in which nobody watches the order of the locks (include/arch/arm64/lock.h): the host tests do. */
#include "arch/arm64/lock.h"

void machine_locks(const struct spinlock *lock);
void machine_unlocks(const struct spinlock *lock);

void machine_locks(const struct spinlock *lock)
{
	(void)lock;
}

void machine_unlocks(const struct spinlock *lock)
{
	(void)lock;
}
