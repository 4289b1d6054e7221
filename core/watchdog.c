/*
 * The machine's watchdog (watchdog.h).
 *
 * Four times in the manifest's time each core asks its scheduler for a decision, and looks whether
 * the last one that it asked for has been taken: its timer's interrupt comes and its scheduler
 * works, with a guest or idle. When all cores have shown that, the hardware's count begins anew. So
 * it runs out between three quarters of the time and one and a half after a core has failed.
 * Nothing of this is on another path than that of the core's timer, and without a watchdog there is
 * no deadline.
 *
 * A core that has panicked shows nothing more: the machine is reset. That a VM dies or begins anew
 * is the scheduler's ordinary work.
 *
 * Owns:  the watchdog of the power block; a deadline a core.
 * Locks: lock, the innermost; nothing is called with it held but the driver.
 */
#include "core/watchdog.h"

#include "arch/arm64/cpu.h"
#include "arch/arm64/lock.h"
#include "core/base/log.h"
#include "core/sched.h"
#include "core/timeout.h"
#include "drivers/bcm2835_pm.h"

#define ROUNDS	4u
#define STOPPED BIT(31) /* among the silent: a core that there is not */

_Static_assert(MAX_PCPUS < 31, "each core has its bit, and STOPPED another");

static struct watch {
	struct timeout timeout;
	u64 asked; /* when, ticks */
} watches[MAX_PCPUS];

static struct {
	struct spinlock lock;
	u32 silent; /* cores that have shown nothing since the last kick; under `lock` */
	/* Written at boot; without a watchdog 0. */
	u32 ms, cores;
	u64 round_ticks;
} watchdog;

void watchdog_init(u64 ms, u32 cores)
{
	if (!ms)
		return;
	if (!bcm2835_pm_found()) {
		log_line("manifest: /: watchdog-ms: this machine has no watchdog that is known "
			 "here; leave it out");
		return;
	}
	watchdog.ms = (u32)ms;
	watchdog.round_ticks = timer_from_us(ms * 1000 / ROUNDS);
	watchdog.silent = watchdog.cores = (u32)BIT(cores) - 1;
	bcm2835_pm_watchdog(watchdog.ms);
}

static void show(u32 core)
{
	spin_lock(&watchdog.lock);
	watchdog.silent &= ~(u32)BIT(core);
	if (!watchdog.silent) {
		watchdog.silent = watchdog.cores;
		bcm2835_pm_watchdog(watchdog.ms);
	}
	spin_unlock(&watchdog.lock);
}

static void ask(struct watch *watch)
{
	watch->asked = timer_now();
	sched_again();
	timeout_set(&watch->timeout, watch->asked + watchdog.round_ticks);
}

static void round_over(struct timeout *timeout)
{
	struct watch *watch = container_of(timeout, struct watch, timeout);

	if (sched_decided() >= watch->asked)
		show(cpu_index());
	ask(watch);
}

void watchdog_start_core(void)
{
	struct watch *watch = &watches[cpu_index()];

	if (!watchdog.ms)
		return;
	timeout_init(&watch->timeout, round_over);
	ask(watch);
}

void watchdog_stop(void)
{
	if (!watchdog.ms)
		return;
	spin_lock(&watchdog.lock);
	watchdog.silent |= STOPPED;
	bcm2835_pm_watchdog(0);
	spin_unlock(&watchdog.lock);
}
