/*
 * The store: each line of errors of its header, who may do what, quotas, and what a VM leaves behind.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include "store_calls.h"

/* a may talk to b and c, which may not talk to each other; d to nobody; e is a lord. */
enum { A, B, C, D, E, VMS };

static const char *const channels[] = { "ab", 0 };

static int machine_make(void **state)
{
	(void)state;
	ipc_vms_set_peers(C, BIT(A), 0);
	ipc_vms_set_peers(E, 0, RIGHT_STORE);
	ipc_vms_set_store(B, 4, 200, 3);
	ipc_vms_make(VMS, 1, channels);
	return 0;
}

/* ---- Names ---- */

TEST(a_name_that_is_too_long_empty_or_of_other_characters_is_invalid)
{
	static const char *const bad[] = {
		"", "a b", "a/b", "\x7f", "\x80", "a\n", "a\t", "abcdefghijklmnopqrstuvwxyz012345"
	};
	weir_handle node;

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(make(A, 0, bad[i], 0, 0, 0, &node), WEIR_INVALID);
		assert_int_equal(find(A, 0, bad[i], 0, &node), WEIR_INVALID);
	}
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_STORE_MAKE), 0, 1ul << 32 | 2, 0, 0, 0, 0),
			 WEIR_INVALID);
	made(A, 0, "abcdefghijklmnopqrstuvwxyz01234", 0, 0, 0);
	made(A, 0, "!~", 0, 0, 0);
}

/* What lies behind the name in the page is not part of it. */
TEST(a_name_is_as_long_as_it_says)
{
	struct weir_pages pages = ipc_pages(A, 0);
	weir_handle node = 0, first;

	memset(pages.in->buffer, 'x', sizeof(pages.in->buffer));
	first = made(A, 0, "abcdefg", 0, 0, 0);
	memset(pages.in->buffer, 'y', sizeof(pages.in->buffer));
	assert_int_equal(find(A, 0, "abcdefg", 0, &node), WEIR_OK);
	assert_int_equal(node, first);
	assert_int_equal(find(A, 0, "abcdefgx", 0, &node), WEIR_NOT_FOUND);
	assert_int_equal(find(A, 0, "abcdef", 0, &node), WEIR_NOT_FOUND);
}

TEST(homes_have_the_names_of_vms_and_are_seen_by_those_who_may_talk)
{
	weir_handle node = 0;

	assert_int_equal(find(A, WEIR_STORE_ROOT, "a", 0, &node), WEIR_OK);
	assert_int_equal(node, home(A));
	assert_int_equal(find(A, WEIR_STORE_ROOT, "b", 0, &node), WEIR_OK);
	assert_int_equal(find(A, WEIR_STORE_ROOT, "c", 0, &node), WEIR_OK);
	assert_int_equal(find(C, WEIR_STORE_ROOT, "a", 0, &node), WEIR_OK);
	assert_int_equal(find(C, WEIR_STORE_ROOT, "b", 0, &node), WEIR_NOT_FOUND);
	assert_int_equal(find(A, WEIR_STORE_ROOT, "d", 0, &node), WEIR_NOT_FOUND);
	assert_int_equal(find(E, WEIR_STORE_ROOT, "c", 0, &node), WEIR_OK);
	assert_int_equal(find(D, WEIR_STORE_ROOT, "a", 0, &node), WEIR_NOT_FOUND);
}

TEST(two_owners_may_have_children_of_one_name)
{
	weir_handle inbox = made(A, 0, "inbox", ALL, 0, ALL), b, c, node = 0;

	b = made(B, inbox, "x", 0, 0, 0);
	c = made(C, inbox, "x", 0, 0, 0);
	assert_int_not_equal(b, c);
	assert_int_equal(make(C, inbox, "x", 0, 0, 0, &node), WEIR_BUSY);
	assert_int_equal(find(A, inbox, "x", vm_handle(B), &node), WEIR_OK);
	assert_int_equal(node, b);
	assert_int_equal(find(A, inbox, "x", vm_handle(C), &node), WEIR_OK);
	assert_int_equal(node, c);
	assert_int_equal(find(A, inbox, "x", 0, &node), WEIR_NOT_FOUND);
	assert_int_equal(find(B, inbox, "x", vm_handle(C), &node), WEIR_NOT_FOUND);
	assert_int_equal(find(A, inbox, "x", vm_handle(B) + (1ul << 16), &node), WEIR_NOT_FOUND);
	assert_int_equal(find(A, inbox, "x", 1ul << 16 | 63, &node), WEIR_NOT_FOUND);
}

TEST(nodes_are_so_deep_and_no_deeper)
{
	weir_handle node = home(A);
	char name[2] = "1";

	for (; name[0] < '0' + (char)WEIR_STORE_DEPTH; name[0]++)
		node = made(A, node, name, 0, 0, 0);
	assert_int_equal(make(A, node, name, 0, 0, 0, &node), WEIR_INVALID);
}

/* ---- Handles ---- */

static void assert_stale(u32 vm, weir_handle node)
{
	struct weir_store_value value;
	weir_handle other;
	bool found;

	assert_int_equal(find(vm, node, "x", 0, &other), WEIR_STALE);
	assert_int_equal(make(vm, node, "x", 0, 0, 0, &other), WEIR_STALE);
	assert_int_equal(store_read(vm, node, &value), WEIR_STALE);
	assert_int_equal(store_write(vm, node, "x", 0), WEIR_STALE);
	assert_int_equal(store_remove(vm, node, 0), WEIR_STALE);
	assert_int_equal(children(vm, node, 0, &found), 0);
	assert_int_equal(ipc_vcpu(vm, 0)->arch.x[0], WEIR_STALE);
	assert_int_equal(allow(vm, node, 0, 0, 0), WEIR_STALE);
	assert_int_equal(watch(vm, node, true), WEIR_STALE);
}

TEST(what_has_gone_never_was_or_is_not_ones_to_read_is_stale)
{
	weir_handle gone = made(A, 0, "gone", ALL, ALL, ALL), mine = made(A, 0, "mine", 0, 0, 0);

	assert_int_equal(store_remove(A, gone, 0), WEIR_OK);
	assert_stale(A, gone);
	assert_stale(A, gone + (1ul << 16)); /* which the next one will have */
	assert_stale(A, 0x8000);
	assert_stale(A, 1ul << 16 | 0xffff);
	assert_stale(A, ~0ul);
	assert_stale(A, WEIR_STORE_ROOT + (1ul << 16));
	assert_stale(B, mine);
	assert_stale(C, home(B));
	assert_stale(D, WEIR_STORE_ROOT + 1);
}

TEST(a_handle_does_not_fit_the_next_node_of_the_number)
{
	weir_handle first = made(A, 0, "n", 0, 0, 0), second;

	assert_int_equal(store_remove(A, first, 0), WEIR_OK);
	second = made(A, 0, "n", 0, 0, 0);
	assert_int_equal(second & 0xffff, first & 0xffff);
	assert_stale(A, first);
	assert_value(A, second, "", 1);
}

/* ---- Values ---- */

TEST(a_value_is_what_was_written_with_its_generation_and_its_owner)
{
	static const char *const texts[] = { "", "1", "1234567", "12345678", "123456789" };
	weir_handle node = made(A, 0, "n", ALL, ALL, 0);
	struct weir_store_value value;
	char longest[WEIR_STORE_VALUE_MAX + 1];

	for (u32 i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(store_write(B, node, texts[i], 0), WEIR_OK);
		assert_value(C, node, texts[i], 2 + i);
	}
	assert_int_equal(store_read(B, node, &value), WEIR_OK);
	assert_int_equal(value.owner, vm_handle(A));
	assert_int_equal(store_read(A, WEIR_STORE_ROOT, &value), WEIR_OK);
	assert_int_equal(value.owner, 0);
	memset(longest, 'v', sizeof(longest));
	longest[WEIR_STORE_VALUE_MAX] = 0;
	assert_int_equal(store_write(A, node, longest, 0), WEIR_OK);
	assert_value(A, node, longest, 7);
}

/* Nothing of a page gets out but what was written. */
TEST(what_lies_behind_a_value_in_the_writers_page_stays_there)
{
	struct weir_pages pages = ipc_pages(A, 0);
	weir_handle node = made(A, 0, "n", ALL, 0, 0);
	struct weir_store_value value;

	memset(pages.in->buffer, 0xaa, sizeof(pages.in->buffer));
	assert_int_equal(store_write(A, node, "123", 0), WEIR_OK);
	assert_int_equal(store_read(B, node, &value), WEIR_OK);
	for (u32 i = 3; i < WEIR_STORE_VALUE_MAX; i++)
		assert_int_equal(ipc_pages(B, 0).out->store_value[i], 0);
}

TEST(a_value_that_is_too_long_is_invalid)
{
	weir_handle node = made(A, 0, "n", 0, 0, 0);

	ipc_run(A, 0);
	assert_int_equal(
		ipc_call(WEIR_FN(WEIR_FN_STORE_WRITE), node, WEIR_STORE_VALUE_MAX + 1, 0, 0, 0, 0),
		WEIR_INVALID);
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_STORE_WRITE), node, 1ul << 32, 0, 0, 0, 0),
			 WEIR_INVALID);
	assert_value(A, node, "", 1);
}

TEST(a_change_for_another_generation_is_to_be_done_again)
{
	weir_handle node = made(A, 0, "n", 0, 0, 0);

	assert_int_equal(store_write(A, node, "one", 1), WEIR_OK);
	assert_int_equal(store_write(A, node, "two", 1), WEIR_AGAIN);
	assert_int_equal(store_write(A, node, "two", 3), WEIR_AGAIN);
	assert_value(A, node, "one", 2);
	assert_int_equal(store_remove(A, node, 1), WEIR_AGAIN);
	assert_int_equal(store_remove(A, node, 2), WEIR_OK);
}

/* ---- Who may ---- */

TEST(masks_say_who_reads_writes_and_adds)
{
	weir_handle node = made(A, 0, "n", BIT(B), 0, 0), below;
	struct weir_store_value value;

	assert_int_equal(store_read(B, node, &value), WEIR_OK);
	assert_int_equal(store_read(C, node, &value), WEIR_STALE);
	assert_int_equal(store_write(B, node, "x", 0), WEIR_DENIED);
	assert_int_equal(make(B, node, "x", 0, 0, 0, &below), WEIR_DENIED);
	assert_int_equal(allow(A, node, BIT(B) | BIT(C), BIT(B), BIT(C)), WEIR_OK);
	assert_int_equal(store_write(B, node, "x", 0), WEIR_OK);
	assert_int_equal(store_write(C, node, "x", 0), WEIR_DENIED);
	assert_int_equal(make(B, node, "x", 0, 0, 0, &below), WEIR_DENIED);
	assert_int_equal(make(C, node, "x", 0, 0, 0, &below), WEIR_OK);
	assert_int_equal(allow(A, node, 0, BIT(B), BIT(C)), WEIR_OK);
	assert_int_equal(store_write(B, node, "x", 0), WEIR_STALE);
	assert_int_equal(make(C, node, "y", 0, 0, 0, &below), WEIR_STALE);
}

TEST(only_the_owner_opens_a_node_and_nobody_the_root)
{
	weir_handle node = made(A, 0, "n", ALL, ALL, ALL), below;

	assert_int_equal(allow(B, node, 0, 0, 0), WEIR_DENIED);
	assert_int_equal(allow(A, WEIR_STORE_ROOT, 0, 0, 0), WEIR_DENIED);
	assert_int_equal(store_write(A, WEIR_STORE_ROOT, "x", 0), WEIR_DENIED);
	assert_int_equal(make(A, WEIR_STORE_ROOT, "x", 0, 0, 0, &below), WEIR_DENIED);
	assert_int_equal(store_remove(A, WEIR_STORE_ROOT, 0), WEIR_DENIED);
	assert_int_equal(store_remove(A, home(A), 0), WEIR_DENIED);
	assert_int_equal(store_remove(B, node, 0), WEIR_DENIED);
}

TEST(who_owns_a_node_above_reads_and_removes_but_does_not_write)
{
	weir_handle inbox = made(A, 0, "inbox", ALL, 0, ALL), b, deep;

	b = made(B, inbox, "b", 0, 0, BIT(C));
	deep = made(B, b, "deep", 0, 0, 0);
	assert_int_equal(store_write(B, deep, "hello", 0), WEIR_OK);
	assert_value(A, deep, "hello", 2);
	assert_int_equal(store_write(A, deep, "x", 0), WEIR_DENIED);
	assert_stale(C, deep);
	assert_int_equal(store_remove(A, b, 0), WEIR_BUSY);
	assert_int_equal(store_remove(A, deep, 0), WEIR_OK);
	assert_int_equal(store_remove(A, b, 0), WEIR_OK);
	assert_stale(B, b);
}

TEST(who_has_the_right_may_read_and_change_everything)
{
	weir_handle node = made(C, 0, "n", 0, 0, 0), own;

	assert_int_equal(store_write(E, node, "x", 0), WEIR_OK);
	assert_value(E, node, "x", 2);
	own = made(E, node, "e", 0, 0, 0);
	assert_int_equal(allow(E, node, ALL, 0, 0), WEIR_OK);
	assert_value(A, node, "x", 2);
	assert_int_equal(store_remove(E, own, 0), WEIR_OK);
	assert_int_equal(store_remove(E, node, 0), WEIR_OK);
	assert_int_equal(store_write(E, WEIR_STORE_ROOT, "x", 0), WEIR_DENIED);
	own = made(E, WEIR_STORE_ROOT, "machine", ALL, 0, 0);
	assert_int_equal(find(A, WEIR_STORE_ROOT, "machine", vm_handle(E), &node), WEIR_NOT_FOUND);
}

/* ---- Listing ---- */

TEST(a_list_tells_each_child_that_one_may_read)
{
	weir_handle inbox = made(A, 0, "inbox", ALL, 0, ALL), b, c;
	struct weir_pages pages = ipc_pages(A, 0);
	struct weir_store_child child;
	u64 at = 0;
	bool found;

	b = made(B, inbox, "from-b", 0, 0, 0);
	c = made(C, inbox, "from-c", 0, 0, 0);
	assert_int_equal(children(A, inbox, b, &found), 2);
	assert_int_equal(children(B, inbox, b, &found), 1);
	assert_true(found);
	assert_int_equal(children(B, inbox, c, &found), 1);
	assert_false(found);
	assert_int_equal(children(A, home(A), inbox, &found), 1);
	assert_int_equal(children(C, WEIR_STORE_ROOT, home(A), &found), 2);
	ipc_run(A, 0);
	assert_int_equal(weir_store_list(&pages, inbox, &at, &child), WEIR_OK);
	assert_int_equal(child.node, b);
	assert_int_equal(child.owner, vm_handle(B));
	assert_string_equal(child.name, "from-b");
	at = UINT64_MAX;
	assert_int_equal(weir_store_list(&pages, inbox, &at, &child), WEIR_NOT_FOUND);
}

/* ---- Quotas ---- */

TEST(quota_of_nodes)
{
	weir_handle node[4], other;
	char name[2] = "0";

	for (u32 i = 0; i < 4; i++, name[0]++)
		node[i] = made(B, 0, name, 0, 0, 0);
	assert_int_equal(make(B, 0, name, 0, 0, 0, &other), WEIR_QUOTA);
	made(A, 0, "a", 0, 0, 0);
	assert_int_equal(store_remove(B, node[2], 0), WEIR_OK);
	made(B, 0, name, 0, 0, 0);
	assert_int_equal(make(D, 0, "d", 0, 0, 0, &other), WEIR_STALE);
}

TEST(quota_of_bytes_is_the_owners)
{
	weir_handle first = made(B, 0, "1", ALL, ALL, 0), second = made(B, 0, "2", ALL, ALL, 0);
	char text[WEIR_STORE_VALUE_MAX + 1];

	memset(text, 'v', sizeof(text));
	text[WEIR_STORE_VALUE_MAX] = 0;
	assert_int_equal(store_write(A, first, text, 0), WEIR_OK);
	assert_int_equal(store_write(A, second, text, 0), WEIR_QUOTA);
	text[200 - WEIR_STORE_VALUE_MAX] = 0;
	assert_int_equal(store_write(A, second, text, 0), WEIR_OK);
	assert_int_equal(store_write(B, home(B), "x", 0), WEIR_QUOTA);
	assert_int_equal(store_write(B, first, "", 0), WEIR_OK);
	assert_int_equal(store_write(B, home(B), "x", 0), WEIR_OK);
	assert_int_equal(store_remove(B, second, 0), WEIR_OK);
	memset(text, 'v', sizeof(text));
	text[WEIR_STORE_VALUE_MAX] = 0;
	assert_int_equal(store_write(B, first, text, 0), WEIR_OK);
}

TEST(quota_of_watches)
{
	weir_handle node = made(A, 0, "n", ALL, 0, 0);

	assert_int_equal(watch(B, WEIR_STORE_ROOT, true), WEIR_OK);
	assert_int_equal(watch(B, home(A), true), WEIR_OK);
	assert_int_equal(watch(B, 0, true), WEIR_OK);
	assert_int_equal(watch(B, node, true), WEIR_QUOTA);
	assert_int_equal(watch(B, home(A), true), WEIR_OK); /* it is */
	assert_int_equal(watch(B, home(B), false), WEIR_OK);
	assert_int_equal(watch(B, node, true), WEIR_OK);
	assert_int_equal(watch(B, home(B), false), WEIR_OK); /* it is not */
	assert_int_equal(weir_do(WEIR_FN_STORE_WATCH, node, 2, 0, 0, 0), WEIR_INVALID);
}

/* ---- The end of a VM ---- */

TEST(a_vm_that_ends_takes_its_nodes_with_it_and_what_is_below_them)
{
	weir_handle inbox = made(A, 0, "inbox", ALL, 0, ALL), deep, other, left, node;
	bool found;

	other = made(B, inbox, "b", 0, 0, ALL);
	deep = made(A, other, "deep", ALL, 0, 0);
	left = made(B, 0, "left", ALL, 0, ALL);
	node = made(A, left, "mine", ALL, 0, 0);
	assert_int_equal(store_write(A, 0, "I am a", 0), WEIR_OK);
	assert_int_equal(allow(A, 0, 0, ALL, ALL), WEIR_OK);
	ipc_vm_end(A);
	assert_stale(B, inbox);
	assert_stale(B, other);
	assert_stale(B, deep);
	assert_stale(B, node);
	assert_value(B, left, "", 1);
	assert_int_equal(children(B, left, node, &found), 0);
	assert_value(B, home(A), "", 3);
	assert_int_equal(store_write(B, home(A), "x", 0), WEIR_DENIED);
	assert_int_equal(make(E, home(A), "x", 0, 0, 0, &node), WEIR_CLOSED);
	ipc_vm_renew(A);
	made(E, home(A), "x", 0, 0, 0);
	for (char name[2] = "0"; name[0] < '0' + 15; name[0]++)
		made(A, 0, name, 0, 0, 0);
	assert_int_equal(make(B, 0, "1", 0, 0, 0, &node), WEIR_OK);
	assert_int_equal(make(B, 0, "2", 0, 0, 0, &node), WEIR_OK);
	assert_int_equal(make(B, 0, "3", 0, 0, 0, &node), WEIR_OK);
	assert_int_equal(make(B, 0, "4", 0, 0, 0, &node), WEIR_QUOTA);
}

/* While it ends others cannot make anything below it, or it might never end. */
TEST(nothing_is_made_below_a_vm_that_ends)
{
	weir_handle inbox = made(A, 0, "inbox", ALL, 0, ALL), b = made(B, inbox, "b", 0, 0, 0),
		    node;
	struct vm_work work = { 0 };
	enum weir_status status;

	made(B, inbox, "c", 0, 0, 0); /* goes first */

	do {
		assert_true(ipc_vm_stop(ipc_vm(A), &work));
		status = make(B, b, "x", 0, 0, 0, &node);
		if (status == WEIR_OK)
			assert_int_equal(store_remove(B, node, 0), WEIR_OK);
	} while (status == WEIR_OK);
	assert_int_equal(status, WEIR_CLOSED);
	while (ipc_vm_stop(ipc_vm(A), &work))
		assert_int_not_equal(make(B, b, "x", 0, 0, 0, &node), WEIR_OK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_vms_end)

/* b cannot count what c has, to which it may not talk. The ranges are more numbers than a call looks at. */
TEST(where_a_list_goes_on_does_not_depend_on_what_others_have)
{
	struct weir_result before, after;
	char name[] = "n0";

	for (u32 vm = A; vm <= E; vm += E - A)
		for (name[1] = 'a'; name[1] < 'a' + 15; name[1]++)
			made(vm, 0, name, 0, 0, 0);
	ipc_run(B, 0);
	before = weir_call(WEIR_FN(WEIR_FN_STORE_LIST), home(B), 1, 0, 0, 0, 0);
	for (name[1] = 'a'; name[1] < 'a' + 15; name[1]++)
		made(C, 0, name, 0, 0, 0);
	ipc_run(B, 0);
	after = weir_call(WEIR_FN(WEIR_FN_STORE_LIST), home(B), 1, 0, 0, 0, 0);
	assert_int_equal(after.status, before.status);
	assert_int_equal(after.value[1], before.value[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_name_that_is_too_long_empty_or_of_other_characters_is_invalid),
		CASE(a_name_is_as_long_as_it_says),
		CASE(where_a_list_goes_on_does_not_depend_on_what_others_have),
		CASE(homes_have_the_names_of_vms_and_are_seen_by_those_who_may_talk),
		CASE(two_owners_may_have_children_of_one_name),
		CASE(nodes_are_so_deep_and_no_deeper),
		CASE(what_has_gone_never_was_or_is_not_ones_to_read_is_stale),
		CASE(a_handle_does_not_fit_the_next_node_of_the_number),
		CASE(a_value_is_what_was_written_with_its_generation_and_its_owner),
		CASE(what_lies_behind_a_value_in_the_writers_page_stays_there),
		CASE(a_value_that_is_too_long_is_invalid),
		CASE(a_change_for_another_generation_is_to_be_done_again),
		CASE(masks_say_who_reads_writes_and_adds),
		CASE(only_the_owner_opens_a_node_and_nobody_the_root),
		CASE(who_owns_a_node_above_reads_and_removes_but_does_not_write),
		CASE(who_has_the_right_may_read_and_change_everything),
		CASE(a_list_tells_each_child_that_one_may_read),
		CASE(quota_of_nodes),
		CASE(quota_of_bytes_is_the_owners),
		CASE(quota_of_watches),
		CASE(a_vm_that_ends_takes_its_nodes_with_it_and_what_is_below_them),
		CASE(nothing_is_made_below_a_vm_that_ends),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
