/* What there is of a VM, and whether it has changed (ipc_state.h). */
#include <stdlib.h>
#include <string.h>
#include "ipc_state.h"

#define PIECES 128u
#define PAGES  (FAKE_POOL_PAGES + FAKE_WINDOW_PAGES + 64)
#define INTIDS 32u
#define BYTES  (256 * KIB)

struct piece {
	const void *at;
	u64 bytes;
	u8 *copy;
};

struct ipc_state {
	u32 vm;
	u32 count;
	struct piece piece[PIECES];
	u64 pa[PAGES];
	enum stage2_kind kind[PAGES];
	u32 pends[MAX_VCPUS][INTIDS];
	u64 left; /* pieces that are still to come */
	struct ipc_state *next;
	u64 used;
	u8 bytes[BYTES] __attribute__((aligned(16))); /* the copies */
};

/* There are as many of them as a test has had at a time. */
static struct ipc_state *unused;

/* Tickets of locks count how often they were taken. */
static void blank_lock(struct spinlock *lock)
{
	memset(lock, 0, sizeof(*lock));
}

static void blank_vcpu(struct vcpu *vcpu)
{
	memset(&vcpu->arch, 0, sizeof(vcpu->arch));
	memset(&vcpu->account, 0, sizeof(vcpu->account));
}

/* Where it stands in the core's heap, which is a matter of the others; whether it does stays. */
static void blank_timeout(struct timeout *timeout)
{
	timeout->rank = timeout->rank != 0;
	timeout->up = timeout->below[0] = timeout->below[1] = 0;
}

static void blank_vcpu_ipc(struct vcpu_ipc *ipc)
{
	memset(&ipc->results, 0, sizeof(ipc->results));
	blank_lock(&ipc->block.lock);
	blank_timeout(&ipc->upcall.deadline);
	blank_timeout(&ipc->upcall.period);
	blank_timeout(&ipc->event.timer);
}

/* Numbers of ports go round: a call that fails may have taken one and given it back. */
static void blank_ports(struct event_vm *event)
{
	blank_lock(&event->lock);
	event->fresh = 0;
	memset(&event->free, 0, sizeof(event->free));
	memset(&event->unread, 0, sizeof(event->unread));
}

static void blank_free(struct port *port, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		if (port[i].kind == PORT_FREE)
			memset(&port[i], 0, sizeof(port[i]));
		port[i].next = 0;
	}
}

/* A copy without what each call writes, whoever makes it. */
static void blank(const struct ipc_state *state, const struct piece *piece)
{
	const struct vm *vm = ipc_vm(state->vm);
	void *copy = piece->copy;

	if (piece->at == vm)
		blank_lock(&((struct vm *)copy)->lock);
	if (piece->at == vm->ipc) {
		blank_ports(&((struct vm_ipc *)copy)->event);
		blank_lock(&((struct vm_ipc *)copy)->grant.lock);
		/* How far a search for watches has come. */
		((struct vm_ipc *)copy)->store.search = ((struct vm_ipc *)copy)->store.quiet = 0;
	}
	if (piece->at == vm->ipc->event.port)
		blank_free(copy, vm->ipc->event.port_count);
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		if (piece->at == vm->vcpu[i])
			blank_vcpu(copy);
		if (piece->at == vm->vcpu[i]->ipc)
			blank_vcpu_ipc(copy);
	}
}

static void keep(struct ipc_state *state, const void *at, u64 bytes)
{
	struct piece *piece = &state->piece[state->count++];

	assert_true(state->count <= PIECES);
	piece->at = at;
	piece->bytes = bytes;
	piece->copy = &state->bytes[state->used];
	state->used = align_up(state->used + bytes, 16);
	assert_true(state->used <= BYTES);
	memcpy(piece->copy, at, bytes);
	blank(state, piece);
}

static void keep_if_its_own(void *memory, u64 bytes, void *arg)
{
	struct ipc_state *state = arg;

	if (ipc_heap_owner(--state->left, memory) == state->vm)
		keep(state, memory, bytes);
}

static void keep_page(struct ipc_state *state, u32 number, u64 ipa)
{
	const struct stage2 *tables = &ipc_vm(state->vm)->stage2;

	assert_true(number < PAGES);
	state->pa[number] = fake_stage2_pa(tables, ipa);
	state->kind[number] = fake_stage2_kind(tables, ipa);
}

struct ipc_state *ipc_state_take(u32 id)
{
	struct ipc_state *state = unused ? unused : malloc(sizeof(*state));
	struct vm *vm = ipc_vm(id);
	u32 page = 0;

	if (unused)
		unused = unused->next;
	state->vm = id;
	state->count = 0;
	state->used = 0;
	state->left = fake_heap_allocations();
	keep(state, vm, sizeof(*vm));
	for (u32 i = 0; i < vm->vcpu_count; i++)
		keep(state, vm->vcpu[i], sizeof(*vm->vcpu[i]));
	fake_heap_each(keep_if_its_own, state);
	for (u64 i = 0; i < FAKE_POOL_PAGES; i++)
		keep_page(state, page++, vm_pool_base(vm) + i * PAGE_SIZE);
	for (u64 i = 0; i < FAKE_WINDOW_PAGES; i++)
		keep_page(state, page++, VM_WINDOW_BASE + i * PAGE_SIZE);
	for (u64 i = 0; i < 64; i++)
		keep_page(state, page++, VM_SHARED_BASE + i * PAGE_SIZE);
	for (u32 i = 0; i < vm->vcpu_count; i++)
		for (u32 intid = 0; intid < INTIDS; intid++)
			state->pends[i][intid] = ipc_pends(vm->vcpu[i], intid);
	return state;
}

void ipc_state_free(struct ipc_state *state)
{
	state->next = unused;
	unused = state;
}

void assert_state_is(struct ipc_state *before, const char *what)
{
	struct ipc_state *now = ipc_state_take(before->vm);

	assert_int_equal(now->count, before->count);
	for (u32 i = 0; i < now->count; i++) {
		u64 bytes = before->piece[i].bytes, at = 0;

		if (memcmp(now->piece[i].copy, before->piece[i].copy, bytes) == 0)
			continue;
		while (now->piece[i].copy[at] == before->piece[i].copy[at])
			at++;
		fail_msg("%s: VM %u: byte %lu of %lu of piece %u has changed", what, before->vm,
			 (unsigned long)at, (unsigned long)bytes, i);
	}
	if (memcmp(now->pa, before->pa, sizeof(now->pa)) ||
	    memcmp(now->kind, before->kind, sizeof(now->kind)))
		fail_msg("%s: VM %u: its stage 2 has changed", what, before->vm);
	if (memcmp(now->pends, before->pends, sizeof(now->pends)))
		fail_msg("%s: VM %u: it was interrupted", what, before->vm);
	ipc_state_free(now);
	ipc_state_free(before);
}
