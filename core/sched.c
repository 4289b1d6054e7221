/*
 * The scheduler (sched.h).
 *
 * Owns: a run queue for each core and which vCPU is loaded there. Only the core itself changes what
 * is loaded; any core may make a vCPU ready, under the queue's lock.
 * Locks: core->lock, the innermost but the console's; nothing is called with it held.
 *
 * Slices: a vCPU that is preempted by a more urgent one keeps its place and what is left of its
 * slice, so that its equals get their turn however often that happens.
 *
 * Budgets: a vCPU with a budget runs at most that long in each period, which begins when it runs, or others work for it,
 * with a full budget. When it is used up the vCPU is throttled until the period ends; what others did too much for it is
 * less in the next one, up to all of it.
 */
#include "core/sched.h"

#include "arch/arm64/barrier.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/timer.h"
#include "core/fault.h"
#include "core/hypercall.h"
#include "core/irq.h"
#include "core/life.h"
#include "drivers/gic.h"

#define PRIORITIES	  8
#define THROTTLED_AT_ONCE 3u /* in a look at who is ready: then interrupts come first */

struct core {
	struct spinlock lock;
	struct list ready[PRIORITIES];
	u32 ready_mask;	     /* bit p: ready[p] has someone */
	u32 needed;	     /* sched_next() has something to decide */
	u32 pinned;	     /* vCPUs of this core; boot only */
	struct vcpu *loaded; /* or about to be: chosen, with what was before unloaded */
	u64 decided;	     /* when the last decision was, ticks */
	u64 slice_from;	     /* until then the loaded vCPU's slice is charged, ticks */
	struct timeout
		turn; /* when the loaded vCPU's budget or its period ends, or its slice, if it has rivals */
	u64 slice_ticks;	 /* SLICE_US; fixed */
} __attribute__((aligned(256))); /* found by a shift; no two in one line of a cache */

static struct core cores[MAX_PCPUS];

static struct core *this_core(void)
{
	return &cores[cpu_index()];
}

static void turn_over(struct timeout *timeout)
{
	container_of(timeout, struct core, turn)->needed = true;
}

static void vtimer_expired(struct timeout *timeout)
{
	struct vcpu *vcpu = container_of(timeout, struct vcpu, vtimer_timeout);

	vgic_timer_fired(vcpu);
}

static void period_over(struct timeout *timeout);

RARE void sched_init_core(u32 index)
{
	struct core *core = &cores[index];

	for (u32 p = 0; p < PRIORITIES; p++)
		if (!core->ready[p].next)
			list_init(&core->ready[p]);
	timeout_init(&core->turn, turn_over);
	core->slice_ticks = timer_from_us(SLICE_US);
	core->needed = true;
}

RARE void sched_add(struct vcpu *vcpu)
{
	struct core *core = &cores[vcpu->core];

	/* A core whose turn to initialise comes later gets vCPUs already. */
	if (!core->ready[0].next)
		sched_init_core(vcpu->core);
	core->pinned++;
	vcpu->sched_needed = &core->needed;
	vcpu->kick = gic_kick_word(vcpu->core);
	vcpu->run = VCPU_STOPPED;
	list_init(&vcpu->queue_link);
	timeout_init(&vcpu->vtimer_timeout, vtimer_expired);
	vptimer_init(&vcpu->ptimer);
	timeout_init(&vcpu->refill, period_over);
	vcpu->budget = timer_from_us(vcpu->vm->config->budget_us);
	vcpu->period = timer_from_us(vcpu->vm->config->period_us);
}

struct vcpu *sched_current(void)
{
	return this_core()->loaded;
}

static void enqueue(struct core *core, struct vcpu *vcpu, bool first, u64 now) NEEDS(core->lock)
{
	struct list *head = &core->ready[vcpu->priority];

	write_once(vcpu->run, VCPU_READY);
	account_clock_start(&vcpu->account.steal, now);
	if (!first)
		vcpu->slice_left = core->slice_ticks;
	list_insert_before(first ? head->next : head, &vcpu->queue_link);
	core->ready_mask |= 1u << vcpu->priority;
}

static void dequeue(struct core *core, struct vcpu *vcpu, u64 now) NEEDS(core->lock)
{
	account_clock_stop(&vcpu->account.steal, now);
	list_remove(&vcpu->queue_link);
	if (list_empty(&core->ready[vcpu->priority]))
		core->ready_mask &= ~(1u << vcpu->priority);
}

/* Ready, and its core told if that changes what it should run. */
static void make_ready(struct vcpu *vcpu, enum vcpu_run from)
{
	struct core *core = &cores[vcpu->core];
	bool tell = false;

	spin_lock(&core->lock);
	if (vcpu->run == from) {
		enqueue(core, vcpu, false, timer_now());
		tell = !core->loaded || core->loaded->run != VCPU_RUNNING ||
		       vcpu->priority >= core->loaded->priority;
		if (tell)
			write_once(core->needed, true);
	}
	spin_unlock(&core->lock);
	if (tell && core != this_core())
		gic_kick(vcpu->core);
}

void sched_wake(struct vcpu *vcpu)
{
	make_ready(vcpu, VCPU_BLOCKED);
}

RARE void sched_start(struct vcpu *vcpu)
{
	make_ready(vcpu, VCPU_STOPPED);
}

/* The core's own timer: used_up() gives the new budget, for the next period begins when the vCPU runs. */
static void period_over(struct timeout *timeout)
{
	make_ready(container_of(timeout, struct vcpu, refill), VCPU_THROTTLED);
}

/* `inline`, for it is on the way of every event. */
inline void sched_kick(struct vcpu *vcpu)
{
	enum vcpu_run run = sched_run_after(vcpu);

	if (__builtin_expect(run == VCPU_RUNNING, 1)) {
		if (vcpu->core != cpu_index())
			gic_kick(vcpu->core);
	} else if (run == VCPU_BLOCKED) { /* others look when they are loaded */
		sched_wake(vcpu);
	}
}

void sched_block(void)
{
	struct core *core = this_core();
	struct vcpu *vcpu = core->loaded;

	spin_lock(&core->lock);
	if (vcpu->run == VCPU_RUNNING) /* else it was stopped meanwhile */
		write_once(vcpu->run, VCPU_BLOCKED);
	core->needed = true;
	spin_unlock(&core->lock);
	if (vgic_pending(vcpu))
		sched_wake(vcpu);
}

void sched_lent(u64 ticks)
{
	struct core *core = this_core();
	struct vcpu *vcpu = core->loaded;

	if (!vcpu)
		return;
	core->slice_from += ticks;
	write_once(vcpu->account.run, vcpu->account.run + ticks);
	if (!vcpu->budget)
		return;
	spin_lock(&core->lock);
	vcpu->charged_at += ticks; /* also if some of them were charged: they come back */
	spin_unlock(&core->lock);
}

void sched_again(void)
{
	write_once(this_core()->needed, true);
}

u64 sched_decided(void)
{
	return this_core()->decided;
}

RARE bool sched_stop(struct vcpu *vcpu, bool ending)
{
	struct core *core = &cores[vcpu->core];
	bool on_core;

	spin_lock(&core->lock);
	/* Running, but not loaded: its core has chosen it and is about to load it. */
	on_core = core->loaded == vcpu || vcpu->run == VCPU_RUNNING;
	if (vcpu->run == VCPU_READY)
		dequeue(core, vcpu, timer_now());
	write_once(vcpu->run, VCPU_STOPPED);
	if (on_core) {
		vcpu->ending |= ending; /* it may stop itself when its VM has stopped it */
		write_once(core->needed, true);
	}
	spin_unlock(&core->lock);
	if (on_core && core != this_core())
		gic_kick(vcpu->core);
	return !on_core;
}

static u64 what_is_left(u64 of, u64 used)
{
	return used < of ? of - used : 0;
}

static void take(struct vcpu *vcpu, u64 ticks)
{
	vcpu->budget_left = max(vcpu->budget_left - (s64)ticks, -(s64)vcpu->budget);
}

/*
 * Time since it was metered comes off what is left of the budget. No more: its core's timer ends it in time, and a budget
 * that is less than a switch takes would be used up before the guest's first instruction, for ever.
 */
static void charge(const struct core *core, struct vcpu *vcpu, u64 now) NEEDS(core->lock)
{
	(void)core; /* named for NEEDS() */
	if (!vcpu->budget)
		return;
	vcpu->budget_left -= min((s64)(now - vcpu->charged_at), max(vcpu->budget_left, 0));
	vcpu->charged_at = 0;
}

/* If none is open a period begins. True: nothing is left for it. */
static RARE bool used_up(const struct core *core, struct vcpu *vcpu, u64 now) NEEDS(core->lock)
{
	(void)core; /* named for NEEDS() */
	if (now >= vcpu->period_end) {
		vcpu->budget_left = min(vcpu->budget_left, 0) + (s64)vcpu->budget;
		vcpu->period_end = now + vcpu->period;
	}
	return vcpu->budget_left <= 0;
}

static bool exhausted(const struct core *core, struct vcpu *vcpu, u64 now) NEEDS(core->lock)
{
	return vcpu->budget && used_up(core, vcpu, now);
}

static RARE u64 meter_budget(struct core *core, struct vcpu *vcpu, u64 now)
{
	u64 end;

	spin_lock(&core->lock);
	vcpu->charged_at = now;
	end = min(now + (u64)vcpu->budget_left, vcpu->period_end);
	spin_unlock(&core->lock);
	return end;
}

/* The vCPU runs from now on. Says when its budget has an end, or its period if that is before. */
static u64 meter(struct core *core, struct vcpu *vcpu, u64 now)
{
	return vcpu->budget ? meter_budget(core, vcpu, now) : UINT64_MAX;
}

/*
 * What it has run is charged first, for it is of the period that ends now if it does. Its own core's timer is for what was
 * left when it began to run. What a piece of work takes too long is of the next period's budget.
 */
RARE u64 sched_spend(struct vcpu *vcpu, u64 ticks)
{
	struct core *core = &cores[vcpu->core];
	u64 now = timer_now(), until = 0;
	bool tell = false;

	if (!vcpu->budget)
		return 0;
	spin_lock(&core->lock);
	if (vcpu->charged_at) {
		charge(core, vcpu, now);
		vcpu->charged_at = now;
	}
	used_up(core, vcpu, now);
	take(vcpu, ticks);
	if (vcpu->budget_left <= 0) {
		until = vcpu->period_end;
		tell = vcpu->charged_at;
	}
	if (tell)
		write_once(core->needed, true);
	spin_unlock(&core->lock);
	if (tell && core != this_core())
		gic_kick(vcpu->core);
	return until;
}

/* Until its period ends. The timeout is its core's, that is ours. */
static RARE void throttle(struct vcpu *vcpu)
{
	write_once(vcpu->run, VCPU_THROTTLED);
	timeout_set(&vcpu->refill, vcpu->period_end);
}

/* The most urgent of those that are ready, of which there are some; they are one less then. */
static struct vcpu *first_ready(struct core *core, u64 now) NEEDS(core->lock)
{
	u32 best = 31 - (u32)__builtin_clz(core->ready_mask);
	struct vcpu *first = container_of(core->ready[best].next, struct vcpu, queue_link);

	dequeue(core, first, now);
	return first;
}

/*
 * `next`, or who is behind it, if that has used up its budget: by what others did for it. Out of line: without budgets
 * nothing is called. 0: nobody, or there is more to be looked at.
 */
static RARE APART struct vcpu *take_metered(struct core *core, struct vcpu *next, u64 now)
	NEEDS(core->lock)
{
	for (u32 i = 0; exhausted(core, next, now); i++) {
		throttle(next);
		core->needed |= core->ready_mask && i + 1 == THROTTLED_AT_ONCE;
		if (!core->ready_mask || i + 1 == THROTTLED_AT_ONCE)
			return 0;
		next = first_ready(core, now);
	}
	write_once(next->run, VCPU_RUNNING);
	return next;
}

/* The most urgent of those that are ready and have budget left; 0: nobody. */
static struct vcpu *take_ready(struct core *core, u64 now) NEEDS(core->lock)
{
	struct vcpu *next;

	if (!core->ready_mask)
		return 0;
	next = first_ready(core, now);
	if (next->budget)
		return take_metered(core, next, now);
	write_once(next->run, VCPU_RUNNING);
	return next;
}

/* Who should run now; 0: nobody. */
static struct vcpu *choose(struct core *core, u64 now) NEEDS(core->lock)
{
	struct vcpu *loaded = core->loaded;

	if (loaded && loaded->run == VCPU_RUNNING && exhausted(core, loaded, now))
		throttle(loaded);
	if (loaded && loaded->run == VCPU_RUNNING) {
		u32 rivals = core->ready_mask >> loaded->priority;

		loaded->slice_left = what_is_left(loaded->slice_left, now - core->slice_from);
		if (!rivals || (rivals == 1 && loaded->slice_left))
			return loaded;
		enqueue(core, loaded, loaded->slice_left, now);
	}
	return take_ready(core, now);
}

/*
 * If the unloading has made others ready they come into the choice, before one is loaded in vain. From now on
 * who is returned counts as loaded.
 */
static RARE struct vcpu *reconsider(struct core *core, struct vcpu *next, u64 now)
{
	spin_lock(&core->lock);
	/*
	 * Stopped meanwhile: that it leaves the core is reported when it is unloaded. Unless it was the one that was
	 * unloaded just now: then it is reported, and its VM may be at its end already.
	 */
	if (core->needed && (!next || !next->ending)) {
		if (next && next->run == VCPU_RUNNING)
			enqueue(core, next, true, now);
		core->needed = false;
		next = take_ready(core, now);
	}
	core->loaded = next;
	spin_unlock(&core->lock);
	return next;
}

/* Makes room for `next`, 0: nobody. Returns who counts as loaded from now on, which usually is `next`. */
static struct vcpu *unload(struct core *core, struct vcpu *vcpu, struct vcpu *next, u64 now)
{
	bool ending;

	account_clock_stop(&vcpu->account.run, now);
	vgic_save(vcpu);
	/* What is pending now is not the next one's. Being loaded, the vCPU is told to leave below. */
	if (arch_vcpu_save(&vcpu->arch))
		vm_fault(vcpu, FAULT_SERROR);
	if ((vcpu->arch.cntv_ctl & 3) == 1 && vcpu->run != VCPU_STOPPED)
		timeout_set(&vcpu->vtimer_timeout, vcpu->arch.cntv_cval);
	spin_lock(&core->lock);
	ending = vcpu->ending;
	if (!ending && !core->needed) {
		core->loaded = next;
		spin_unlock(&core->lock);
		return next;
	}
	core->loaded = 0;
	vcpu->ending = false;
	spin_unlock(&core->lock);
	if (ending)
		vm_vcpu_left(vcpu->vm);
	return reconsider(core, next, now);
}

static RARE void begin_anew(struct vcpu *vcpu)
{
	vcpu->restart = false;
	arch_vcpu_reset(&vcpu->arch, vcpu->entry, vcpu->context);
	vptimer_reset(&vcpu->ptimer);
	vgic_vcpu_reset(vcpu);
}

static void load(struct core *core, struct vcpu *vcpu, u64 now)
{
	account_clock_start(&vcpu->account.run, now);
	timeout_cancel(&vcpu->vtimer_timeout);
	if (vcpu->restart)
		begin_anew(vcpu);
	arch_set_wfi_trap(&vcpu->arch, core->pinned > 1);
	arch_vcpu_load(&vcpu->arch);
	vgic_load(vcpu);
}

/* Takes the decision; 0: nobody is ready. */
static struct vcpu *decide(struct core *core)
{
	struct vcpu *loaded = core->loaded;
	struct vcpu *next;
	u64 now = timer_now(), end;
	bool rivals, stays;

	spin_lock(&core->lock);
	if (loaded)
		charge(core, loaded, now);
	core->needed = false;
	next = choose(core, now);
	if (!loaded)
		core->loaded = next;
	spin_unlock(&core->lock);

	stays = loaded && loaded == next && !loaded->restart;
	if (loaded && !stays)
		next = unload(core, loaded, next, now);
	/* Who becomes an equal's rival later than this look says so by `needed`. */
	rivals = next && read_once(core->ready_mask) >> next->priority & 1;
	if (stays) /* Perhaps READY or BLOCKED in between: then nobody kicked it. */
		vgic_settle(next);
	else if (next)
		load(core, next, now);
	core->slice_from = core->decided = now;
	end = next ? meter(core, next, now) : UINT64_MAX;
	if (rivals)
		end = min(end, now + next->slice_left);
	if (end != UINT64_MAX)
		timeout_set(&core->turn, end);
	else
		timeout_cancel(&core->turn);
	return next;
}

/* Something is done in this vCPU's time in place of its guest. */
static bool stepping(const struct vcpu *vcpu)
{
	return read_once(vcpu->turns) != TURNS_GUEST;
}

static RARE void step(struct vcpu *vcpu)
{
	enum vcpu_turns turns = read_once(vcpu->turns);

	if (turns == TURNS_VM)
		vm_step(vcpu->vm);
	else if (turns == TURNS_ANSWER)
		vgic_ask_step(vcpu);
	else
		ipc_vcpu_step(vcpu);
}

struct vcpu *sched_next(void)
{
	struct core *core = this_core();
	struct vcpu *next;

	while (!(next = decide(core)) || stepping(next) || read_once(core->needed)) {
		if (next && stepping(next))
			step(next);
		else if (!read_once(core->needed))
			cpu_wait();
		irq_handle(core->loaded);
	}
	return next;
}

void sched_alert(u32 core)
{
	gic_kick(core);
}

void sched_communicate(void)
{
	struct core *core = this_core();

	for (;;) {
		if (!ipc_comm_turn(cpu_index()))
			cpu_wait();
		irq_handle(0);
		if (read_once(core->needed)) {
			core->needed = false;
			core->decided = timer_now();
		}
	}
}
