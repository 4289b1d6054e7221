/*
 * The scheduler and what is below and beside it, for test_sched*.c.
 *
 * Two cores take turns in one thread: on(core) says whose turn it is. What the scheduler calls is
 * written down in `calls`; at a chosen call another core can come in between (meanwhile()). Source: sched_cores.c
 */
#pragma once

#include "fake.h"
#include "core/sched.h"

#define MS	1000000ul /* ticks of the fake timer */
#define SLICE	(SLICE_US * 1000ul)
#define VCPUS	4
#define ALONE	2u /* a core that only one test uses: vCPUs stay pinned for good */
#define CROWDED 3u

extern struct vcpu vcpus[VCPUS]; /* each in its own VM; written down as a, b, c, d */
static struct vcpu *const a = &vcpus[0], *const b = &vcpus[1], *const c = &vcpus[2];

extern u64 now;
extern char calls[512];
extern u32 kicks[MAX_PCPUS]; /* since forget() */
extern u32 left[VCPUS];	     /* vCPUs of each VM that its core has said to be gone */
extern u32 steps;	     /* that vms, or calls, have to do */
extern u64 step_ticks;	     /* what each of a call takes */
extern u32 interrupts;	     /* how often the core looked for one */
extern bool pending, wfi_trap;
extern struct vcpu *serror, *sibling; /* who leaves an SError; who is stopped for it as well */
extern enum vcpu_run run_when_asked;  /* what another core saw in `run` at vgic_pending, _settle */

int cores_make(void **state);
int cores_empty(void **state); /* every core is left empty */

#define RUN_ON_CORES(test) cmocka_unit_test_setup_teardown(test, cores_make, cores_empty)

/* Whose turn it is from now on. */
void on(u32 core);
/* At the next call of that name, written down so, the other core does something. */
void meanwhile(const char *call, void (*what)(void));
/* What sched_next() says on this core; 0: it sleeps. */
struct vcpu *next(void);
/* Who runs blocks; then as next(). */
struct vcpu *block(void);
/* Time goes by, and the timer's interrupt comes if it is due. */
void pass(u64 ticks);
/* What was called and kicked so far. */
void forget(void);
/* So many turns of a communication core, of which the last finds nothing: then it sleeps. */
void communicate(u32 count);

/* A vCPU that is stopped; budget 0: none. */
void add(struct vcpu *vcpu, u32 core, u8 priority, u32 budget_us, u32 period_us);
void add_ready(struct vcpu *vcpu, u32 core, u8 priority);
