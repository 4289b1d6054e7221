/*
 * Ports that are opened, connected, masked, sent on and closed, while another core does the same, or ends the VM: each
 * of the moves with each of the others in each gap in which no lock is held. Whatever came of it, both ends of a
 * channel know the same, a send that was accepted has arrived at the port that it was for, a ring has a port
 * once, and no port is lost.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/manage.c
 * Sources: ipc/port.c ipc/port_source.c core/timeout.c core/base/log.c tests/host/fake/ipc_vms.c
 * Sources: tests/host/fake/ipc_disk.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/panic.c
 */
#include <string.h>
#include <weir/event.h>
#include "ipc_vms.h"

enum { A, B, C, VMS };

#define PORTS 6u
#define BOTH  VMS

static const char *const channels[] = { "ab", "bc", 0 };

/* b has opened one port for a that waits, and has one that a has connected to; a's end of that. */
static weir_handle waiting, opened, connected, made;
static weir_handle kept[PORTS]; /* ports of b, opened meanwhile, that nobody closes */
static u32 kept_count;

static weir_handle channel(u32 vm)
{
	return ipc_vm(vm)->ipc->event.port[0].handle;
}

static u32 receive_all(u32 vm)
{
	u32 got = 0, number;

	for (u32 i = 0; i < 2; i++) {
		struct weir_pages pages = ipc_pages(vm, i);

		while (weir_event_next(&pages, &number))
			got |= 1u << number;
	}
	return got;
}

static void machine(void)
{
	fake_lock_reset();
	ipc_vms_set_ports(PORTS);
	ipc_vms_make(VMS, 2, channels);
	ipc_run(B, 0);
	assert_int_equal(weir_port_open_peer(channel(B), &opened), WEIR_OK);
	assert_int_equal(weir_port_open_peer(channel(B), &waiting), WEIR_OK);
	ipc_run(A, 0);
	assert_int_equal(weir_port_connect(channel(A), opened, &connected), WEIR_OK);
	made = 0;
	kept_count = 0;
	receive_all(B);
}

/* ---- The moves --------------------------------------------------------------------------------- */

static void connect(u32 vcpu)
{
	ipc_run(A, vcpu);
	weir_port_connect(channel(A), waiting, &made);
}

static void connect_and_close(u32 vcpu)
{
	weir_handle port;

	ipc_run(A, vcpu);
	if (weir_port_connect(channel(A), waiting, &port) == WEIR_OK)
		assert_int_equal(weir_port_close(port), WEIR_OK);
}

static void close_waiting(u32 vcpu)
{
	ipc_run(B, vcpu);
	weir_port_close(waiting);
}

static void close_opened(u32 vcpu)
{
	ipc_run(B, vcpu);
	weir_port_close(opened);
}

static void close_connected(u32 vcpu)
{
	ipc_run(A, vcpu);
	weir_port_close(connected);
}

/* Their numbers go to others: of the first half, for signals of b itself, of the rest to a again. */
static void close_and_open_all(u32 vcpu)
{
	close_opened(vcpu);
	close_waiting(vcpu);
	receive_all(B);
	while ((kept_count < 2 ? weir_port_open_ipi(&kept[kept_count])
			       : weir_port_open_peer(channel(B), &kept[kept_count])) == WEIR_OK)
		kept_count++;
}

/* Nobody has sent there, and nobody has connected. */
static void check_kept(void)
{
	ipc_run(B, 0);
	for (u32 i = 0; i < kept_count; i++) {
		u64 word;
		bool open;

		assert_int_equal(weir_port_peer(kept[i], &word, &open), WEIR_OK);
		assert_int_equal(word, 0);
		assert_int_equal(open, i < 2);
	}
}

static void send_to_a(u32 vcpu)
{
	ipc_run(B, vcpu);
	weir_event_send(opened);
	weir_event_send(waiting);
}

static void send_to_b(u32 vcpu)
{
	ipc_run(A, vcpu);
	weir_port_publish(connected, 9);
	if (made)
		weir_event_send(made);
}

static void mask(u32 vcpu)
{
	ipc_run(B, vcpu);
	weir_port_mask(opened, true);
	weir_port_mask(waiting, true);
}

static void unmask(u32 vcpu)
{
	ipc_run(B, vcpu);
	weir_port_mask(opened, false);
	weir_port_mask(waiting, false);
}

static void bind(u32 vcpu)
{
	ipc_run(B, vcpu);
	weir_port_bind(opened, 1, 2);
	weir_port_bind(waiting, 1, 2);
}

/* Both ends let go and join again, with the same numbers, since a has no others that are free. */
static void join_again(u32 vcpu)
{
	weir_handle port[PORTS], other;
	u32 count = 0;

	ipc_run(A, vcpu);
	while (weir_port_open_ipi(&other) == WEIR_OK)
		;
	close_connected(vcpu);
	receive_all(A);
	close_opened(vcpu);
	receive_all(B);
	while (weir_port_open_peer(channel(B), &port[count]) == WEIR_OK)
		count++;
	ipc_run(A, vcpu);
	while (count--)
		weir_port_connect(channel(A), port[count], &other);
}

static void renew_a(u32 vcpu)
{
	(void)vcpu;
	ipc_vm_renew(A);
}

static void renew_b(u32 vcpu)
{
	(void)vcpu;
	ipc_vm_renew(B);
}

static const struct {
	void (*move)(u32 vcpu);
	u32 vm;
	bool ends;
} moves[] = {
	{ connect, A, false },
	{ connect_and_close, A, false },
	{ close_waiting, B, false },
	{ close_opened, B, false },
	{ close_connected, A, false },
	{ close_and_open_all, B, false },
	{ send_to_a, B, false },
	{ send_to_b, A, false },
	{ mask, B, false },
	{ unmask, B, false },
	{ bind, B, false },
	{ renew_a, A, true },
	{ renew_b, B, true },
	{ join_again, BOTH, false },
};

static u32 now, meanwhile;

static void move_now(void)
{
	moves[now].move(0);
}

static void move_meanwhile(void *context)
{
	(void)context;
	moves[meanwhile].move(1);
}

/* ---- What must be true ------------------------------------------------------------------------- */

static bool is_closed(const struct port *port)
{
	return port->handle & PORT_CLOSED;
}

static void check_port(const struct port *port)
{
	const struct port *peer = port->peer;

	if (is_closed(port)) {
		assert_int_equal(port->kind, PORT_FREE);
		assert_null(port->from);
		return;
	}
	assert_true(port->kind != PORT_FREE);
	if (port->kind != PORT_PEER || port->from == port)
		return;
	/* It is joined: so is the other end, to this one. */
	assert_ptr_equal(port->from, peer);
	assert_false(is_closed(peer));
	assert_ptr_equal(peer->peer, port);
	assert_ptr_equal(peer->from, port);
	assert_true(port->peer_open && peer->peer_open && !port->waiting);
}

/* In all rings of a VM a port is once at most. */
static void check_ring(const struct event_ring *ring, u64 *ports)
{
	assert_true(ring->head <= ring->tail && ring->tail - ring->head <= ring->mask + 1);
	for (u64 at = max(ring->head, *ring->shared_head); at < ring->tail; at++) {
		u32 number = ring->slot[at & ring->mask];

		assert_true(number < PORTS && !(*ports & BIT(number)));
		*ports |= BIT(number);
	}
}

/* Of two that are joined each hears the other, now that all is quiet. */
static void check_carries(const struct port *port)
{
	u32 vm = port->owner->vm->id, other;

	if (is_closed(port) || port->kind != PORT_PEER || port->from == port)
		return;
	other = port->peer->owner->vm->id;
	ipc_run(other, 0);
	assert_int_equal(weir_port_mask(port->peer->handle, false), WEIR_OK);
	receive_all(other);
	ipc_run(vm, 0);
	assert_int_equal(weir_event_send(port->handle), WEIR_OK);
	assert_int_equal(receive_all(other), 1u << (port->peer->handle & 0xffff));
}

/* All that are not of channels can be had again, and no more. */
static void check_none_is_lost(u32 vm)
{
	const struct event_vm *event = &ipc_vm(vm)->ipc->event;
	weir_handle port;
	u32 count = 0;

	ipc_run(vm, 0);
	for (u32 i = event->channel_count; i < PORTS; i++)
		if (!is_closed(&event->port[i]))
			assert_int_equal(weir_port_close(event->port[i].handle), WEIR_OK);
	receive_all(vm);
	while (weir_port_open_ipi(&port) == WEIR_OK)
		count++;
	assert_int_equal(count, PORTS - event->channel_count);
}

static void check(void)
{
	bool ended = moves[now].ends || moves[meanwhile].ends;

	if (!ended)
		check_kept();
	for (u32 vm = A; vm <= B; vm++) {
		u64 ports = 0;

		for (u32 i = 0; i < PORTS; i++)
			check_port(&ipc_vm(vm)->ipc->event.port[i]);
		for (u32 i = 0; i < 2; i++)
			for (u32 p = 0; p < WEIR_EVENT_PRIORITIES; p++)
				check_ring(&ipc_vcpu(vm, i)->ipc->event.ring[p], &ports);
	}
	for (u32 vm = A; vm <= B; vm++)
		for (u32 i = 0; i < PORTS; i++)
			check_carries(&ipc_vm(vm)->ipc->event.port[i]);
	for (u32 vm = A; vm <= B; vm++)
		check_none_is_lost(vm);
	assert_int_equal(receive_all(C) & ~1u, 0);
}

/* A VM ends when no vCPU of it is in a call any more. */
static bool at_once(u32 one, u32 other)
{
	u32 a = moves[one].vm, b = moves[other].vm;

	if (!moves[one].ends && !moves[other].ends)
		return true;
	return a != b && a != BOTH && b != BOTH;
}

TEST(ports_fit_together_whatever_two_cores_do_with_them)
{
	u32 gaps = 0;

	for (now = 0; now < ARRAY_SIZE(moves); now++)
		for (meanwhile = 0; meanwhile < ARRAY_SIZE(moves); meanwhile++)
			if (at_once(now, meanwhile))
				gaps += fake_lock_each_gap(machine, move_now, move_meanwhile,
							   check);
	assert_true(gaps > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(ports_fit_together_whatever_two_cores_do_with_them,
					  ipc_vms_end),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
