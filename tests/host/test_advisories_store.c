/*
 * What has gone wrong in the store of another hypervisor, class by class, tried on this one: each test names
 * the advisories (XSA) that it is about.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <stdio.h>
#include "ipc/store_node.h"
#include "store_calls.h"

/* b and c may talk to a, not to each other. */
enum { A, B, C, VMS };

#define NODES	5u
#define BYTES	300u
#define WATCHES 4u

static const char *const channels[] = { "ab", "ac", 0 };

static int machine_make(void **state)
{
	(void)state;
	for (u32 vm = 0; vm < VMS; vm++)
		ipc_vms_set_store(vm, NODES, BYTES, WATCHES);
	ipc_vms_make(VMS, 1, channels);
	return 0;
}

static void assert_nodes_left(u32 vm, u32 count)
{
	weir_handle node[NODES], one_more;
	char name[16];

	for (u32 i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "left%u", i);
		node[i] = made(vm, 0, name, 0, 0, 0);
	}
	assert_int_equal(make(vm, 0, "one-more", 0, 0, 0, &one_more), WEIR_QUOTA);
	for (u32 i = 0; i < count; i++)
		assert_int_equal(store_remove(vm, node[i], 0), WEIR_OK);
}

/*
 * 326, 419: quotas passed by, with nodes below those of others, with nodes that were removed by others or with
 * their parents, with requests that fail half-way.
 */
TEST(no_node_is_made_that_nobody_pays_for)
{
	weir_handle inbox = made(A, 0, "inbox", ALL, 0, ALL), mine, node;

	for (u32 times = 0; times < 50; times++) {
		mine = made(B, inbox, "m", 0, 0, ALL);
		node = made(B, mine, "deep", 0, 0, 0);
		assert_int_equal(make(B, inbox, "m", 0, 0, 0, &node), WEIR_BUSY);
		assert_int_equal(make(B, 0, "bad name", 0, 0, 0, &node), WEIR_INVALID);
		assert_nodes_left(B, NODES - 2);
		assert_int_equal(find(A, mine, "deep", 0, &node), WEIR_OK);
		assert_int_equal(store_remove(A, node, 0), WEIR_OK);
		assert_nodes_left(B, NODES - 1);
		assert_int_equal(store_remove(times % 2 ? A : B, mine, 0), WEIR_OK);
		assert_nodes_left(B, NODES);
	}
	/* With the parent's VM; it is b's as long as it lives. */
	made(B, inbox, "m", 0, 0, 0);
	assert_nodes_left(A, NODES - 1);
	ipc_vm_renew(A);
	assert_nodes_left(B, NODES);
	assert_nodes_left(A, NODES);
}

TEST(no_byte_is_kept_that_nobody_pays_for)
{
	char text[101];
	weir_handle node[3];
	u32 length;

	memset(text, 't', sizeof(text));
	text[100] = 0;
	for (u32 times = 0; times < 50; times++) {
		for (u32 i = 0; i < 3; i++) {
			snprintf(text, sizeof(text), "n%u", i);
			node[i] = made(B, 0, text, ALL, ALL, 0);
			memset(text, 't', 100);
			assert_int_equal(store_write(times % 2 ? A : B, node[i], text, 0), WEIR_OK);
		}
		assert_int_equal(store_write(A, home(B), "x", 0), WEIR_DENIED);
		assert_int_equal(store_write(B, home(B), "x", 0), WEIR_QUOTA);
		/* A value that takes the place of another is paid for by the difference. */
		for (length = 100; length > 0; length -= 20) {
			text[length] = 0;
			assert_int_equal(store_write(B, node[1], text, 0), WEIR_OK);
			memset(text, 't', 100);
		}
		assert_int_equal(store_write(B, node[1], text, 2), WEIR_AGAIN);
		assert_int_equal(store_write(B, node[1], text, 0), WEIR_OK);
		if (times % 5 == 4) {
			ipc_vm_renew(B);
			continue;
		}
		for (u32 i = 0; i < 3; i++)
			assert_int_equal(store_remove(B, node[i], 0), WEIR_OK);
	}
	assert_int_equal(ipc_vm(B)->ipc->store.bytes, 0);
}

TEST(no_watch_is_kept_that_nobody_pays_for)
{
	weir_handle node;

	for (u32 times = 0; times < 50; times++) {
		node = made(A, 0, "n", ALL, 0, 0);
		assert_int_equal(watch(B, node, true), WEIR_OK);
		assert_int_equal(watch(B, node, true), WEIR_OK);
		assert_int_equal(watch(B, WEIR_STORE_ROOT, true), WEIR_OK);
		assert_int_equal(watch(B, home(A), true), WEIR_OK);
		assert_int_equal(watch(B, home(B), true), WEIR_OK);
		assert_int_equal(store_remove(A, node, 0), WEIR_OK);
		if (times % 3 == 0) {
			while (fired(B) != (node | GONE))
				;
		} else if (times % 3 == 1) {
			assert_int_equal(watch(B, node, false), WEIR_OK);
		} else {
			ipc_vm_renew(B);
		}
	}
}

/* 115: watches on what one may not read, or on all of the tree. */
TEST(a_watch_tells_nothing_that_one_may_not_read)
{
	weir_handle secret = made(A, 0, "secret", 0, 0, 0), node;

	open_store(B);
	next_event(B);
	assert_int_equal(watch(B, secret, true), WEIR_STALE);
	assert_int_equal(watch(B, home(C), true), WEIR_STALE);
	assert_int_equal(watch(B, home(A), true), WEIR_OK);
	assert_int_equal(watch(B, WEIR_STORE_ROOT, true), WEIR_OK);
	assert_int_equal(store_write(A, secret, "x", 0), WEIR_OK);
	node = made(A, 0, "another", BIT(C), 0, BIT(C));
	made(C, node, "below", ALL, 0, 0);
	assert_int_equal(store_write(C, 0, "x", 0), WEIR_OK);
	assert_int_equal(allow(A, node, BIT(C), BIT(C), 0), WEIR_OK);
	assert_int_equal(store_remove(A, secret, 0), WEIR_OK);
	ipc_vm_renew(C);
	assert_int_equal(next_event(B), -1);
	assert_int_equal(fired(B), 0);
	assert_int_equal(store_write(A, 0, "x", 0), WEIR_OK);
	assert_int_not_equal(next_event(B), -1);
}

/* 115: whoever may not read a node any more hears of it no more: one event, as if it had been removed. */
TEST(a_watch_does_not_outlive_the_right)
{
	weir_handle node = made(A, 0, "n", ALL, 0, 0), child = made(A, node, "c", ALL, 0, 0);

	open_store(B);
	next_event(B);
	assert_int_equal(watch(B, node, true), WEIR_OK);
	assert_int_equal(allow(A, child, 0, 0, 0), WEIR_OK);
	assert_int_equal(fired(B), node); /* its child has gone, for b */
	next_event(B);
	assert_int_equal(store_write(A, child, "x", 0), WEIR_OK);
	assert_int_equal(next_event(B), -1);
	assert_int_equal(allow(A, node, 0, 0, 0), WEIR_OK);
	assert_int_not_equal(next_event(B), -1);
	assert_int_equal(store_write(A, node, "x", 0), WEIR_OK);
	assert_int_equal(next_event(B), -1);
	assert_int_equal(fired(B), node | GONE);
	assert_int_equal(store_write(A, node, "x", 0), WEIR_OK);
	assert_int_equal(allow(A, node, ALL, 0, 0), WEIR_OK);
	assert_int_equal(fired(B), 0);
	assert_int_equal(next_event(B), -1);
}

/* 115: names that are taken, handles, lists, generations: nothing tells that there is something. */
TEST(no_call_tells_a_node_that_one_may_not_read_from_none)
{
	weir_handle inbox = made(A, 0, "inbox", ALL, 0, ALL), theirs, mine, none = 0;
	struct weir_pages pages = ipc_pages(B, 0);
	struct weir_store_child child;
	u64 at = 0;

	theirs = made(C, inbox, "name", 0, 0, 0);
	mine = made(B, inbox, "name", 0, 0, 0);
	assert_int_equal(find(B, inbox, "name", vm_handle(C), &none), WEIR_NOT_FOUND);
	assert_int_equal(find(B, inbox, "other", vm_handle(C), &none), WEIR_NOT_FOUND);
	assert_int_equal(store_remove(B, theirs, 0), WEIR_STALE);
	assert_int_equal(store_remove(B, theirs, 99), WEIR_STALE);
	assert_int_equal(store_write(B, theirs, "", 99), WEIR_STALE);
	assert_int_equal(make(B, theirs, "x", 0, 0, 0, &none), WEIR_STALE);
	ipc_run(B, 0);
	assert_int_equal(weir_store_list(&pages, inbox, &at, &child), WEIR_OK);
	assert_int_equal(child.node, mine);
	assert_int_equal(weir_store_list(&pages, inbox, &at, &child), WEIR_NOT_FOUND);
}

/* 322: nodes of a dead VM, and who comes after it under its number. */
TEST(what_a_vm_had_is_not_its_next_lifes_nor_anybodys)
{
	weir_handle inbox = made(A, 0, "inbox", BIT(B), BIT(B), BIT(B)), theirs, node, again;
	weir_handle old = vm_handle(B), port;
	struct weir_store_value value;
	bool found;

	theirs = made(B, inbox, "b", 0, 0, 0);
	node = made(B, 0, "n", ALL, ALL, ALL);
	assert_int_equal(store_write(B, node, "secret", 0), WEIR_OK);
	ipc_vm_end(B);
	assert_int_equal(store_read(A, node, &value), WEIR_STALE);
	assert_int_equal(store_read(A, theirs, &value), WEIR_STALE);
	assert_int_equal(children(A, inbox, theirs, &found), 0);
	ipc_vm_renew(B);
	assert_int_equal(store_read(B, node, &value), WEIR_STALE);
	assert_int_equal(store_read(B, theirs, &value), WEIR_STALE);
	again = made(B, 0, "n", ALL, ALL, ALL);
	assert_int_not_equal(again, node);
	assert_int_equal(store_read(A, node, &value), WEIR_STALE);
	assert_value(A, again, "", 1);
	/* Who remembers the VM of before does not reach the one of now. */
	assert_int_equal(find(A, inbox, "b", old, &node), WEIR_NOT_FOUND);
	ipc_run(A, 0);
	assert_int_equal(weir_port_open_vm(old, &port), WEIR_STALE);
	assert_int_equal(store_read(A, again, &value), WEIR_OK);
	assert_int_equal(value.owner, vm_handle(B));
	assert_int_not_equal(value.owner, old);
}

/* Of the whole store. */
static u32 store_lives(void)
{
	u32 count = 0;

	for (u32 i = 0; i < store.count; i++)
		count += store.node[i].lives;
	return count;
}

/* 344, 417, 418: a request, or the end of a VM, that takes as long as there are nodes, children, watches. */
TEST(no_call_and_no_step_takes_longer_the_more_there_is)
{
	struct vm_work work = { 0 };
	weir_handle inbox, node = 0;
	struct weir_result result;
	u32 steps = 0, longest = 0;
	char name[16];

	ipc_vms_set_store(A, 5000, 10000, 256);
	ipc_vms_set_store(B, 5000, 10000, 256);
	ipc_vms_make(2, 1, (const char *const[]){ "ab", 0 });
	inbox = made(A, 0, "inbox", ALL, 0, ALL);
	/* In the order in which a tree that is not balanced is a list. */
	for (u32 i = 0; i < 4000; i++) {
		snprintf(name, sizeof(name), "%06u", i);
		node = made(i % 2 ? A : B, inbox, name, 0, 0, 0);
		if (i < 250)
			assert_int_equal(watch(A, node, true), WEIR_OK);
	}
	for (u32 i = 1; i <= ipc_vm(A)->ipc->store.fresh; i++)
		longest = max(longest, (u32)store.node[i].height);
	assert_in_range(longest, 11, 16); /* 1.45 log2(2000) */
	/* A list is in pieces, and so is the search for a watch. */
	ipc_run(B, 0);
	result = weir_call(WEIR_FN(WEIR_FN_STORE_LIST), inbox, 1, 0, 0, 0, 0);
	assert_int_equal(result.status, WEIR_OK);
	assert_int_equal(result.value[0], 0);
	assert_in_range(result.value[1], 2, 100);
	/* Each step of the end removes one. */
	while (ipc_vm_stop(ipc_vm(A), &work)) {
		steps++;
		assert_true(store_lives() + steps >= 4000);
	}
	assert_in_range(steps, 4000, 9000);
	assert_int_equal(store_lives(), 3); /* the root and two homes */
}

/* 324: names, values and numbers that are too long, or anything. */
TEST(lengths_and_numbers_may_be_anything)
{
	static const u64 edges[] = { 0,		1,	   31,	 32,	  33,	     128,
				     129,	255,	   256,	 1024,	  1ul << 16, 1ul << 31,
				     1ul << 32, 1ul << 63, ~0ul, 0x10000, 0x10001,   0x1ffff };
	struct weir_pages pages = ipc_pages(B, 0);
	u32 ok = 0;

	memset(pages.in->buffer, 'x', sizeof(pages.in->buffer));
	for (u32 fn = WEIR_FN_STORE_FIND; fn <= WEIR_FN_STORE_WATCH_NEXT; fn++) {
		for (u32 i = 0; i < ARRAY_SIZE(edges); i++) {
			for (u32 j = 0; j < ARRAY_SIZE(edges); j++) {
				ipc_run(B, 0);
				ok += ipc_call(WEIR_FN(fn), edges[i], edges[j], edges[(i + j) % 18],
					       0, 0, 0) == WEIR_OK;
			}
		}
	}
	assert_in_range(ok, 20, 5000);
	assert_nodes_left(A, NODES);
	ipc_vm_renew(B);
	assert_nodes_left(B, NODES);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(no_node_is_made_that_nobody_pays_for),
		CASE(no_byte_is_kept_that_nobody_pays_for),
		CASE(no_watch_is_kept_that_nobody_pays_for),
		CASE(a_watch_tells_nothing_that_one_may_not_read),
		CASE(a_watch_does_not_outlive_the_right),
		CASE(no_call_tells_a_node_that_one_may_not_read_from_none),
		CASE(what_a_vm_had_is_not_its_next_lifes_nor_anybodys),
		CASE(no_call_and_no_step_takes_longer_the_more_there_is),
		CASE(lengths_and_numbers_may_be_anything),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
