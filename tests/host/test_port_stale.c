/*
 * A port is closed by another vCPU, and its number given out again, while a call with the old handle is
 * under way: the call is stale, and does nothing to the new port.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/manage.c
 * Sources: ipc/port.c ipc/port_source.c core/timeout.c core/base/log.c tests/host/fake/ipc_vms.c
 * Sources: tests/host/fake/ipc_disk.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/panic.c
 */
#include <weir/event.h>
#include "ipc_vms.h"

static const char *const channels[] = { "ab", 0 };
static weir_handle old, reused;

/* The other vCPU, before the first lock of the call. */
static void reuse(void *context)
{
	(void)context;
	ipc_run(0, 1);
	assert_int_equal(weir_port_close(old), WEIR_OK);
	assert_int_equal(weir_port_open_ipi(&reused), WEIR_OK);
	assert_int_equal(weir_port_number(reused), weir_port_number(old));
	assert_int_equal(weir_port_publish(reused, 77), WEIR_OK);
	assert_int_equal(weir_port_bind(reused, 0, 0), WEIR_OK);
	ipc_run(0, 0);
}

static int begin(void **state)
{
	(void)state;
	fake_lock_reset();
	ipc_vms_set_ports(2); /* so that there is one that is no channel's */
	ipc_vms_make(2, 2, channels);
	ipc_run(0, 0);
	assert_int_equal(weir_port_open_ipi(&old), WEIR_OK);
	fake_lock_between(0, reuse, 0);
	return 0;
}

TEST(an_old_handle_binds_nothing)
{
	struct port *port = &ipc_vm(0)->ipc->event.port[weir_port_number(old)];

	assert_int_equal(weir_port_bind(old, 1, 2), WEIR_STALE);
	assert_true(fake_lock_happened());
	assert_ptr_equal(port->ring, &ipc_vcpu(0, 0)->ipc->event.ring[0]);
}

TEST(an_old_handle_shows_nothing)
{
	u64 word = 5;
	bool open = false;

	assert_int_equal(weir_port_peer(old, &word, &open), WEIR_STALE);
	assert_true(fake_lock_happened());
	assert_int_equal(word, 5);
}

TEST(an_old_handle_masks_nothing)
{
	assert_int_equal(weir_port_mask(old, true), WEIR_STALE);
	assert_true(fake_lock_happened());
	assert_false(ipc_vm(0)->ipc->event.port[weir_port_number(old)].masked);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_old_handle_binds_nothing, begin),
		cmocka_unit_test_setup(an_old_handle_shows_nothing, begin),
		cmocka_unit_test_setup(an_old_handle_masks_nothing, begin),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
