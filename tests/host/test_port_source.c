/*
 * Ports that Weir makes pending itself: timers, block requests, changes of VMs.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c
 * Sources: core/timeout.c core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <string.h>
#include <weir/event.h>
#include "ipc_vms.h"
#include "ipc/event.h"

#define GENERATION (1ul << 16)
#define CHANNEL	   GENERATION

/* VM a may manage. */
static const char *const channels[] = { "ab", 0 };

static int machine_make(void **state)
{
	(void)state;
	ipc_vms_set_ports(16);
	ipc_vms_make(3, 2, channels);
	for (u32 vm = 0; vm < 3; vm++)
		ipc_vm(vm)->life = 1;
	fake_timer_set(1000);
	return 0;
}

/* What watches VMs is the machine's: it is given back. */
static int machine_free(void **state)
{
	(void)state;
	ipc_vm_end(0);
	ipc_vms_free();
	return 0;
}

static weir_handle open_timer(u32 vm, u32 index)
{
	weir_handle port = 0;

	ipc_run(vm, index);
	assert_int_equal(weir_port_open_timer(&port), WEIR_OK);
	return port;
}

static weir_handle open_block(u32 vm, u32 index)
{
	weir_handle port = 0;

	ipc_run(vm, index);
	assert_int_equal(weir_port_open_block(&port), WEIR_OK);
	return port;
}

static s64 open_call(u64 kind, u64 what)
{
	return weir_do(WEIR_FN_PORT_OPEN, kind, what, 0, 0, 0);
}

static void at(u64 ticks)
{
	fake_timer_set(ticks);
	timeout_interrupt();
}

TEST(open_takes_no_argument_for_what_a_vcpu_has_one_of)
{
	assert_int_equal(open_call(WEIR_PORT_TIMER, 1), WEIR_INVALID);
	assert_int_equal(open_call(WEIR_PORT_BLOCK, CHANNEL), WEIR_INVALID);
}

TEST(a_vcpu_has_one_port_of_each_kind)
{
	weir_handle timer = open_timer(0, 0), block = open_block(0, 0);

	assert_int_equal(open_call(WEIR_PORT_TIMER, 0), WEIR_BUSY);
	assert_int_equal(open_call(WEIR_PORT_BLOCK, 0), WEIR_BUSY);
	open_timer(0, 1);
	open_block(0, 1);
	ipc_run(0, 1);
	assert_int_equal(weir_port_close(timer), WEIR_OK);
	assert_int_equal(weir_port_close(block), WEIR_OK);
	assert_int_equal(open_call(WEIR_PORT_TIMER, 0), WEIR_BUSY);
	open_timer(0, 0);
	open_block(0, 0);
}

TEST(nobody_sends_on_a_port_that_weir_raises)
{
	weir_handle ports[] = { open_timer(0, 0), open_block(0, 0), 0 };
	bool open = true;

	assert_int_equal(weir_port_open_vm_state(0, &ports[2]), WEIR_OK);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(weir_event_send(ports[i]), WEIR_CLOSED);
		assert_int_equal(weir_port_publish(ports[i], 1), WEIR_CLOSED);
		assert_int_equal(weir_port_peer(ports[i], 0, &open), WEIR_OK);
		assert_false(open);
		assert_int_equal(open_call(WEIR_PORT_PEER, ports[i]), WEIR_INVALID);
	}
	assert_int_equal(ipc_next(0, 0), -1);
}

/* ---- Timers ---- */

TEST(timer_raises_its_port_once_at_the_deadline)
{
	weir_handle port = open_timer(1, 1);

	assert_int_equal(weir_port_timer(port, 2000), WEIR_OK);
	assert_int_equal(fake_timer_el2_deadline(), 2000);
	at(1999);
	assert_int_equal(ipc_next(1, 0), -1);
	at(2000);
	assert_int_equal(ipc_next(1, 0), weir_port_number(port)); /* bound to vCPU 0 */
	at(5000);
	assert_int_equal(ipc_next(1, 0), -1);
}

TEST(timer_is_replaced_and_cancelled)
{
	weir_handle port = open_timer(0, 0);

	assert_int_equal(weir_port_timer(port, 2000), WEIR_OK);
	assert_int_equal(weir_port_timer(port, 3000), WEIR_OK);
	at(2500);
	assert_int_equal(ipc_next(0, 0), -1);
	assert_int_equal(weir_port_timer(port, 0), WEIR_OK);
	assert_int_equal(weir_port_timer(port, 0), WEIR_OK);
	at(4000);
	assert_int_equal(ipc_next(0, 0), -1);
	assert_int_equal(weir_port_timer(port, 1), WEIR_OK); /* over already */
	at(4000);
	assert_int_equal(ipc_next(0, 0), weir_port_number(port));
}

TEST(timer_goes_where_the_port_is_bound_and_waits_while_it_is_masked)
{
	weir_handle port = open_timer(0, 0);

	assert_int_equal(weir_port_bind(port, 1, 3), WEIR_OK);
	assert_int_equal(weir_port_mask(port, true), WEIR_OK);
	assert_int_equal(weir_port_timer(port, 2000), WEIR_OK);
	at(2000);
	assert_int_equal(ipc_next(0, 1), -1);
	assert_int_equal(weir_port_mask(port, false), WEIR_OK);
	assert_int_equal(ipc_next(0, 1), weir_port_number(port));
	assert_int_equal(ipc_pends(ipc_vcpu(0, 0), WEIR_INTID_EVENT), 0);
}

TEST(timer_rejects_ports_that_are_not_its_own)
{
	weir_handle other = open_timer(0, 1), gone = open_timer(0, 0);

	assert_int_equal(weir_port_timer(other, 2000), WEIR_DENIED);
	assert_int_equal(weir_port_timer(CHANNEL, 2000), WEIR_INVALID);
	assert_int_equal(weir_port_timer(0, 2000), WEIR_INVALID);
	assert_int_equal(weir_port_timer(gone + GENERATION, 2000), WEIR_INVALID);
	assert_int_equal(weir_port_close(gone), WEIR_OK);
	assert_int_equal(weir_port_timer(gone, 2000), WEIR_STALE);
	assert_int_equal(weir_port_timer(open_block(0, 0), 2000), WEIR_INVALID);
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

/* The other core closes the port, and cannot touch the timeout: it is over in vain. */
TEST(timer_of_a_port_that_was_closed_raises_nothing)
{
	weir_handle port = open_timer(0, 0), ipi;

	assert_int_equal(weir_port_timer(port, 2000), WEIR_OK);
	ipc_run(0, 1);
	assert_int_equal(weir_port_close(port), WEIR_OK);
	for (u32 i = 1; i < 16; i++)
		assert_int_equal(weir_port_open_ipi(&ipi), WEIR_OK);
	assert_int_equal(ipi, port + GENERATION);
	at(2000);
	assert_int_equal(ipc_next(0, 0), -1);
}

TEST(timer_of_a_former_port_or_life_is_not_the_next_one_s)
{
	weir_handle port = open_timer(0, 0);

	assert_int_equal(weir_port_timer(port, 2000), WEIR_OK);
	assert_int_equal(weir_port_close(port), WEIR_OK);
	port = open_timer(0, 0);
	at(2000);
	assert_int_equal(ipc_next(0, 0), -1);
	assert_int_equal(weir_port_timer(port, 3000), WEIR_OK);
	ipc_vm_renew(0);
	port = open_timer(0, 0);
	at(3000);
	assert_int_equal(ipc_next(0, 0), -1);
	assert_int_equal(weir_port_timer(port, 4000), WEIR_OK);
	at(4000);
	assert_int_equal(ipc_next(0, 0), weir_port_number(port));
}

/* ---- Block requests ---- */

TEST(completions_raise_the_vcpu_s_port_in_place_of_the_interrupt)
{
	weir_handle port;

	event_block_done(ipc_vcpu(0, 0));
	assert_int_equal(ipc_pends(ipc_vcpu(0, 0), WEIR_INTID_BLOCK), 1);
	port = open_block(0, 0);
	event_block_done(ipc_vcpu(0, 0));
	assert_int_equal(ipc_pends(ipc_vcpu(0, 0), WEIR_INTID_BLOCK), 1);
	assert_int_equal(ipc_next(0, 0), weir_port_number(port));
	event_block_done(ipc_vcpu(0, 1)); /* has none */
	assert_int_equal(ipc_pends(ipc_vcpu(0, 1), WEIR_INTID_BLOCK), 1);
	assert_int_equal(ipc_next(0, 0), -1);
	assert_int_equal(weir_port_close(port), WEIR_OK);
	event_block_done(ipc_vcpu(0, 0));
	assert_int_equal(ipc_pends(ipc_vcpu(0, 0), WEIR_INTID_BLOCK), 2);
	open_block(0, 0);
	ipc_vm_renew(0);
	event_block_done(ipc_vcpu(0, 0));
	assert_int_equal(ipc_pends(ipc_vcpu(0, 0), WEIR_INTID_BLOCK), 3);
}

/* ---- Changes of VMs ---- */

TEST(changes_of_vms_raise_the_ports_that_watch_them)
{
	weir_handle any, b;

	assert_int_equal(weir_port_open_vm_state(0, &any), WEIR_OK);
	assert_int_equal(weir_port_open_vm_state(GENERATION | 1, &b), WEIR_OK);
	ipc_vm_changed(ipc_vm(2));
	assert_int_equal(ipc_next(0, 0), weir_port_number(any));
	assert_int_equal(ipc_next(0, 0), -1);
	ipc_vm(1)->life++;
	ipc_vm_changed(ipc_vm(1));
	assert_int_equal(ipc_next(0, 0), weir_port_number(any));
	assert_int_equal(ipc_next(0, 0), weir_port_number(b));
	assert_int_equal(weir_port_close(any), WEIR_OK);
	ipc_vm_changed(ipc_vm(2));
	assert_int_equal(ipc_next(0, 0), -1);
	ipc_vm_renew(0);
	ipc_vm_changed(ipc_vm(1));
	assert_int_equal(ipc_next(0, 0), -1);
}

TEST(only_who_may_manage_watches)
{
	ipc_run(1, 0);
	assert_int_equal(open_call(WEIR_PORT_VM_STATE, 0), WEIR_DENIED);
	assert_int_equal(open_call(WEIR_PORT_VM_STATE, GENERATION | 1), WEIR_DENIED);
	assert_int_equal(open_call(WEIR_PORT_VM_STATE, 77), WEIR_DENIED);
}

TEST(a_vm_that_is_watched_is_named_by_its_handle)
{
	assert_int_equal(open_call(WEIR_PORT_VM_STATE, GENERATION | 3), WEIR_NOT_FOUND);
	assert_int_equal(open_call(WEIR_PORT_VM_STATE, UINT64_MAX), WEIR_NOT_FOUND);
	assert_int_equal(open_call(WEIR_PORT_VM_STATE, 1), WEIR_STALE);
	assert_int_equal(open_call(WEIR_PORT_VM_STATE, 2 * GENERATION | 1), WEIR_STALE);
	assert_int_equal(open_call(WEIR_PORT_VM_STATE, GENERATION | 1), WEIR_OK);
}

/* And whom there is no room for is not told, and has no port of it. */
TEST(eight_ports_watch_at_most)
{
	weir_handle port;

	for (u32 i = 0; i < 8; i++)
		assert_int_equal(weir_port_open_vm_state(0, &port), WEIR_OK);
	for (u32 i = 0; i < 32; i++)
		assert_int_equal(open_call(WEIR_PORT_VM_STATE, 0), WEIR_BUSY);
	assert_int_equal(weir_port_close(port), WEIR_OK);
	assert_int_equal(open_call(WEIR_PORT_VM_STATE, 0), WEIR_OK);
	ipc_vm_changed(ipc_vm(1));
	for (u32 i = 0; i < 8; i++)
		assert_true(ipc_next(0, 0) > 0);
	assert_int_equal(ipc_next(0, 0), -1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, machine_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(open_takes_no_argument_for_what_a_vcpu_has_one_of),
		CASE(a_vcpu_has_one_port_of_each_kind),
		CASE(nobody_sends_on_a_port_that_weir_raises),
		CASE(timer_raises_its_port_once_at_the_deadline),
		CASE(timer_is_replaced_and_cancelled),
		CASE(timer_goes_where_the_port_is_bound_and_waits_while_it_is_masked),
		CASE(timer_rejects_ports_that_are_not_its_own),
		CASE(timer_of_a_port_that_was_closed_raises_nothing),
		CASE(timer_of_a_former_port_or_life_is_not_the_next_one_s),
		CASE(completions_raise_the_vcpu_s_port_in_place_of_the_interrupt),
		CASE(changes_of_vms_raise_the_ports_that_watch_them),
		CASE(only_who_may_manage_watches),
		CASE(a_vm_that_is_watched_is_named_by_its_handle),
		CASE(eight_ports_watch_at_most),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
