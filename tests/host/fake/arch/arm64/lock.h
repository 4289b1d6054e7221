/*
 * The real locks; but a thread that waits for one lets others run, of which one may hold it: there are fewer
 * processors here than cores in a test.
 */
#pragma once

#include "arch/arm64/barrier.h"

#include <sched.h>

static inline void let_others_run(void)
{
	sched_yield();
}

#define cpu_relax let_others_run
#include_next "arch/arm64/lock.h"
#undef cpu_relax
