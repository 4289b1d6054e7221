/*
 * What went wrong in the event channels and the shared memory of another hypervisor, tried on ours: a test for
 * each of its advisories, named after it, with the class of the bug in a few words of our own.
 *
 * All of the list (test_promises.py sees that none is forgotten):
 *
 *   107 155 295 340 342 343 344 358 359      here
 *   218 224 226 230 236 255 268 284 287      test_advisories_grants.c
 *   316 379 380 382 384 394 411              test_advisories_grants_2.c
 *
 * Of some the form that they had cannot occur here, and the tests are of what is nearest to it:
 *   255, 379, 384  Weir has no status pages that a change of version frees: EL2 frees nothing after boot. The
 *		    tests are of grants that end while they are mapped, and of the pages of the ABI.
 *   268	    there is one version of grants. The test is of numbers and accesses that are none.
 *   340	    ports are made at boot, before a guest runs. The test is of those that come back to life; that
 *		    locks order what is done under them is in tests/models ([L1], [L2]) and in the disassembly.
 *   342	    guests have one word size. The test is of the bound by which rings are made.
 *   358, 359	    x86 and this test reorder nothing. What is tested is the order of the program; that of the memory is
 *		    in the model of events, without [S2] and [R2] too, and in the disassembly (tools/check-order).
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/manage.c
 * Sources: ipc/port.c ipc/port_source.c core/timeout.c core/base/log.c tests/host/fake/ipc_vms.c
 * Sources: tests/host/fake/ipc_disk.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/order.c tests/host/fake/shared_page.c
 * Sources: tests/host/fake/panic.c
 */
#include <stdio.h>
#include <string.h>
#include <weir/block.h>
#include <weir/event.h>
#include <weir/grant.h>
#include <weir/manage.h>
#include <weir/upcall.h>
#include "ipc_vms.h"
#include "ipc/upcall.h"

enum { A, B, C, VMS };

/* Two channels of a and b; numbers 0 and 1 at both ends. */
static const char *const channels[] = { "ab", "ab2", "bc", 0 };

#define NOT_ASKED ((enum weir_status)1)

static enum weir_status sent[2]; /* by a, on its two channels */

static void machine(void)
{
	fake_lock_reset();
	ipc_vms_make(VMS, 2, channels);
	sent[0] = sent[1] = NOT_ASKED;
}

static int machine_make(void **state)
{
	(void)state;
	machine();
	return 0;
}

static int machine_free(void **state)
{
	(void)state;
	fake_page_release(); /* of a test that failed */
	ipc_vms_free();
	return 0;
}

static weir_handle port_of(u32 vm, u32 number)
{
	return ipc_vm(vm)->ipc->event.port[number].handle;
}

static u32 entered(u32 vm)
{
	u64 sum = 0;

	for (u32 i = 0; i < ipc_vm(vm)->vcpu_count; i++)
		for (u32 p = 0; p < WEIR_EVENT_PRIORITIES; p++)
			sum += ipc_pages(vm, i).out->event_tail[p];
	return (u32)sum;
}

static void send_both(void *context)
{
	(void)context;
	ipc_run(A, 1);
	sent[0] = weir_event_send(port_of(A, 0));
	sent[1] = weir_port_publish(port_of(A, 1), 77);
}

/* ---- XSA-107: an event went to a vCPU whose control block had not been set up yet. --------------- */

TEST(xsa_107_rings_are_there_before_a_vcpu_has_ever_run)
{
	ipc_vms_make(2, MAX_VCPUS, channels);
	for (u32 life = 0; life < 2; life++) {
		for (u32 vcpu = 0; vcpu < MAX_VCPUS; vcpu++) {
			for (u32 priority = 0; priority < WEIR_EVENT_PRIORITIES; priority++) {
				ipc_run(B, 0);
				assert_int_equal(weir_port_bind(port_of(B, 0), vcpu, priority), 0);
				ipc_run(A, 0);
				assert_int_equal(weir_event_send(port_of(A, 0)), WEIR_OK);
				assert_int_equal(ipc_pages(B, vcpu).out->event_tail[priority], 1);
				assert_int_equal(ipc_next(B, vcpu), 0);
			}
		}
		ipc_vm_renew(B);
	}
}

/* ---- XSA-155: memory that is shared was read twice: once to be checked, once to be used. --------- */

static struct fake_page_accesses accesses;

/* Of a VM's `in` page, while a call is made. False: the machine cannot tell. */
static bool watch(u32 vm)
{
	return fake_page_watch(ipc_pages(vm, 0).in);
}

static void assert_read_once(void)
{
	accesses = fake_page_release();
	assert_true(accesses.all >= 1);
	assert_int_equal(accesses.most_reads, 1);
	assert_int_equal(accesses.writes, 0);
}

static u64 reply_seen[6];

static void answered(void *context, enum weir_status status, const u64 reply[6])
{
	(void)context;
	assert_int_equal(status, WEIR_OK);
	memcpy(reply_seen, reply, sizeof(reply_seen));
}

static void open_upcall(u32 vm)
{
	static const u64 none[4];

	ipc_run(vm, 0);
	assert_int_equal(weir_upcall_register(1), WEIR_OK);
	assert_int_equal(
		upcall_request(ipc_vcpu(vm, 0), WEIR_SERVICE_PING, none, 1000000, answered, 0),
		WEIR_OK);
}

static void check_upcall_reply(void)
{
	struct weir_pages pages;

	open_upcall(B);
	pages = ipc_pages(B, 0);
	for (u32 i = 0; i < 6; i++)
		pages.in->upcall_reply[i] = 0x1111111111111111ul * (i + 1);
	watch(B);
	assert_int_equal(weir_do(WEIR_FN_UPCALL_RETURN, pages.out->upcall_sequence, 0, 0, 0, 0),
			 WEIR_OK);
	assert_read_once();
	assert_int_equal(accesses.all, 6);
	for (u32 i = 0; i < 6; i++)
		assert_int_equal(reply_seen[i], 0x1111111111111111ul * (i + 1));
}

/* Each word is another one as soon as it has been read. */
TEST(xsa_155_each_word_of_a_shared_page_is_read_once)
{
	struct weir_pages pages = ipc_pages(B, 0);
	u64 *head = &pages.in->event_head[0];

	if (!watch(B))
		skip();
	ipc_run(A, 0);
	assert_int_equal(weir_event_send(port_of(A, 0)), WEIR_OK);
	assert_read_once();
	assert_int_equal(pages.out->event_tail[0], 1);

	*head = 1ul << 40; /* beyond the tail: clamped, whatever it becomes then */
	watch(B);
	assert_int_equal(weir_event_send(port_of(A, 0)), WEIR_OK);
	assert_read_once();
	assert_true(ipc_vcpu(B, 0)->ipc->event.ring[0].head <= pages.out->event_tail[0]);

	*head = 0;
	watch(B);
	ipc_run(B, 0);
	assert_int_equal(weir_port_bind(port_of(B, 0), 1, 0), WEIR_BUSY);
	assert_read_once();

	memcpy(pages.in->buffer, "ab2", 3);
	watch(B);
	assert_int_equal(weir_do(WEIR_FN_PORT_FIND, 3, 0, 0, 0, 0), WEIR_OK);
	assert_int_equal(ipc_vcpu(B, 0)->arch.x[1], port_of(B, 1));
	assert_read_once();

	pages.in->completion_head = 1ul << 40;
	watch(B);
	assert_int_equal(weir_block_submit(0, WEIR_BLOCK_READ, 0, 8, (void *)VM_RAM_BASE, 1), 0);
	assert_read_once();
	assert_int_equal(ipc_vcpu(B, 0)->ipc->block.head, 0);

	check_upcall_reply();
}

/* ---- XSA-295: exclusive accesses to memory of a guest, which the guest can keep from ever succeeding. */

/*
 * By construction: EL2 has `in` as const, which no atomic but a load takes; the windows of guest RAM are for scrubs
 * and copies; tools/check-exclusives looks where exclusives are in the program. Here: no call writes there.
 */
static void every_call(u32 vm)
{
	u64 page = (u64)VM_RAM_BASE;
	struct weir_vm_info info;
	struct weir_pages pages = ipc_pages(vm, 1);
	weir_handle port, grant;

	ipc_run(vm, 1);
	assert_int_equal(weir_port_find(&pages, "ab", &port), WEIR_OK);
	assert_int_equal(weir_event_send(port), WEIR_OK);
	assert_int_equal(weir_port_publish(port, 7), WEIR_OK);
	assert_int_equal(weir_port_peer(port, 0, 0), WEIR_OK);
	assert_int_equal(weir_grant_share(port, vm, 2, WEIR_PASS, &grant), WEIR_OK);
	ipc_run(1 - vm, 1);
	assert_int_equal(weir_grant_map(port, grant, 3, 0, 0), WEIR_OK);
	assert_int_equal(weir_grant_pass_on(port_of(1 - vm, 1), 3, &grant), WEIR_DENIED);
	assert_int_equal(weir_grant_unmap(3), WEIR_OK);
	ipc_run(vm, 0);
	assert_true(weir_port_bind(port, 1, 2) != WEIR_INVALID); /* by what its head is now */
	assert_int_equal(weir_grant_share(port, vm, 2, WEIR_READ, &grant), WEIR_OK);
	assert_int_equal(weir_grant_revoke(grant), WEIR_OK);
	assert_int_equal(weir_block_submit(0, WEIR_BLOCK_READ, 0, 8, (void *)page, 1), WEIR_OK);
	assert_true(ipc_disk_done(WEIR_OK));
	assert_int_equal(weir_do(WEIR_FN_UPCALL_RETURN, 1, 0, 0, 0, 0), WEIR_OK);
	ipc_run(A, 1);
	assert_int_equal(weir_vm_info(&pages, B, &info), WEIR_OK);
}

TEST(xsa_295_what_a_guest_writes_el2_only_reads)
{
	for (u32 vm = A; vm <= B; vm++) {
		machine();
		open_upcall(vm);
		ipc_run(1 - vm, 0);
		assert_int_equal(weir_event_send(port_of(1 - vm, 0)), WEIR_OK);
		if (!watch(vm))
			skip();
		every_call(vm);
		ipc_vm_end(1 - vm);
		ipc_vm_end(vm);
		accesses = fake_page_release();
		assert_true(accesses.all > 5);
		assert_int_equal(accesses.writes, 0);
	}
}

/* ---- XSA-340: a port counted as valid before another core saw what is in it. --------------------- */

static void ended(void)
{
	machine();
	/* Something to be forgotten: bound elsewhere, an event and a word unread. */
	ipc_run(B, 0);
	assert_int_equal(weir_port_bind(port_of(B, 0), 1, 2), WEIR_OK);
	assert_int_equal(weir_port_bind(port_of(B, 1), 1, 1), WEIR_OK);
	send_both(0);
	ipc_vm_end(B);
	sent[0] = sent[1] = NOT_ASKED;
}

static void rebuild(void)
{
	struct vm_work work = { 0 };

	while (ipc_vm_rebuild(ipc_vm(B), &work))
		;
}

/* A send is refused, or all of it arrives in the new life. */
static void check_arrived(void)
{
	u32 expected = (sent[0] == WEIR_OK) | (sent[1] == WEIR_OK) << 1, got = 0;
	s32 number;
	u64 word;

	assert_true(sent[0] == NOT_ASKED || sent[0] == WEIR_OK || sent[0] == WEIR_CLOSED);
	ipc_run(B, 0);
	assert_int_equal(weir_port_peer(port_of(B, 1), &word, 0), WEIR_OK);
	assert_int_equal(word, sent[1] == WEIR_OK ? 77 : 0);
	while ((number = ipc_next(B, 0)) >= 0)
		if (number < 2)
			got |= 1u << number;
	assert_int_equal(got, expected);
	assert_int_equal(ipc_next(B, 1), -1);
}

TEST(xsa_340_a_port_is_open_when_all_of_it_is_there)
{
	assert_true(fake_lock_each_gap(ended, rebuild, send_both, check_arrived) > 10);
}

/* ---- XSA-342: the bound on ports was of another word size than the structure that they are marked in. */

#define PORTS 150u

static void two_vms(u32 ports, u32 joined)
{
	static const char *many[PORTS + 1];
	static char names[PORTS][16];

	assert_true(joined <= PORTS);
	for (u32 i = 0; i < joined; i++) {
		snprintf(names[i], sizeof(names[i]), "ab%u", i);
		many[i] = names[i];
	}
	many[joined] = 0;
	ipc_vms_set_ports(ports);
	ipc_vms_make(2, 1, many);
}

static void check_all_at_once(u32 ports)
{
	struct weir_pages pages;

	two_vms(ports, ports + 1);
	pages = ipc_pages(B, 0);
	assert_int_equal(ipc_vm(B)->ipc->event.channel_count, ports);
	assert_true(pages.event_slots >= ports);
	for (u32 round = 0; round < 3; round++) {
		ipc_run(A, 0);
		for (u32 i = 0; i < ports; i++)
			assert_int_equal(weir_event_send(1ul << 16 | i), WEIR_OK);
		assert_int_equal(weir_event_send(1ul << 16 | ports), WEIR_INVALID);
		for (u32 i = 0; i < ports; i++)
			assert_int_equal(ipc_next(B, 0), i);
		assert_int_equal(ipc_next(B, 0), -1);
	}
}

TEST(xsa_342_rings_have_room_for_all_ports_at_once)
{
	static const u32 ports[] = { 1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 127, 128 };

	for (u32 i = 0; i < ARRAY_SIZE(ports); i++)
		check_all_at_once(ports[i]);
}

/* ---- XSA-343: ports were used while another core reset all of them. ----------------------------- */

static u32 entered_before;

static void send_first(void)
{
	ipc_run(A, 0);
	sent[0] = weir_event_send(port_of(A, 0));
}

static void publish_first(void)
{
	ipc_run(A, 0);
	sent[0] = weir_port_publish(port_of(A, 0), 5);
}

static void end_meanwhile(void *context)
{
	(void)context;
	ipc_vm_end(B);
	entered_before = entered(B);
	sent[1] = WEIR_CLOSED;
}

/* What came after the end was refused, and is in no ring. */
static void check_closed(void)
{
	if (sent[1] == NOT_ASKED)
		assert_int_equal(sent[0], WEIR_OK);
	else if (sent[0] == WEIR_CLOSED)
		assert_int_equal(entered(B), entered_before);
	else
		assert_true(sent[0] == WEIR_OK && entered_before && entered(B) == entered_before);
}

static void end_first(void)
{
	ipc_vm_end(B);
}

static void renew_first(void)
{
	ipc_vm_renew(B);
}

/* All that is done on ports, by who is still there. */
static void use_ports(void *context)
{
	weir_handle grant = 0;

	send_both(context);
	assert_int_equal(weir_port_peer(port_of(A, 0), 0, 0), WEIR_OK);
	assert_true(weir_port_bind(port_of(A, 0), 1, 1) != WEIR_INVALID);
	weir_grant_share(port_of(A, 0), 1, 1, WEIR_READ, &grant);
	if (grant)
		assert_int_equal(weir_grant_revoke(grant), WEIR_OK);
	ipc_run(C, 0);
	weir_event_send(port_of(C, 0));
}

/* Both ends know the same of the channel; and if both are there it carries. */
static void check_ends_agree(void)
{
	for (u32 i = 0; i < 2; i++) {
		const struct port *a = &ipc_vm(A)->ipc->event.port[i], *b = a->peer;

		assert_int_equal(a->peer_open, b->from == a);
		assert_int_equal(b->peer_open, a->from == b);
		ipc_run(A, 0);
		assert_int_equal(weir_event_send(a->handle), b->from ? WEIR_OK : WEIR_CLOSED);
		if (!b->from)
			continue;
		ipc_run(B, 0);
		assert_int_equal(weir_event_send(b->handle), WEIR_OK);
		while (ipc_next(B, 0) >= 0)
			;
		ipc_run(A, 0);
		assert_int_equal(weir_event_send(a->handle), WEIR_OK);
		assert_int_equal(ipc_next(B, 0), i);
	}
}

TEST(xsa_343_ports_may_be_used_while_all_of_them_end)
{
	assert_true(fake_lock_each_gap(machine, send_first, end_meanwhile, check_closed) >= 1);
	assert_true(fake_lock_each_gap(machine, publish_first, end_meanwhile, check_closed) >= 1);
	assert_true(fake_lock_each_gap(machine, end_first, use_ports, check_ends_agree) > 5);
	assert_true(fake_lock_each_gap(machine, renew_first, use_ports, check_ends_agree) > 10);
}

/* ---- XSA-344: all ports of a VM were closed in one go, however many there were. ------------------ */

static u32 longest_step(u32 ports, bool rebuilt, u32 *steps)
{
	struct vm_work work = { 0 };
	u32 longest = 0;
	bool more = true;

	two_vms(PORTS, ports);
	if (rebuilt)
		ipc_vm_end(B);
	fake_locks_taken();
	for (*steps = 0; more; ++*steps) {
		more = rebuilt ? ipc_vm_rebuild(ipc_vm(B), &work) : ipc_vm_stop(ipc_vm(B), &work);
		longest = max(longest, fake_locks_taken());
	}
	return longest;
}

TEST(xsa_344_the_end_and_the_start_of_many_ports_are_steps_of_a_few)
{
	for (u32 rebuilt = 0; rebuilt < 2; rebuilt++) {
		u32 few, many, least = longest_step(1, rebuilt, &few);

		assert_int_equal(longest_step(PORTS, rebuilt, &many), least);
		assert_true(many - few >= PORTS / 8);
	}
}

/* ---- XSA-358: a control block was announced before what it points to was in place. --------------- */

static void check_rings_are_new(void)
{
	for (u32 vcpu = 0; vcpu < 2; vcpu++) {
		const struct weir_out *out = ipc_pages(B, vcpu).out;

		for (u32 p = 0; p < WEIR_EVENT_PRIORITIES; p++) {
			const struct event_ring *ring = &ipc_vcpu(B, vcpu)->ipc->event.ring[p];

			assert_int_equal(ring->tail, out->event_tail[p]);
			assert_int_equal(ring->tail != 0, !vcpu && !p && sent[0] == WEIR_OK);
		}
	}
	check_arrived();
}

TEST(xsa_358_no_event_enters_a_ring_that_is_being_made)
{
	assert_true(fake_lock_each_gap(ended, rebuild, send_both, check_rings_are_new) > 10);
}

/* ---- XSA-359: a queue was looked into before its bound was known to be the one that goes with it. */

#define HIGHEST (WEIR_EVENT_PRIORITIES - 1) /* a receiver looks there first */

static void tail_is_not_ahead(void *context)
{
	const struct weir_pages *pages = context;

	assert_int_equal(pages->out->event_tail[HIGHEST], 2);
	/* The third event, in the slot of the first. */
	assert_int_equal(pages->event_rings[HIGHEST * pages->event_slots], 1);
}

static void send_second(void *context)
{
	(void)context;
	ipc_run(A, 0);
	assert_int_equal(weir_event_send(port_of(A, 1)), WEIR_OK);
}

/* Two slots; the first one has the event of port 0 in it still, which was taken long ago. */
static void wrapped(void)
{
	static const char *const two[] = { "ab", "ab2", 0 };

	ipc_vms_set_ports(2);
	ipc_vms_make(2, 1, two);
	ipc_run(B, 0);
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(weir_port_bind(port_of(B, i), 0, HIGHEST), WEIR_OK);
	for (u32 times = 0; times < 2; times++) {
		ipc_run(A, 0);
		assert_int_equal(weir_event_send(port_of(A, 0)), WEIR_OK);
		assert_int_equal(ipc_next(B, 0), 0);
	}
}

TEST(xsa_359_an_entry_is_read_and_written_on_its_own_side_of_the_tail)
{
	struct weir_pages pages;

	wrapped();
	pages = ipc_pages(B, 0);
	fake_order_at("S2", false, tail_is_not_ahead, &pages);
	send_second(0);
	assert_true(fake_order_happened());

	wrapped();
	fake_order_at("R2", false, send_second, 0);
	assert_int_equal(ipc_next(B, 0), 1);
	assert_true(fake_order_happened());
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, machine_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(xsa_107_rings_are_there_before_a_vcpu_has_ever_run),
		CASE(xsa_155_each_word_of_a_shared_page_is_read_once),
		CASE(xsa_295_what_a_guest_writes_el2_only_reads),
		CASE(xsa_340_a_port_is_open_when_all_of_it_is_there),
		CASE(xsa_342_rings_have_room_for_all_ports_at_once),
		CASE(xsa_343_ports_may_be_used_while_all_of_them_end),
		CASE(xsa_344_the_end_and_the_start_of_many_ports_are_steps_of_a_few),
		CASE(xsa_358_no_event_enters_a_ring_that_is_being_made),
		CASE(xsa_359_an_entry_is_read_and_written_on_its_own_side_of_the_tail),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
