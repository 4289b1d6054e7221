/*
 * Services (weir/service.h): who comes first, data, restarts of either side, who may not, and who lies.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <weir/service.h>
#include "store_calls.h"

/* b and c may talk to a by what the manifest says of either, d to nobody. */
enum { A, B, C, D, VMS };

static struct weir_offer service;
static struct weir_service_link links[VMS];
static struct weir_service_peer peer;

static int machine_make(void **state)
{
	static const char *const none[] = { 0 };

	(void)state;
	ipc_vms_set_peers(A, BIT(B), 0);
	ipc_vms_set_peers(C, BIT(A), 0);
	ipc_vms_set_ports(6);
	ipc_vms_make(VMS, 1, none);
	memset(&service, 0, sizeof(service));
	memset(links, 0, sizeof(links));
	return 0;
}

static enum weir_status offer(u64 who)
{
	struct weir_pages pages = ipc_pages(A, 0);

	ipc_run(A, 0);
	return weir_service_offer(&pages, "kv", who, &service);
}

static enum weir_status accept(void)
{
	struct weir_pages pages = ipc_pages(A, 0);

	ipc_run(A, 0);
	memset(&peer, 0, sizeof(peer));
	return weir_service_accept(&pages, &service, &peer);
}

static enum weir_status connect_to(u32 vm)
{
	struct weir_pages pages = ipc_pages(vm, 0);

	ipc_run(vm, 0);
	return weir_service_connect(&pages, "a/kv", "hello", 5, &links[vm]);
}

/* Is there an event that is the store's? All of its events are taken. */
static bool told(u32 vm)
{
	struct weir_pages pages = ipc_pages(vm, 0);
	bool is_told = false;
	u32 number;

	ipc_run(vm, 0);
	while (weir_event_next(&pages, &number))
		is_told |= &ipc_vm(vm)->ipc->event.port[number] == ipc_vm(vm)->ipc->store.port;
	if (is_told)
		while (!weir_service_drain(64))
			;
	return is_told;
}

static void assert_joined(u32 vm)
{
	bool open = false;

	assert_int_equal(connect_to(vm), WEIR_OK);
	assert_int_equal(weir_event_send(links[vm].port), WEIR_OK);
	ipc_run(A, 0);
	assert_int_equal(weir_port_peer(peer.port, 0, &open), WEIR_OK);
	assert_true(open);
}

static void restart(u32 vm)
{
	ipc_vm_renew(vm);
	if (vm == A)
		memset(&service, 0, sizeof(service));
	else
		memset(&links[vm], 0, sizeof(links[vm]));
	open_store(vm);
	told(vm);
}

static void open_all(void)
{
	for (u32 vm = A; vm <= C; vm++) {
		open_store(vm);
		told(vm);
	}
}

TEST(who_connects_to_a_service_is_accepted_with_what_it_says)
{
	open_all();
	assert_int_equal(offer(ALL), WEIR_OK);
	assert_int_equal(accept(), WEIR_NOT_FOUND);
	assert_int_equal(connect_to(B), WEIR_AGAIN);
	assert_true(told(A));
	assert_int_equal(accept(), WEIR_OK);
	assert_int_equal(peer.vm, vm_handle(B));
	assert_int_equal(peer.bytes, 5);
	assert_memory_equal(peer.data, "hello", 5);
	assert_joined(B);
	assert_int_equal(accept(), WEIR_NOT_FOUND);
	assert_int_equal(connect_to(C), WEIR_AGAIN);
	assert_true(told(A));
	assert_int_equal(accept(), WEIR_OK);
	assert_int_equal(peer.vm, vm_handle(C));
	assert_joined(C);
}

TEST(who_is_there_before_the_service_is_told_when_it_comes)
{
	open_all();
	assert_int_equal(connect_to(B), WEIR_AGAIN);
	assert_int_equal(connect_to(B), WEIR_AGAIN);
	assert_false(told(B));
	assert_int_equal(offer(ALL), WEIR_OK);
	assert_true(told(B));
	assert_int_equal(connect_to(B), WEIR_AGAIN);
	assert_true(told(A));
	assert_int_equal(accept(), WEIR_OK);
	assert_joined(B);
}

TEST(a_service_that_starts_again_is_found_again)
{
	open_all();
	assert_int_equal(offer(ALL), WEIR_OK);
	for (u32 life = 0; life < 20; life++) {
		assert_int_equal(connect_to(B), WEIR_AGAIN);
		if (life % 2) { /* it ends before, or after it has accepted */
			assert_int_equal(accept(), WEIR_OK);
			assert_joined(B);
		}
		told(B);
		restart(A);
		assert_true(told(B));
		assert_int_equal(connect_to(B), WEIR_CLOSED);
		assert_int_equal(connect_to(B), WEIR_AGAIN);
		assert_int_equal(offer(ALL), WEIR_OK);
		assert_true(told(B));
	}
}

TEST(who_starts_again_connects_again)
{
	weir_handle before;

	open_all();
	assert_int_equal(offer(ALL), WEIR_OK);
	for (u32 life = 0; life < 20; life++) {
		assert_int_equal(connect_to(B), WEIR_AGAIN);
		told(A);
		if (life % 2) {
			assert_int_equal(accept(), WEIR_OK);
			assert_joined(B);
		}
		before = peer.port;
		restart(B);
		assert_true(told(A));
		assert_int_equal(accept(), WEIR_NOT_FOUND);
		if (life % 2) {
			ipc_run(A, 0);
			assert_int_equal(weir_event_send(before), WEIR_CLOSED);
			assert_int_equal(weir_port_close(before), WEIR_OK);
		}
	}
}

TEST(a_peer_that_is_dismissed_learns_it)
{
	for (u32 joined = 0; joined < 2; joined++) {
		machine_make(0);
		open_all();
		assert_int_equal(offer(ALL), WEIR_OK);
		assert_int_equal(connect_to(B), WEIR_AGAIN);
		assert_int_equal(accept(), WEIR_OK);
		if (joined)
			assert_joined(B);
		ipc_run(A, 0);
		weir_service_dismiss(&peer);
		assert_int_not_equal(next_event(B), -1);
		assert_int_equal(connect_to(B), WEIR_CLOSED);
		assert_int_equal(connect_to(B), WEIR_AGAIN);
		assert_int_equal(accept(), WEIR_OK);
		assert_joined(B);
	}
}

TEST(who_leaves_takes_its_node_along_and_may_come_back)
{
	open_all();
	assert_int_equal(offer(ALL), WEIR_OK);
	for (u32 times = 0; times < 20; times++) {
		assert_int_equal(connect_to(B), WEIR_AGAIN);
		assert_int_equal(accept(), WEIR_OK);
		assert_joined(B);
		told(A);
		ipc_run(B, 0);
		weir_service_leave(&links[B]);
		told(B);
		assert_true(told(A));
		weir_service_dismiss(&peer);
		assert_int_equal(accept(), WEIR_NOT_FOUND);
	}
}

TEST(a_service_is_for_those_whom_it_names_and_whom_the_manifest_lets)
{
	struct weir_pages pages = ipc_pages(D, 0);

	open_all();
	assert_int_equal(offer(BIT(B)), WEIR_OK);
	assert_int_equal(connect_to(C), WEIR_AGAIN); /* as if there were none */
	assert_int_equal(connect_to(B), WEIR_AGAIN);
	assert_int_equal(accept(), WEIR_OK);
	assert_int_equal(accept(), WEIR_NOT_FOUND);
	ipc_run(D, 0);
	assert_int_equal(weir_service_connect(&pages, "a/kv", 0, 0, &links[D]), WEIR_NOT_FOUND);
	assert_int_equal(weir_service_connect(&pages, "kv", 0, 0, &links[D]), WEIR_INVALID);
	assert_int_equal(
		weir_service_connect(&pages, "a/kv", 0, WEIR_SERVICE_DATA_MAX + 1, &links[D]),
		WEIR_INVALID);
	assert_int_equal(offer(ALL), WEIR_BUSY);
}

TEST(a_service_that_is_withdrawn_keeps_those_who_are_connected)
{
	struct weir_pages pages = ipc_pages(A, 0);

	open_all();
	assert_int_equal(offer(ALL), WEIR_OK);
	assert_int_equal(connect_to(B), WEIR_AGAIN);
	assert_int_equal(accept(), WEIR_OK);
	assert_joined(B);
	assert_int_equal(connect_to(C), WEIR_AGAIN);
	ipc_run(A, 0);
	assert_int_equal(weir_service_withdraw(&pages, &service), WEIR_OK);
	assert_joined(B);
	assert_int_equal(accept(), WEIR_STALE);
	assert_true(told(C));
	assert_int_equal(connect_to(C), WEIR_CLOSED);
	assert_int_equal(connect_to(C), WEIR_AGAIN);
	assert_int_equal(offer(ALL), WEIR_OK);
	assert_true(told(C));
}

TEST(without_a_port_left_a_peer_waits)
{
	weir_handle port[6];
	u32 count = 0;

	open_all();
	assert_int_equal(offer(ALL), WEIR_OK);
	assert_int_equal(connect_to(B), WEIR_AGAIN);
	ipc_run(A, 0);
	while (weir_port_open_ipi(&port[count]) == WEIR_OK)
		count++;
	assert_int_equal(accept(), WEIR_QUOTA);
	assert_int_equal(weir_port_close(port[0]), WEIR_OK);
	assert_int_equal(accept(), WEIR_OK);
	assert_joined(B);
}

/* Short values, ports of nobody, ports for others, the same port twice: others are served all the same. */
TEST(who_lies_is_passed_over)
{
	weir_handle node, port, lies[] = { 0, 1ul << 16, ~0ul, 1ul << 63 };
	struct weir_pages pages = ipc_pages(B, 0);
	char name[2] = "0";

	open_all();
	assert_int_equal(offer(ALL), WEIR_OK);
	for (u32 i = 0; i < ARRAY_SIZE(lies); i++, name[0]++) {
		node = made(B, service.node, name, 0, 0, 0);
		assert_int_equal(weir_store_write(&pages, node, &lies[i], 8 - i % 2, 0, 0),
				 WEIR_OK);
	}
	assert_int_equal(connect_to(C), WEIR_AGAIN);
	ipc_run(B, 0);
	assert_int_equal(weir_port_open_vm(vm_handle(A), &port), WEIR_OK);
	for (u32 i = 0; i < 2; i++, name[0]++) {
		node = made(B, service.node, name, 0, 0, 0);
		assert_int_equal(weir_store_write(&pages, node, &port, 8, 0, 0), WEIR_OK);
	}
	assert_int_equal(accept(), WEIR_OK);
	assert_int_equal(peer.vm, vm_handle(B));
	assert_int_equal(accept(), WEIR_OK);
	assert_int_equal(peer.vm, vm_handle(C));
	assert_int_equal(accept(), WEIR_NOT_FOUND);
}

/* ---- Ports for VMs ---- */

TEST(a_port_is_opened_for_whom_the_manifest_lets_talk)
{
	weir_handle port = 0, other = 0;

	ipc_run(A, 0);
	assert_int_equal(weir_port_open_vm(vm_handle(B), &port), WEIR_OK);
	assert_int_equal(weir_port_open_vm(vm_handle(D), &other), WEIR_DENIED);
	assert_int_equal(weir_port_open_vm(vm_handle(A), &other), WEIR_DENIED);
	assert_int_equal(weir_port_open_vm(1ul << 16 | 63, &other), WEIR_DENIED);
	assert_int_equal(weir_port_open_vm(B, &other), WEIR_STALE);
	assert_int_equal(weir_port_open_vm(vm_handle(B) + (1ul << 16), &other), WEIR_STALE);
	ipc_run(C, 0);
	assert_int_equal(weir_port_connect_vm(vm_handle(A), port, &other), WEIR_DENIED);
	ipc_run(D, 0);
	assert_int_equal(weir_port_connect_vm(vm_handle(A), port, &other), WEIR_DENIED);
	ipc_run(B, 0);
	assert_int_equal(weir_port_connect_vm(vm_handle(A), port, &other), WEIR_OK);
	assert_int_equal(weir_event_send(other), WEIR_OK);
	assert_int_equal(next_event(A), weir_port_number(port));
	/* It names its peer, as one that was opened by a channel's does. */
	assert_int_equal(weir_port_open_peer(other, &port), WEIR_OK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(who_connects_to_a_service_is_accepted_with_what_it_says),
		CASE(who_is_there_before_the_service_is_told_when_it_comes),
		CASE(a_service_that_starts_again_is_found_again),
		CASE(who_starts_again_connects_again),
		CASE(a_peer_that_is_dismissed_learns_it),
		CASE(who_leaves_takes_its_node_along_and_may_come_back),
		CASE(a_service_is_for_those_whom_it_names_and_whom_the_manifest_lets),
		CASE(a_service_that_is_withdrawn_keeps_those_who_are_connected),
		CASE(without_a_port_left_a_peer_waits),
		CASE(who_lies_is_passed_over),
		CASE(a_port_is_opened_for_whom_the_manifest_lets_talk),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
