/*
 * Calls in any order, with any arguments, of two times three VMs: whatever some of them do, the others have the
 * same as before, byte for byte; each answer is one that the call's header names; locks are taken in one order;
 * and in the end nothing is lost: all that there was on the first day can be had again.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/manage.c
 * Sources: ipc/port.c ipc/port_source.c core/timeout.c core/base/log.c tests/host/ipc_state.c tests/host/fake/ipc_vms.c
 * Sources: tests/host/fake/ipc_disk.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/panic.c tests/host/call_rows.c
 */
#include <stdlib.h>
#include <string.h>
#include <weir/event.h>
#include <weir/grant.h>
#include <weir/store.h>
#include <weir/upcall.h>
#include "call_rows.h"
#include "ipc_state.h"
#include "ipc/upcall.h"

#define VMS		  6u
#define GROUP		  3u /* of VMs that have channels */
#define STEPS		  10000u
#define PORTS		  20u
#define PORTS_OF_CHANNELS 2u
#define CALLS		  32u /* a step */
#define ROWS		  64u

#define RECENT 8u

static u64 recent[2][RECENT]; /* grants that were made among a's three, and the others */
static u64 opened[2][RECENT]; /* and ports */
static u64 nodes[2][RECENT];  /* of the store, and the same */
static u32 node_count;
static u32 value_count, opened_count, recent_count, accepted[ROWS];

static void answered(void *context, enum weir_status status, const u64 reply[6])
{
	(void)context;
	(void)status;
	(void)reply;
}

/* It has something to answer, if it offers the service and has no other question. */
static void ask(struct vcpu *vcpu)
{
	static const u64 none[4];

	upcall_request(vcpu, WEIR_SERVICE_PING, none, 1000000, answered, 0);
}

static u64 random_below(u64 bound)
{
	return (u64)rand() % bound;
}

static u64 some_argument(u32 vm, enum kind kind)
{
	switch (random_below(8)) {
	case 0:
		return call_value((u32)random_below(value_count));
	case 1:
		if (kind == NODE)
			return nodes[random_below(2)][random_below(RECENT)];
		return recent[random_below(2)][random_below(RECENT)];
	default:
		break;
	}
	if (kind == PORT)
		return call_have.to_b + random_below(2);
	if (kind == NODE && random_below(4) == 0)
		return random_below(2) * WEIR_STORE_ROOT;
	if (kind == NODE)
		return nodes[vm / GROUP][random_below(RECENT)];
	if (kind == OWNER)
		return random_below(2) ? 0 : 1ul << 16 | random_below(VMS);
	if (kind == PORT_OR_VM)
		return random_below(2) * WEIR_PORT_VM;
	if (kind == TIMER && ipc_vcpu(vm, 0)->ipc->event.source[0])
		return ipc_vcpu(vm, 0)->ipc->event.source[0]->handle;
	if (kind == OPENED || kind == OWN_PORT || kind == TIMER)
		return opened[vm / GROUP][random_below(RECENT)];
	if (kind == OFFERED || kind == MINE)
		return recent[vm / GROUP][random_below(RECENT)];
	if (kind == SEQUENCE)
		return ipc_vcpu(vm, 0)->ipc->upcall.sequence;
	if (kind == OPERATION)
		return random_below(3) << 8;
	if (kind == BUFFER)
		return VM_RAM_BASE + random_below(FAKE_RAM_BYTES / 512) * 512;
	if (kind == WINDOW || kind == POOL_PAGE || kind == SECTOR)
		return random_below(12);
	if (kind == SECTORS || kind == PAGES)
		return 1 + random_below(4);
	return call_first(kind) + random_below(call_range(kind));
}

static void random_call(u32 vm)
{
	u32 row = (u32)random_below(call_row_count), index = (u32)random_below(2);
	u64 x[ARGUMENTS] = { 0 };
	s64 status;

	ipc_run(vm, index);
	for (u32 i = 0; i < ARGUMENTS; i++)
		if (call_rows[row].argument[i] != NOTHING)
			x[i] = some_argument(vm, call_rows[row].argument[i]);
	if (call_rows[row].number == WEIR_FN_PORT_OPEN && random_below(2))
		x[1] = 0; /* as most kinds want it */
	status = call_row(&call_rows[row], x, "in any order");
	accepted[row] += status == WEIR_OK;
	if (status == WEIR_OK && (call_rows[row].number == WEIR_FN_PORT_OPEN ||
				  call_rows[row].number == WEIR_FN_PORT_CONNECT))
		opened[vm / GROUP][opened_count++ % RECENT] = ipc_vcpu(vm, index)->arch.x[1];
	if (status == WEIR_OK && call_rows[row].number == WEIR_FN_STORE_MAKE)
		nodes[vm / GROUP][node_count++ % RECENT] = ipc_vcpu(vm, index)->arch.x[1];
	if (status == WEIR_OK && call_rows[row].number == WEIR_FN_GRANT_SHARE)
		recent[vm / GROUP][recent_count++ % RECENT] = ipc_vcpu(vm, index)->arch.x[1];
}

/* What a guest does that is honest, or not. */
static void random_page(u32 vm)
{
	struct weir_pages pages = ipc_pages(vm, (u32)random_below(2));
	struct weir_completion completion;
	u32 number;

	while (random_below(4) && weir_event_next(&pages, &number))
		;
	while (random_below(4) && weir_block_next(&pages, &completion))
		;
	if (random_below(64) == 0)
		pages.in->event_head[random_below(4)] = call_value((u32)random_below(value_count));
	if (random_below(64) == 0)
		pages.in->completion_head = call_value((u32)random_below(value_count));
	memcpy(pages.in->buffer, random_below(2) ? "ab" : "df", 2);
	ask(ipc_vcpu(vm, 0));
}

/* Nothing is left of what was: as much can be had as of a machine that is new. */
static void check_nothing_leaked(void)
{
	for (u32 vm = 0; vm < VMS; vm++)
		ipc_vm_end(vm);
	while (ipc_disk_done(WEIR_OK))
		;
	for (u32 vm = 0; vm < VMS; vm++)
		ipc_vm_renew(vm);
	for (u32 vm = 0; vm < VMS; vm++) {
		const struct stage2 *tables = &ipc_vm(vm)->stage2;
		struct weir_pages pages = ipc_pages(vm, 0);
		weir_handle grant, port, node;
		char name[2] = "a";

		ipc_run(vm, 0);
		for (u64 i = 0; i < FAKE_WINDOW_PAGES; i++)
			assert_int_equal(fake_stage2_kind(tables, VM_WINDOW_BASE + i * PAGE_SIZE),
					 STAGE2_NONE);
		for (u64 i = 0; i < FAKE_POOL_PAGES; i++) {
			u64 ipa = vm_pool_base(ipc_vm(vm)) + i * PAGE_SIZE;

			assert_int_equal(fake_stage2_pa(tables, ipa), ipc_pool_pa(vm, i));
			assert_int_equal(weir_grant_share(ipc_vm(vm)->ipc->event.port[0].handle, i,
							  1, WEIR_READ, &grant),
					 WEIR_OK);
		}
		for (u32 i = 0; i < ipc_vm(vm)->config->store_nodes; i++, name[0]++) {
			assert_int_equal(weir_store_make(&pages, 0, name, 0, 0, 0, &node), WEIR_OK);
			assert_int_equal(weir_store_watch(node, true), WEIR_OK);
		}
		for (u32 i = PORTS_OF_CHANNELS; i < PORTS; i++)
			assert_int_equal(weir_port_open_ipi(&port), WEIR_OK);
		for (u32 i = 0; i < WEIR_COMPLETIONS; i++)
			assert_int_equal(
				weir_block_submit(0, WEIR_BLOCK_READ, 0, 1, (void *)VM_RAM_BASE, i),
				WEIR_OK);
	}
}

/* The VMs of a group are joined, and only those. */
TEST(calls_in_any_order_leak_nothing_and_reach_nobody_else)
{
	static const char *const channels[] = { "ab", "bc", "ac", "de", "ef", "df", 0 };
	u64 allocations;

	srand(5);
	fake_lock_reset();
	ipc_vms_set_ports(PORTS);
	ipc_vms_make(VMS, 2, channels);
	allocations = fake_heap_allocations();
	call_have.to_b = 1ul << 16;
	call_have.to_c = call_have.to_b + 1;
	value_count = call_values();
	assert_true(call_row_count <= ROWS);
	for (u32 step = 0; step < STEPS; step++) {
		u32 vm = (u32)random_below(VMS), other = vm < GROUP ? GROUP : 0;
		struct ipc_state *before[GROUP];

		for (u32 i = 0; i < GROUP; i++)
			before[i] = ipc_state_take(other + i);

		for (u32 times = 0; times < CALLS; times++) {
			u32 who = vm - vm % GROUP + (u32)random_below(GROUP);

			if (random_below(8) == 0)
				random_page(who);
			random_call(who);
		}
		for (u32 i = 0; i < GROUP; i++)
			assert_state_is(before[i], "in any order");
		if (random_below(4) == 0)
			ipc_disk_done(random_below(4) ? WEIR_OK : WEIR_IO);
	}
	check_nothing_leaked();
	assert_int_equal(fake_heap_allocations(), allocations);
	for (u32 row = 0; row < call_row_count; row++)
		if (!accepted[row])
			fail_msg("call %u was never accepted", call_rows[row].number);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(calls_in_any_order_leak_nothing_and_reach_nobody_else,
					  ipc_vms_end),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
