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
#define RINGS_MAX     (MAX_VMS * MAX_VCPUS)
#define WORD_BITS     64u

/* Rings of the same priority: [from, to) of a core's. */
struct comm_group {
	u32 from, to;
	u32 turn; /* where the next look begins */
};

struct comm_core {
	u64 awake[RINGS_MAX / WORD_BITS]; /* atomic; bit n: ring n is looked at. Set by any core */
	u32 groups;
	struct comm_group group[PRIORITIES];
	u32 rings;
	struct vcpu *ring[]; /* the most urgent first */
};

static struct comm_core *cores[MAX_PCPUS]; /* 0: an application core */
static u64 poll_ticks;

static u64 *awake_word(struct comm_core *core, u32 rank)
{
	return &core->awake[rank / WORD_BITS];
}

static u64 awake_bit(u32 rank)
{
	return BIT(rank % WORD_BITS);
}

/* ---- Sleeping and waking ----------------------------------------------------------------------- */

/* A ring that has had nothing for long is not looked at any more; unless something came just now. */
static void doze(struct comm_core *core, struct vcpu *vcpu)
{
	u32 rank = vcpu->ipc->comm.rank;

	/* [Z1] not awake, before submit_wanted is seen and the tail is read: by the order of [A2]. Pairs with wake(). */
	__atomic_fetch_and(awake_word(core, rank), ~awake_bit(rank), __ATOMIC_RELAXED);
	if (!submit_sleep(vcpu))
		__atomic_fetch_or(awake_word(core, rank), awake_bit(rank), __ATOMIC_RELAXED);
}

/* The guest has seen submit_wanted. */
static void wake(struct vcpu *vcpu)
{
	const struct comm_vcpu *comm = &vcpu->ipc->comm;
	u64 *word = awake_word(cores[comm->core], comm->rank), bit = awake_bit(comm->rank);

	if (!(__atomic_fetch_or(word, bit, __ATOMIC_RELAXED) & bit))
		sched_alert(comm->core);
}

/* ---- Serving ----------------------------------------------------------------------------------- */

/* The bits of one word that are rings of [from, to), which has some there. */
static u64 word_mask(u32 word, u32 from, u32 to)
{
	u64 mask = UINT64_MAX;

	if (from > word * WORD_BITS)
		mask <<= from % WORD_BITS;
	if (to < (word + 1) * WORD_BITS)
		mask &= BIT(to % WORD_BITS) - 1;
	return mask;
}

/* The first ring of [from, to) that is awake and has a command; 0: none has. */
static struct vcpu *find(struct comm_core *core, u32 from, u32 to, u64 now)
{
	for (u32 word = from / WORD_BITS; word * WORD_BITS < to; word++) {
		u64 awake = __atomic_load_n(&core->awake[word], __ATOMIC_ACQUIRE) &
			    word_mask(word, from, to);

		for (; awake; awake &= awake - 1) {
			struct vcpu *vcpu =
				core->ring[word * WORD_BITS + (u32)__builtin_ctzl(awake)];

			if (submit_waits(vcpu))
				return vcpu;
			if (now >= vcpu->ipc->comm.until)
				doze(core, vcpu);
		}
	}
	return 0;
}

/* The ring that is to be served: by priority, then in turn; 0: none. */
static struct vcpu *choose(struct comm_core *core, u64 now)
{
	struct vcpu *vcpu = 0;

	for (u32 i = 0; i < core->groups && !vcpu; i++) {
		struct comm_group *group = &core->group[i];

		vcpu = find(core, group->turn, group->to, now);
		if (!vcpu && group->turn != group->from)
			vcpu = find(core, group->from, group->turn, now);
		if (vcpu)
			group->turn = vcpu->ipc->comm.rank + 1 == group->to
					      ? group->from
					      : vcpu->ipc->comm.rank + 1;
	}
	return vcpu;
}

/*
 * One turn of a ring. A command may take more than is left of the quantum: then the ring has less in its
 * next turns. What it does not need is not saved.
 */
static void serve(struct vcpu *vcpu, u64 now)
{
	struct comm_vcpu *comm = &vcpu->ipc->comm;
	struct account *account = &vcpu->account;
	u64 bytes = 0;

	comm->credit += QUANTUM_BYTES;
	if (comm->credit > 0) {
		bytes = submit_drain(vcpu, (u64)comm->credit);
		comm->credit = min(comm->credit - (s64)bytes, 0);
	}
	comm->until = timer_now();
	write_once(account->comm_ticks, account->comm_ticks + comm->until - now);
	write_once(account->comm_bytes, account->comm_bytes + bytes);
	comm->until += poll_ticks;
}

static bool all_asleep(const struct comm_core *core)
{
	for (u32 word = 0; word * WORD_BITS < core->rings; word++)
		if (read_once(core->awake[word]))
			return false;
	return true;
}

/*
 * `awake` is read behind the acknowledgement of the kick that says that it has changed: timer_now() has an ISB.
 * If it changes behind the last look, the kick is still to come, and ends the core's sleep.
 */
bool ipc_comm_turn(u32 index)
{
	struct comm_core *core = cores[index];
	u64 now = timer_now();
	struct vcpu *vcpu = choose(core, now);

	if (vcpu) {
		serve(vcpu, now);
		return true;
	}
	if (all_asleep(core))
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
			comm->core = number;
			comm->rank = core->rings++;
			core->ring[comm->rank] = vm->vcpu[i];
			submit_serve(vm->vcpu[i], wake);
		}
	}
}

static RARE void end_group(struct comm_core *core)
{
	u32 from = core->groups ? core->group[core->groups - 1].to : 0;

	if (from < core->rings)
		core->group[core->groups++] = (struct comm_group){ from, core->rings, from };
}

RARE void ipc_comm_create(const struct manifest *manifest)
{
	struct comm_list list = { 0 };
	u64 vcpus = 0;

	for (u32 core = 0; core < MAX_PCPUS; core++)
		if (manifest->communication_cores >> core & 1)
			list.core[list.count++] = core;
	for (u32 id = 0; id < vm_count(); id++)
		vcpus += vm_get(id) ? vm_get(id)->vcpu_count : 0;
	for (u32 i = 0; i < list.count; i++)
		cores[list.core[i]] = heap_alloc(sizeof(struct comm_core) +
						 (vcpus / list.count + 1) * sizeof(struct vcpu *));
	for (u32 priority = PRIORITIES; list.count && priority--;) {
		add_rings(&list, priority);
		for (u32 i = 0; i < list.count; i++)
			end_group(cores[list.core[i]]);
	}
	for (u32 i = 0; i < list.count; i++)
		log_line("core %u communicates, for %u vCPUs", list.core[i],
			 cores[list.core[i]]->rings);
	poll_ticks = timer_from_us(POLL_US);
}
