/*
 * The hypercall table and its dispatcher, and the calls of weir/abi.h.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <string.h>
#include <weir/grant.h>
#include <weir/event.h>
#include "ipc_vms.h"

static const char *const channels[] = { "ab", 0 };

#define PORT (1ul << 16)

/* Each call with arguments that it likes, in an order in which all of them can be made. */
static const struct {
	u32 number;
	u32 arguments;
	u64 x[6];
	enum weir_status status;
} calls[] = {
	{ WEIR_FN_VERSION, 0, { 0 }, WEIR_OK },
	{ WEIR_FN_PAGES, 0, { 0 }, WEIR_OK },
	{ WEIR_FN_MEMORY, 1, { WEIR_REGION_POOL }, WEIR_OK },
	{ WEIR_FN_PORT_FIND, 1, { 2 }, WEIR_OK },
	{ WEIR_FN_EVENT_SEND, 1, { PORT }, WEIR_OK },
	{ WEIR_FN_PORT_BIND, 3, { PORT, 1, 2 }, WEIR_OK },
	{ WEIR_FN_PORT_PUBLISH, 2, { PORT, 7 }, WEIR_OK },
	{ WEIR_FN_PORT_PEER, 1, { PORT }, WEIR_OK },
	{ WEIR_FN_GRANT_SHARE, 4, { PORT, 1, 1, WEIR_READ_WRITE }, WEIR_OK },
	{ WEIR_FN_GRANT_MAP, 3, { PORT, 1ul << 22 | 1ul << 16 | 2, 3 }, WEIR_OK },
	{ WEIR_FN_GRANT_UNMAP, 1, { 3 }, WEIR_OK },
	{ WEIR_FN_GRANT_LIST, 2, { WEIR_GRANTS_GIVEN, 0 }, WEIR_OK },
	{ WEIR_FN_GRANT_REVOKE, 1, { 1ul << 22 | 1 }, WEIR_OK },
	{ WEIR_FN_GRANT_PASS, 2, { PORT, 5 }, WEIR_NOT_FOUND },
	{ WEIR_FN_BLOCK_INFO, 1, { 1 }, WEIR_NOT_FOUND },
	{ WEIR_FN_BLOCK_SUBMIT, 5, { 1, 2, 3, 4, 5 }, WEIR_OK },
	{ WEIR_FN_UPCALL_REGISTER, 1, { 1 }, WEIR_OK },
	{ WEIR_FN_UPCALL_RETURN, 2, { 1, (u64)WEIR_NOT_FOUND }, WEIR_STALE },
	{ WEIR_FN_VM_INFO, 1, { 1 }, WEIR_OK },
	{ WEIR_FN_VM_START, 1, { PORT | 1 }, WEIR_OK },
	{ WEIR_FN_VM_STOP, 1, { PORT | 1 }, WEIR_OK },
	{ WEIR_FN_VM_RESTART, 1, { PORT | 1 }, WEIR_OK },
	{ WEIR_FN_PORT_OPEN, 2, { WEIR_PORT_IPI, 0 }, WEIR_OK },
	{ WEIR_FN_PORT_CONNECT, 3, { PORT, PORT, WEIR_PORT_VM }, WEIR_DENIED },
	{ WEIR_FN_PORT_MASK, 2, { PORT, 1 }, WEIR_OK },
	{ WEIR_FN_PORT_TIMER, 2, { PORT, 1 }, WEIR_INVALID },
	{ WEIR_FN_PORT_CLOSE, 1, { PORT | 1 }, WEIR_OK },
	{ WEIR_FN_SUBMIT, 0, { 0 }, WEIR_OK },
	{ WEIR_FN_STORE_FIND, 3, { 0, 2, PORT }, WEIR_NOT_FOUND },
	{ WEIR_FN_STORE_MAKE, 5, { 0, 2, 1, 1, 1 }, WEIR_OK },
	{ WEIR_FN_STORE_READ, 1, { PORT }, WEIR_OK },
	{ WEIR_FN_STORE_WRITE, 3, { PORT | 1, 3, 1 }, WEIR_OK },
	{ WEIR_FN_STORE_REMOVE, 2, { PORT | 2, 1 }, WEIR_OK },
	{ WEIR_FN_STORE_LIST, 2, { PORT, 1 }, WEIR_OK },
	{ WEIR_FN_STORE_ALLOW, 4, { PORT | 1, 1, 1, 1 }, WEIR_OK },
	{ WEIR_FN_STORE_WATCH, 2, { PORT | 1, 1 }, WEIR_OK },
	{ WEIR_FN_STORE_WATCH_NEXT, 0, { 0 }, WEIR_NOT_FOUND },
};

static bool is_call(u32 number)
{
	for (u32 i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].number == number)
			return true;
	return false;
}

static int machine_make(void **state)
{
	(void)state;
	ipc_vms_make(2, 2, channels);
	return 0;
}

static const u64 *registers(void)
{
	return ipc_vcpu(0, 0)->arch.x;
}

static void assert_results(u64 x1, u64 x2, u64 x3)
{
	assert_int_equal(registers()[1], x1);
	assert_int_equal(registers()[2], x2);
	assert_int_equal(registers()[3], x3);
}

TEST(version_tells_the_abi)
{
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_VERSION), 0, 0, 0, 0, 0, 0), WEIR_OK);
	assert_results(WEIR_ABI_VERSION, 0, 0);
}

TEST(uid_and_revision_answer_smccc_queries)
{
	assert_int_equal(ipc_call(WEIR_SMCCC_UID, 0, 0, 0, 0, 0, 0), WEIR_UID_0);
	assert_results(WEIR_UID_1, WEIR_UID_2, WEIR_UID_3);
	assert_int_equal(ipc_call(WEIR_SMCCC_REVISION, 0, 0, 0, 0, 0, 0), WEIR_ABI_VERSION);
	assert_results(0, 0, 0);
}

TEST(unknown_numbers_are_not_supported)
{
	for (u32 number = 0; number <= 0xffff; number++)
		if (!is_call(number))
			assert_int_equal(ipc_call(WEIR_FN(number), 1, 2, 3, 4, 5, 6), -1);
	assert_results(0, 0, 0);
	assert_int_equal(ipc_call(0x8600ff00, 0, 0, 0, 0, 0, 0), -1);
	assert_int_equal(ipc_call(0x86000000, 0, 0, 0, 0, 0, 0), -1);
	assert_int_equal(ipc_call(0xc6000000u - 1, 0, 0, 0, 0, 0, 0), -1);
	assert_int_equal(ipc_call(0, 0, 0, 0, 0, 0, 0), -1);
}

TEST(the_function_is_w0)
{
	assert_int_equal(ipc_call(0xffffffff00000000 | WEIR_FN(WEIR_FN_VERSION), 0, 0, 0, 0, 0, 0),
			 WEIR_OK);
}

static s64 call(u32 index, u32 at, u64 more)
{
	u64 x[6];

	memcpy(x, calls[index].x, sizeof(x));
	if (at)
		x[at - 1] |= more;
	return ipc_call(WEIR_FN(calls[index].number), x[0], x[1], x[2], x[3], x[4], x[5]);
}

TEST(arguments_that_a_call_does_not_name_must_be_zero)
{
	weir_handle grant;

	memcpy(ipc_pages(0, 0).in->buffer, "ab", 2);
	ipc_run(1, 0);
	assert_int_equal(weir_grant_share(PORT, 2, 1, WEIR_READ, &grant), WEIR_OK);
	ipc_run(0, 0);
	for (u32 i = 0; i < ARRAY_SIZE(calls); i++) {
		for (u32 at = calls[i].arguments + 1; at <= 6; at++) {
			assert_int_equal(call(i, at, 1ul << 63), WEIR_INVALID);
			assert_results(0, 0, 0);
			assert_int_equal(call(i, at, 1), WEIR_INVALID);
		}
		assert_int_equal(call(i, 0, 0), calls[i].status);
	}
}

TEST(arguments_that_a_call_names_get_to_its_handler)
{
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_BLOCK_SUBMIT), 1, 2, 3, 4, 5, 0), WEIR_OK);
	assert_results(1, 4, 5);
}

TEST(results_that_a_call_does_not_set_are_zero)
{
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_BLOCK_SUBMIT), 1, 2, 3, 4, 5, 0), WEIR_OK);
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_MEMORY), WEIR_REGION_RAM, 0, 0, 0, 0, 0),
			 WEIR_OK);
	assert_results(VM_RAM_BASE, FAKE_RAM_BYTES, 0);
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_EVENT_SEND), PORT, 0, 0, 0, 0, 0), WEIR_OK);
	assert_results(0, 0, 0);
}

TEST(results_of_a_call_that_failed_are_zero)
{
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_BLOCK_SUBMIT), 7, 0, 0, 0, 0, 0), WEIR_OK);
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_BLOCK_INFO), 5, 0, 0, 0, 0, 0), WEIR_NOT_FOUND);
	assert_results(0, 0, 0);
}

TEST(pages_lie_one_after_the_other_and_only_in_is_writable)
{
	const struct stage2 *tables = &ipc_vm(0)->stage2;
	u64 end = VM_SHARED_BASE;

	for (u32 i = 0; i < 2; i++) {
		ipc_run(0, i);
		assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_PAGES), 0, 0, 0, 0, 0, 0), WEIR_OK);
		const u64 *x = ipc_vcpu(0, i)->arch.x;

		assert_int_equal(x[1], end);
		assert_int_equal(x[2], x[1] + PAGE_SIZE);
		assert_int_equal(x[3], x[2] + PAGE_SIZE);
		assert_int_equal(fake_stage2_kind(tables, x[1]), STAGE2_SHARED);
		assert_int_equal(fake_stage2_kind(tables, x[2]), STAGE2_SHARED_READ);
		assert_int_equal(fake_stage2_kind(tables, x[3]), STAGE2_SHARED_READ);
		assert_int_equal(fake_stage2_pa(tables, x[1]), (u64)ipc_vcpu(0, i)->ipc->in);
		assert_int_equal(fake_stage2_pa(tables, x[2]), (u64)ipc_vcpu(0, i)->ipc->out);
		/* 128 ports, 4 priorities, 4 bytes: half a page. */
		end = x[3] + PAGE_SIZE;
	}
	assert_int_equal(fake_stage2_kind(tables, end), STAGE2_NONE);
	assert_int_equal(ipc_shared_bytes(ipc_vm(0)->config), end - VM_SHARED_BASE);
}

TEST(memory_tells_the_three_regions)
{
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_MEMORY), WEIR_REGION_RAM, 0, 0, 0, 0, 0), 0);
	assert_results(VM_RAM_BASE, FAKE_RAM_BYTES, 0);
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_MEMORY), WEIR_REGION_POOL, 0, 0, 0, 0, 0), 0);
	assert_results(VM_RAM_BASE + FAKE_RAM_BYTES - FAKE_POOL_PAGES * PAGE_SIZE,
		       FAKE_POOL_PAGES * PAGE_SIZE, 0);
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_MEMORY), WEIR_REGION_WINDOW, 0, 0, 0, 0, 0), 0);
	assert_results(VM_WINDOW_BASE, FAKE_WINDOW_PAGES * PAGE_SIZE, 0);
}

TEST(memory_rejects_what_is_no_region)
{
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_MEMORY), 3, 0, 0, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_MEMORY), 1ul << 32, 0, 0, 0, 0, 0), WEIR_INVALID);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(version_tells_the_abi),
		CASE(uid_and_revision_answer_smccc_queries),
		CASE(unknown_numbers_are_not_supported),
		CASE(the_function_is_w0),
		CASE(arguments_that_a_call_does_not_name_must_be_zero),
		CASE(arguments_that_a_call_names_get_to_its_handler),
		CASE(results_that_a_call_does_not_set_are_zero),
		CASE(results_of_a_call_that_failed_are_zero),
		CASE(pages_lie_one_after_the_other_and_only_in_is_writable),
		CASE(memory_tells_the_three_regions),
		CASE(memory_rejects_what_is_no_region),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
