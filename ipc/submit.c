/*
 * The submission ring: commands of a vCPU, whoever takes them (submit.h).
 *
 * Owns:  struct submit_vcpu; submit_head, submit_wanted and submit_status in the `out` pages.
 * Locks: the ring's lock, the outermost of ipc/. Who holds it is alone with the ring; the VM's end takes it to
 *	  be sure of that.
 * ABI:   guests/include/weir/submit.h
 *
 * Each word of a command is read once, and checked as the same call checks its register: the handlers behind
 * the commands are those of the calls. Nothing depends on what the guest does to the ring meanwhile.
 */
#include "ipc/submit.h"

#include "ipc/block.h"
#include "ipc/copy.h"
#include "ipc/event.h"

#define CALL_QUANTUM 4096u /* of one WEIR_FN_SUBMIT */

static void set_wanted(struct vcpu *vcpu, bool wanted)
{
	vcpu->ipc->submit.asleep = wanted;
	write_once(vcpu->ipc->out->submit_wanted, wanted);
}

static enum weir_status do_event(struct vcpu *vcpu, const struct weir_command *command, u64 what)
{
	struct account_ring *account = &vcpu->account.ring;

	if (what != WEIR_COMMAND_EVENT)
		return WEIR_INVALID;
	write_once(account->events, account->events + 1);
	return event_send(vcpu, read_once(command->argument[0]));
}

/* A request is refused: its completion says so, if there is room for one. */
static RARE APART enum weir_status refuse(struct vcpu *vcpu, u64 cookie, enum weir_status status)
{
	struct block_slot *slot = status != WEIR_QUOTA ? block_slot_take(vcpu, cookie) : 0;

	if (!slot)
		return WEIR_QUOTA;
	block_slot_complete(slot, status);
	return status;
}

/* The registers of WEIR_FN_BLOCK_SUBMIT. */
static enum weir_status do_block(struct vcpu *vcpu, const struct weir_command *command, u64 what)
{
	struct account_ring *account = &vcpu->account.ring;
	const struct call_args in = {
		.x1 = what >> 8 & 0xffffff,
		.x2 = read_once(command->argument[0]),
		.x3 = what >> 32,
		.x4 = read_once(command->argument[1]),
		.x5 = read_once(command->cookie),
	};
	enum weir_status status = block_submit(vcpu, &in);

	if (status != WEIR_OK)
		return refuse(vcpu, in.x5, status);
	write_once(account->block_requests, account->block_requests + 1);
	write_once(account->block_sectors, account->block_sectors + in.x3);
	return status;
}

static enum weir_status begin_copy(struct vcpu *vcpu, const struct weir_command *command, u64 what)
{
	struct copy *copy = &vcpu->ipc->submit.copy;
	u64 to = read_once(command->argument[0]), from = read_once(command->argument[1]);
	u64 cookie = read_once(command->cookie);
	enum weir_status status = WEIR_INVALID;

	if ((u32)what == WEIR_COMMAND_COPY)
		status = copy_begin(vcpu, copy, to, from, (u32)(what >> 32), cookie);
	return status == WEIR_OK ? WEIR_AGAIN : refuse(vcpu, cookie, status);
}

/*
 * Commands but events; ring->used is what they cost, for a variable of drain() would have to be in memory then.
 * WEIR_AGAIN: a copy is not done yet.
 */
static APART enum weir_status do_request(struct vcpu *vcpu, const struct weir_command *command,
					 u64 what)
{
	struct submit_vcpu *ring = &vcpu->ipc->submit;
	enum weir_status status;

	ring->used = SUBMIT_COST_REQUEST;
	if ((u8)what == WEIR_COMMAND_BLOCK)
		return do_block(vcpu, command, what);
	if ((u8)what != WEIR_COMMAND_COPY)
		return WEIR_INVALID;
	status = begin_copy(vcpu, command, what);
	return status == WEIR_AGAIN ? copy_step(vcpu, &ring->copy, &ring->used) : status;
}

/* The command at the head. A copy that has begun is in EL2, whatever stands there now. */
static inline enum weir_status do_command(struct vcpu *vcpu, struct submit_vcpu *ring, u64 *used)
{
	const struct weir_command *command = &vcpu->ipc->in->command[ring->head % WEIR_COMMANDS];
	u64 what;

	enum weir_status status;

	if (__builtin_expect(ring->copy.left, 0)) {
		ring->used = SUBMIT_COST_REQUEST;
		status = copy_step(vcpu, &ring->copy, &ring->used);
		*used += ring->used;
		return status;
	}
	what = read_once(command->what);
	if (__builtin_expect((u8)what != WEIR_COMMAND_EVENT, 0)) {
		status = do_request(vcpu, command, what);
		*used += ring->used;
		return status;
	}
	*used += SUBMIT_COST_EVENT;
	return do_event(vcpu, command, what);
}

static u64 drain(struct vcpu *vcpu, struct submit_vcpu *ring, u64 quantum) NEEDS(ring->lock)
{
	struct weir_out *out = vcpu->ipc->out;
	u64 tail, used = 0;

	/* [A1] the tail before the commands. Pairs with [W1] in weir_submit_publish. */
	WEIR_ORDERED(A1, ldar,
		     tail = __atomic_load_n(&vcpu->ipc->in->submit_tail, __ATOMIC_ACQUIRE));
	if (tail - ring->head - 1 >= WEIR_COMMANDS)
		return 0;
	if (ring->asleep && ring->wake)
		set_wanted(vcpu, false);
	while (ring->head != tail && used < quantum) {
		enum weir_status status = do_command(vcpu, ring, &used);

		if (status == WEIR_AGAIN)
			continue;
		write_once(out->submit_status[ring->head % WEIR_COMMANDS], status);
		ring->head++;
	}
	/* [A3] commands are read, and their status is written, before the head. Pairs with [W3]. */
	WEIR_ORDERED(A3, stlr, __atomic_store_n(&out->submit_head, ring->head, __ATOMIC_RELEASE));
	return used;
}

u64 submit_drain(struct vcpu *vcpu, u64 quantum)
{
	struct submit_vcpu *ring = &vcpu->ipc->submit;
	u64 used = 0;

	spin_lock(&ring->lock);
	if (!ring->stopped)
		used = drain(vcpu, ring, quantum);
	spin_unlock(&ring->lock);
	return used;
}

bool submit_sleep(struct vcpu *vcpu)
{
	struct submit_vcpu *ring = &vcpu->ipc->submit;
	bool nothing;

	spin_lock(&ring->lock);
	set_wanted(vcpu, true);
	/*
	 * [A2] `submit_wanted` is stored before the tail is read. Pairs with [W2] in weir_submit_kick: either
	 * the guest sees that it has to call, or we see what it has put.
	 */
	WEIR_ORDERED(A2, dmb ish, full_barrier());
	nothing = !submit_waits(vcpu);
	if (!nothing)
		set_wanted(vcpu, false);
	spin_unlock(&ring->lock);
	return nothing;
}

enum weir_status submit_call(struct vcpu *self, const struct call_args *in,
			     struct call_results *out)
{
	(void)in;
	(void)out;
	if (self->ipc->submit.wake) {
		self->ipc->submit.wake(self);
		return WEIR_OK;
	}
	submit_drain(self, CALL_QUANTUM);
	return submit_waits(self) ? WEIR_AGAIN : WEIR_OK;
}

RARE void submit_serve(struct vcpu *vcpu, void (*wake)(struct vcpu *vcpu))
{
	vcpu->ipc->submit.wake = wake;
}

/* Nobody looks until somebody has: a communication core too. */
RARE void submit_vcpu_reset(struct vcpu *vcpu)
{
	struct submit_vcpu *ring = &vcpu->ipc->submit;

	spin_lock(&ring->lock);
	ring->head = 0;
	set_wanted(vcpu, true);
	__atomic_store_n(&ring->stopped, false, __ATOMIC_RELAXED);
	spin_unlock(&ring->lock);
}

RARE bool submit_vm_stop(struct vm *vm, u64 *at)
{
	struct submit_vcpu *ring = &vm->vcpu[(*at)++]->ipc->submit;

	spin_lock(&ring->lock);
	__atomic_store_n(&ring->stopped, true, __ATOMIC_RELAXED);
	if (ring->copy.left)
		block_slot_return(ring->copy.slot);
	ring->copy = (struct copy){ 0 };
	spin_unlock(&ring->lock);
	return *at < vm->vcpu_count;
}
