/*
 * The calls of the right "manage": who may, what is looked up, what core/life.c is asked for.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <string.h>
#include <weir/manage.h>
#include "ipc_vms.h"

#define LIFE(life, vm) ((weir_handle)(life) << 16 | (vm))

static const char *const channels[] = { "ab", 0 };

/* VM d is refused; b is in its third life. */
static int machine_make(void **state)
{
	(void)state;
	ipc_vms_refuse(3);
	ipc_vms_make(4, 1, channels);
	ipc_vm(1)->life = 3;
	ipc_vm(1)->state = VM_REBUILDING;
	return 0;
}

TEST(info_tells_what_there_is)
{
	struct weir_pages pages = ipc_pages(0, 0);
	struct weir_vm_info info;

	memset((void *)(uintptr_t)pages.out->name, 'x', sizeof(pages.out->name));
	assert_int_equal(weir_vm_info(&pages, 1, &info), WEIR_OK);
	assert_int_equal(info.vm, LIFE(3, 1));
	assert_int_equal(info.state, WEIR_VM_REBUILDING);
	assert_int_equal(info.starts, 3);
	assert_memory_equal(info.name, "b\0\0\0\0\0\0\0", 8);
	assert_int_equal(info.name[31], 0);
}

TEST(info_of_none)
{
	struct weir_pages pages = ipc_pages(0, 0);
	struct weir_vm_info info;

	assert_int_equal(weir_vm_info(&pages, 3, &info), WEIR_CLOSED);
	assert_int_equal(weir_vm_info(&pages, 4, &info), WEIR_NOT_FOUND);
	assert_int_equal(weir_vm_info(&pages, 1ull << 32, &info), WEIR_NOT_FOUND);
	assert_int_equal(weir_vm_info(&pages, UINT64_MAX, &info), WEIR_NOT_FOUND);
}

TEST(without_the_right_nothing)
{
	struct weir_pages pages = ipc_pages(1, 0);
	struct weir_vm_info info;

	ipc_run(1, 0);
	assert_int_equal(weir_vm_info(&pages, 0, &info), WEIR_DENIED);
	assert_int_equal(weir_vm_info(&pages, 9, &info), WEIR_DENIED);
	assert_int_equal(weir_vm_start(LIFE(3, 1)), WEIR_DENIED);
	assert_int_equal(weir_vm_stop(LIFE(3, 1)), WEIR_DENIED);
	assert_int_equal(weir_vm_restart(0), WEIR_DENIED);
	assert_null(ipc_command.vm);
}

static void assert_command(enum vm_command what, u32 vm, u64 life)
{
	assert_ptr_equal(ipc_command.vm, ipc_vm(vm));
	assert_int_equal(ipc_command.what, what);
	assert_int_equal(ipc_command.life, life);
}

TEST(commands_name_vm_and_life)
{
	assert_int_equal(weir_vm_start(LIFE(3, 1)), WEIR_OK);
	assert_command(VM_START, 1, 3);
	assert_int_equal(weir_vm_stop(LIFE(1ull << 40, 0)), WEIR_OK);
	assert_command(VM_STOP, 0, 1ull << 40);
	ipc_command.status = WEIR_STALE;
	assert_int_equal(weir_vm_restart(LIFE(2, 2)), WEIR_STALE);
	assert_command(VM_RESTART, 2, 2);
}

TEST(commands_to_none)
{
	assert_int_equal(weir_vm_stop(0), WEIR_INVALID);
	assert_int_equal(weir_vm_stop(LIFE(0, 1)), WEIR_STALE);
	assert_int_equal(weir_vm_start(LIFE(1, 3)), WEIR_NOT_FOUND);
	assert_int_equal(weir_vm_restart(LIFE(1, 4)), WEIR_NOT_FOUND);
	assert_int_equal(weir_vm_restart(LIFE(1, 0xffff)), WEIR_NOT_FOUND);
	assert_null(ipc_command.vm);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(info_tells_what_there_is),	 CASE(info_of_none),
		CASE(without_the_right_nothing), CASE(commands_name_vm_and_life),
		CASE(commands_to_none),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
