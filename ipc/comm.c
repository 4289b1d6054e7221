/*
 * Communication cores (comm.h).
 *
 * Owns:  struct comm_core, one for each communication core; struct comm_vcpu.
 * Locks: none; `awake` is atomic. Of a ring itself, and of a VM that ends, submit.c has the lock.
 * ABI:   guests/include/weir/submit.h
 *
 * Sleep. The core takes the ring out of `awake`, sets submit_wanted, and then looks for a command once more
 * ([A2] in submit.c); the guest puts a command, and then looks at submit_wanted ([W2] in weir/submit.h). So
 * if the core has not seen the command, the guest sees submit_wanted, and then finds the ring out of
 * `awake`: it puts it back and kicks the core. If it finds it there, the core looks at the ring before it
 * sleeps. That a VM ends, or begins anew, changes nothing of this.
 */
#include "ipc/comm.h"

#include "arch/arm64/barrier.h" /* cpu_relax() */
#include "core/base/log.h"
#include "core/hypercall.h"
#include "core/memory.h"
#include "core/sched.h"
#include "ipc/ipc.h"
#include "ipc/submit.h"

#define QUANTUM_BYTES 4096
#define POLL_US	      50 /* how long a ring without commands is looked at */
#define PRIORITIES    8u
#define RINGS_MAX     64u /* of a core: bits of a word, and a bound for what it looks at in a turn */

/* Rings of the same priority. */
struct comm_group {
	u32 to;	  /* the rank behind the last */
	u32 turn; /* from which on it is theirs */
};

struct comm_core {
	u64 awake;   /* atomic; bit n: ring n is looked at. Set by any core */
	u64 seen;    /* the core's own: those of them that it has looked at since they woke */
	u64 resting; /* the core's own: of vCPUs that have used up their budget, or had */
	struct timeout rest; /* until one of them may have some again */
	u32 rings, left_out;
	struct comm_group group[PRIORITIES];
	struct vcpu *ring[RINGS_MAX]; /* the most urgent first */
};

static struct comm_core *cores[MAX_PCPUS]; /* 0: an application core */
static u64 poll_ticks;

/* ---- Sleeping and waking ----------------------------------------------------------------------- */

/* Who has used up its budget may have some again, or goes on to rest. */
static void rested(struct timeout *timeout)
{
	container_of(timeout, struct comm_core, rest)->resting = 0;
}

/* From the budget. True: there is none left; the ring, full or not, is not looked at before there is. */
static RARE APART bool spend(struct vcpu *vcpu, u64 ticks)
{
	const struct comm_vcpu *comm = &vcpu->ipc->comm;
	struct comm_core *core = cores[comm->core];
	u64 until = sched_spend(vcpu, ticks);

	if (!until)
		return false;
	core->resting |= BIT(comm->rank);
	if (!timeout_pending(&core->rest) || until < core->rest.deadline)
		timeout_set(&core->rest, until);
	return true;
}

/* A moment of the core was for this vCPU, which has it less in its own. */
static inline u64 charge(struct vcpu *vcpu, u64 since)
{
	struct account *account = &vcpu->account;
	u64 now = timer_now();

	write_once(account->comm_ticks, account->comm_ticks + now - since);
	if (__builtin_expect(vcpu->budget != 0, 0))
		spend(vcpu, now - since);
	return now;
}

/*
 * They were woken: each is looked at for a while, also if it has nothing. So whoever calls for nothing again and
 * again wakes the core once in this while, and no more.
 */
static void rouse(struct comm_core *core, u64 fresh, u64 now)
{
	core->seen |= fresh;
	for (; fresh; fresh &= fresh - 1)
		core->ring[__builtin_ctzl(fresh)]->ipc->comm.served = now;
}

/*
 * A ring that has had nothing for long is not looked at any more; unless something came just now. Says when that
 * was done: the vCPU pays for it.
 */
static u64 doze(struct comm_core *core, struct vcpu *vcpu, u64 now)
{
	u64 bit = BIT(vcpu->ipc->comm.rank);

	core->seen &= ~bit;
	/* [Z1] not awake, before submit_wanted is seen and the tail is read: by the order of [A2]. Pairs with wake(). */
	__atomic_fetch_and(&core->awake, ~bit, __ATOMIC_RELAXED);
	if (!submit_sleep(vcpu))
		__atomic_fetch_or(&core->awake, bit, __ATOMIC_RELAXED);
	return charge(vcpu, now);
}

/* The guest has seen submit_wanted. */
static void wake(struct vcpu *vcpu)
{
	const struct comm_vcpu *comm = &vcpu->ipc->comm;
	u64 bit = BIT(comm->rank);

	if (!(__atomic_fetch_or(&cores[comm->core]->awake, bit, __ATOMIC_RELAXED) & bit))
		sched_alert(comm->core);
}

/* ---- Serving ----------------------------------------------------------------------------------- */

/*
 * The ring that is to be served: the first that has a command, by priority; but of its equals the first from
 * that on whose turn it is, if one has. 0: none has. Only rings that are awake are looked at; one that has had
 * nothing for long falls asleep, but not more than one in a turn; *now is then behind that.
 */
static inline struct vcpu *choose(struct comm_core *core, u64 *now)
{
	u64 awake = __atomic_load_n(&core->awake, __ATOMIC_ACQUIRE) & ~core->resting;
	struct vcpu *first = 0;
	bool dozed = false;

	if (__builtin_expect((awake & ~core->seen) != 0, 0))
		rouse(core, awake & ~core->seen, *now);
	for (; awake; awake &= awake - 1) {
		u32 rank = (u32)__builtin_ctzl(awake);
		struct vcpu *vcpu = core->ring[rank];
		const struct comm_vcpu *comm = &vcpu->ipc->comm;

		if (first && rank >= first->ipc->comm.group->to)
			break;
		if (!submit_waits(vcpu)) {
			if (!dozed && *now - comm->served >= poll_ticks) {
				*now = doze(core, vcpu, *now);
				dozed = true;
			}
			continue;
		}
		if (rank >= comm->group->turn)
			return vcpu;
		if (!first)
			first = vcpu;
	}
	return first;
}

/*
 * One turn of a ring. A command may take more than is left of the quantum: then the ring has less in its
 * next turns. What it does not need is not saved.
 */
static inline void serve(struct vcpu *vcpu, u64 now)
{
	struct comm_vcpu *comm = &vcpu->ipc->comm;
	s64 credit = comm->credit + QUANTUM_BYTES;

	if (__builtin_expect(vcpu->budget != 0, 0) && spend(vcpu, 0))
		return;
	comm->group->turn = comm->rank + 1 < comm->group->to ? comm->rank + 1 : 0;
	if (credit > 0) {
		credit -= (s64)submit_drain(vcpu, (u64)credit);
		credit = min(credit, 0);
	}
	comm->credit = credit;
	comm->served = charge(vcpu, now);
}

/*
 * `awake` is read behind the acknowledgement of the kick that says that it has changed: timer_now() has an ISB.
 * If it changes behind the last look, the kick is still to come, and ends the core's sleep.
 */
bool ipc_comm_turn(u32 index)
{
	struct comm_core *core = cores[index];
	u64 now = timer_now();
	struct vcpu *vcpu = choose(core, &now);

	if (vcpu)
		serve(vcpu, now);
	else if (!(read_once(core->awake) & ~core->resting))
		return false;
	cpu_relax();
	return true;
}

/* ---- At boot ----------------------------------------------------------------------------------- */

/* The communication cores, by their numbers in the machine. */
struct comm_list {
	u32 count;
	u32 core[MAX_PCPUS];
};

/* The rings of one priority: each to the core whose turn it is. */
static RARE void add_rings(const struct comm_list *list, u32 priority)
{
	u32 index = 0; /* of the vCPU in the machine */

	for (u32 id = 0; id < vm_count(); id++) {
		const struct vm *vm = vm_get(id);

		for (u32 i = 0; vm && i < vm->vcpu_count; i++, index++) {
			u32 number = list->core[index % list->count];
			struct comm_core *core = cores[number];
			struct comm_vcpu *comm = &vm->vcpu[i]->ipc->comm;

			if (vm->vcpu[i]->priority != priority)
				continue;
			if (core->rings == RINGS_MAX) {
				core->left_out++;
				continue;
			}
			comm->core = number;
			comm->rank = core->rings++;
			comm->group = &core->group[priority];
			comm->group->to = core->rings;
			core->ring[comm->rank] = vm->vcpu[i];
			submit_serve(vm->vcpu[i], wake);
		}
	}
}

static RARE void say(const struct comm_list *list)
{
	for (u32 i = 0; i < list->count; i++) {
		const struct comm_core *core = cores[list->core[i]];

		log_line("core %u communicates, for %u vCPUs", list->core[i], core->rings);
		if (core->left_out)
			log_line("core %u: so many are served at most: %u more make calls instead",
				 list->core[i], core->left_out);
	}
}

RARE void ipc_comm_create(const struct manifest *manifest)
{
	struct comm_list list = { 0 };

	for (u32 core = 0; core < MAX_PCPUS; core++) {
		if (!(manifest->communication_cores >> core & 1))
			continue;
		list.core[list.count++] = core;
		cores[core] = heap_alloc(sizeof(struct comm_core));
		timeout_init(&cores[core]->rest, rested);
	}
	for (u32 priority = PRIORITIES; list.count && priority--;)
		add_rings(&list, priority);
	say(&list);
	poll_ticks = timer_from_us(POLL_US);
}
