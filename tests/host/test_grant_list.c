/*
 * What a VM is told of its own grants and mappings.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include "grant_calls.h"

static void expect(enum weir_grants which, u64 *page, struct weir_grant_info expected)
{
	struct weir_grant_info info = { 0 };

	assert_int_equal(weir_grant_next(which, page, &info), WEIR_OK);
	assert_int_equal(info.page, expected.page);
	assert_int_equal(info.grant, expected.grant);
	assert_int_equal(info.pages, expected.pages);
	assert_int_equal(info.port, expected.port);
	assert_int_equal(info.access, expected.access);
	assert_int_equal(info.state, expected.state);
	assert_int_equal(*page, expected.page + expected.pages);
}

static void expect_end(enum weir_grants which, u64 page)
{
	struct weir_grant_info info;

	assert_int_equal(weir_grant_next(which, &page, &info), WEIR_NOT_FOUND);
}

TEST(home_is_told_what_it_gave_to_whom_and_who_has_taken_it)
{
	weir_handle first = share(0, 0, 3, 2, WEIR_READ),
		    second = share(0, 1, 5, 64, WEIR_READ_WRITE);
	weir_handle last = share(0, 0, FAKE_POOL_PAGES - 1, 1, WEIR_PASS);
	u64 page = 0;

	assert_int_equal(map(1, 0, last, 7), WEIR_OK);
	ipc_run(0, 0);
	expect(WEIR_GRANTS_GIVEN, &page,
	       (struct weir_grant_info){ 3, first, 2, 0, WEIR_READ, WEIR_GRANT_WAITING });
	expect(WEIR_GRANTS_GIVEN, &page,
	       (struct weir_grant_info){ 5, second, 64, 1, WEIR_READ_WRITE, WEIR_GRANT_WAITING });
	expect(WEIR_GRANTS_GIVEN, &page,
	       (struct weir_grant_info){ FAKE_POOL_PAGES - 1, last, 1, 0, WEIR_PASS,
					 WEIR_GRANT_MAPPED });
	expect_end(WEIR_GRANTS_GIVEN, page);
	expect_end(WEIR_GRANTS_MAPPED, 0);
	assert_int_equal(weir_grant_revoke(first), WEIR_OK);
	page = 0;
	expect(WEIR_GRANTS_GIVEN, &page,
	       (struct weir_grant_info){ 5, second, 64, 1, WEIR_READ_WRITE, WEIR_GRANT_WAITING });
}

TEST(a_window_s_mappings_are_told_with_what_is_left_of_them)
{
	weir_handle mapped = share(0, 0, 0, 3, WEIR_READ), gone = share(0, 0, 3, 2, WEIR_READ),
		    on = share(0, 0, 5, 4, WEIR_PASS), same = 0;
	u64 page = 0;

	assert_int_equal(map(1, 0, mapped, 2), WEIR_OK);
	assert_int_equal(map(1, 0, gone, 30), WEIR_OK);
	assert_int_equal(map(1, 0, on, FAKE_WINDOW_PAGES - 4), WEIR_OK);
	assert_int_equal(weir_grant_pass_on(PORT(1), FAKE_WINDOW_PAGES - 4, &same), WEIR_OK);
	ipc_run(0, 0);
	assert_int_equal(weir_grant_revoke(gone), WEIR_OK);
	ipc_run(1, 0);
	expect(WEIR_GRANTS_MAPPED, &page,
	       (struct weir_grant_info){ 2, mapped, 3, 0, WEIR_READ, WEIR_GRANT_MAPPED });
	expect(WEIR_GRANTS_MAPPED, &page,
	       (struct weir_grant_info){ 30, 0, 2, 0, WEIR_READ_WRITE, WEIR_GRANT_REVOKED });
	expect(WEIR_GRANTS_MAPPED, &page,
	       (struct weir_grant_info){ FAKE_WINDOW_PAGES - 4, on, 4, 1, WEIR_PASS,
					 WEIR_GRANT_WAITING });
	expect_end(WEIR_GRANTS_MAPPED, page);
}

/* From the midst of a grant on: what begins there is the next one. */
TEST(a_list_begins_at_any_page)
{
	weir_handle next;
	u64 page = 11;

	share(0, 0, 10, 20, WEIR_READ);
	next = share(0, 0, 40, 1, WEIR_READ);
	expect(WEIR_GRANTS_GIVEN, &page,
	       (struct weir_grant_info){ 40, next, 1, 0, WEIR_READ, WEIR_GRANT_WAITING });
	page = 10;
	expect(WEIR_GRANTS_GIVEN, &page,
	       (struct weir_grant_info){ 10, next - 30, 20, 0, WEIR_READ, WEIR_GRANT_WAITING });
}

TEST(another_kind_is_invalid_and_no_page_is_not_found)
{
	share(0, 0, 0, 1, WEIR_READ);
	assert_int_equal(weir_do(WEIR_FN_GRANT_LIST, 2, 0, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(weir_do(WEIR_FN_GRANT_LIST, UINT64_MAX, 0, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(weir_do(WEIR_FN_GRANT_LIST, 0, FAKE_POOL_PAGES, 0, 0, 0), WEIR_NOT_FOUND);
	assert_int_equal(weir_do(WEIR_FN_GRANT_LIST, 1, FAKE_WINDOW_PAGES, 0, 0, 0),
			 WEIR_NOT_FOUND);
	assert_int_equal(weir_do(WEIR_FN_GRANT_LIST, 0, UINT64_MAX, 0, 0, 0), WEIR_NOT_FOUND);
	assert_int_equal(weir_do(WEIR_FN_GRANT_LIST, 0, 1, 0, 0, 0), WEIR_NOT_FOUND);
}

/* A pool of many pages: as on a machine with much memory. Its tables alone are looked at. */
TEST(a_call_looks_at_so_much_and_says_where_to_go_on)
{
	struct grant_vm *table = &ipc_vm(0)->ipc->grant;
	u64 *few = table->shared, many[1024] = { 0 };
	struct weir_result result;
	u32 pages = table->pool_pages, calls = 0;

	table->shared = many;
	table->pool_pages = 65536;
	for (u64 page = 0;; page = result.value[0], calls++) {
		result =
			weir_call(WEIR_FN(WEIR_FN_GRANT_LIST), WEIR_GRANTS_GIVEN, page, 0, 0, 0, 0);
		if (result.status != WEIR_OK)
			break;
		assert_int_equal(result.value[0], page + 8192);
		assert_int_equal(result.value[1] | result.value[2], 0);
	}
	assert_int_equal(result.status, WEIR_NOT_FOUND);
	assert_int_equal(calls, 7);
	table->shared = few;
	table->pool_pages = pages;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(home_is_told_what_it_gave_to_whom_and_who_has_taken_it),
		CASE(a_window_s_mappings_are_told_with_what_is_left_of_them),
		CASE(a_list_begins_at_any_page),
		CASE(another_kind_is_invalid_and_no_page_is_not_found),
		CASE(a_call_looks_at_so_much_and_says_where_to_go_on),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
