/*
 * Grants against a model: random sequences of all operations by four VMs that are all joined, with
 * plausible and implausible arguments, and of deaths. After each step each VM sees in its pool and
 * in its window what the model says, the status is the model's, and exactly those were told who
 * have to be: so every page has one home and, while it is passed, one holder.
 *
 * What is covered: sequences of STEPS steps, SEQUENCES of them, from a seed; all four roles (home,
 * giver, holder, stranger) are drawn at each step; grants of 1 to 64 pages, also across words of the sets of pages;
 * in LARGE_SEQUENCES of them grants of 2 MiB, too, and of single pages in the same pieces.
 * Beside that every call asserts, over its own pages, what ipc/grant.c says always holds (ipc/grant_check.c). What is
 * not: two calls at the same time (fuzz_hypercall has another core's come in between), and every sequence.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <string.h>
#include <weir/event.h>
#include <weir/grant.h>
#include "ipc_vms.h"
#include "soak.h"

#define SEQUENCES	soak_count(120, 10000)
#define LARGE_SEQUENCES soak_count(6, 600) /* of VMs that have pieces of 2 MiB */
#define STEPS		250u
#define VMS		4u
#define HANDLES		64u

static const char *const channels[] = { "ab", "ac", "ad", "bc", "bd", "cd", 0 };
static u32 pool_pages, window_pages; /* of each VM */
static u32 port_to[VMS][VMS];	     /* number of the port of the first to the second */

struct place {
	enum { FREE, MAPPED, SCRATCH, OFFERED } state;
	u32 pages; /* at the first page */
	u32 home, grant;
	u32 port; /* by which it came, or OFFERED: is passed on */
};

struct model_grant {
	weir_handle handle; /* 0: none */
	u32 pages, access, giver_port;
	bool mapped;
	u32 holder, at;
};

static struct model {
	struct model_grant grant[FAKE_LARGE_POOL];
	u32 in_grant[FAKE_LARGE_POOL]; /* 1 + index of the grant that a page is in */
	struct place window[FAKE_LARGE_WINDOW];
	bool told[VMS]; /* the port to that VM has an event */
	bool off;
	weir_handle port[VMS];
} model[VMS];

static weir_handle handles[HANDLES]; /* that were given out, at any time */
static u64 random_state;
static u32 pieces_mapped;

static u32 dice(u32 sides)
{
	random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
	return (u32)(random_state >> 33) % sides;
}

static u32 other(u32 vm)
{
	return (vm + 1 + dice(VMS - 1)) % VMS;
}

static void keep(weir_handle handle)
{
	handles[dice(HANDLES)] = handle;
}

/* The live grant that a handle names; 0: there is none. */
static struct model_grant *live(weir_handle handle, u32 *home)
{
	for (*home = 0; *home < VMS; (*home)++)
		for (u32 i = 0; i < pool_pages; i++)
			if (handle && model[*home].grant[i].handle == handle)
				return &model[*home].grant[i];
	return 0;
}

static void clear(u32 vm, u32 first, u32 state)
{
	struct place *place = &model[vm].window[first];
	u32 pages = place->pages;

	for (u32 i = 0; i < pages; i++)
		place[i].state = state;
	if (state == FREE)
		place->pages = 0;
}

/* By home, or by the holder: then home is told. */
static void end(u32 home, struct model_grant *grant, bool returned)
{
	u32 first = (u32)(grant - model[home].grant);

	if (grant->mapped && !returned) {
		struct place *place = &model[grant->holder].window[grant->at];

		model[grant->holder].told[place->port] = true;
		clear(grant->holder, grant->at, place->state == OFFERED ? FREE : SCRATCH);
	}
	if (returned)
		model[home].told[grant->giver_port] = true;
	for (u32 i = 0; i < grant->pages; i++)
		model[home].in_grant[first + i] = 0;
	memset(grant, 0, sizeof(*grant));
}

/* --- The operations ------------------------------------------------------------------------- */

static bool large(void)
{
	return pool_pages == FAKE_LARGE_POOL;
}

/* Where 2 MiB begin, or beside it. */
static u32 some_piece(u32 begin)
{
	return begin + 512 * dice(3) + !dice(8);
}

static void do_share(u32 vm)
{
	bool piece = large() && dice(2);
	u32 to = other(vm), first = piece ? some_piece(FAKE_PIECE) : dice(pool_pages + 2);
	u32 pages = piece ? 512 : dice(dice(8) ? 8 : 66), access = dice(4);
	enum weir_status status, expected = WEIR_OK;
	weir_handle handle = 0;

	status = weir_grant_share(model[vm].port[to], first, pages, (enum weir_access)access,
				  &handle);
	if (!pages || (!piece && pages > WEIR_GRANT_PAGES_MAX) || access > WEIR_PASS ||
	    first + pages > pool_pages || (piece && (first - FAKE_PIECE) % 512))
		expected = WEIR_INVALID;
	else if (model[to].off)
		expected = WEIR_CLOSED;
	for (u32 i = 0; expected == WEIR_OK && i < pages; i++)
		if (model[vm].in_grant[first + i])
			expected = WEIR_BUSY;
	assert_int_equal(status, expected);
	if (status != WEIR_OK)
		return;
	keep(handle);
	for (u32 i = 0; i < pages; i++)
		model[vm].in_grant[first + i] = 1 + first;
	model[vm].grant[first] = (struct model_grant){
		.handle = handle, .pages = pages, .access = access, .giver_port = to
	};
}

static enum weir_status map_expected(u32 vm, u32 from, weir_handle handle, u32 at)
{
	u32 home;
	const struct model_grant *grant = live(handle, &home);

	if (at >= window_pages)
		return WEIR_INVALID;
	if (!grant)
		return handle && (handle >> 16 & 63) != vm ? WEIR_STALE : WEIR_INVALID;
	if (home == vm)
		return WEIR_INVALID;
	if (from == home) {
		if (grant->giver_port != vm)
			return WEIR_DENIED;
	} else if (!grant->mapped || grant->holder != from ||
		   model[from].window[grant->at].state != OFFERED ||
		   model[from].window[grant->at].port != vm) {
		return WEIR_DENIED;
	}
	if (at + grant->pages > window_pages)
		return WEIR_INVALID;
	if (from == home && grant->mapped)
		return WEIR_BUSY;
	if (grant->pages == 512 && at % 512)
		return WEIR_INVALID;
	for (u32 i = 0; i < grant->pages; i++)
		if (model[vm].window[at + i].state != FREE)
			return WEIR_BUSY;
	return WEIR_OK;
}

static void do_map(u32 vm)
{
	weir_handle handle = handles[dice(HANDLES)];
	u32 from = other(vm), at = dice(window_pages + 1), home;
	struct model_grant *grant = live(handle, &home);
	enum weir_status expected;

	if (grant && grant->pages == 512)
		at = some_piece(0);
	/* Mostly by the channel by which it was given. */
	if (grant && dice(4)) {
		from = grant->mapped ? grant->holder : home;
		if (from == vm)
			return;
	}
	expected = map_expected(vm, from, handle, at);
	assert_int_equal(weir_grant_map(model[vm].port[from], handle, at, 0, 0), expected);
	if (expected != WEIR_OK)
		return;
	pieces_mapped += grant->pages == 512;
	if (grant->mapped)
		clear(grant->holder, grant->at, FREE);
	for (u32 i = 0; i < grant->pages; i++)
		model[vm].window[at + i] = (struct place){ .state = MAPPED };
	model[vm].window[at] = (struct place){ MAPPED, grant->pages, home,
					       (u32)(grant - model[home].grant), from };
	grant->mapped = true;
	grant->holder = vm;
	grant->at = at;
}

/* A page where something begins, mostly. */
static u32 some_place(u32 vm)
{
	u32 at = dice(window_pages + 1);

	for (u32 i = 0; dice(8) && i < window_pages; i++)
		if (model[vm].window[(at + i) % FAKE_LARGE_WINDOW].pages)
			return (at + i) % window_pages;
	return at;
}

static void do_pass(u32 vm)
{
	u32 to = other(vm), at = some_place(vm);
	struct place *place = &model[vm].window[at % FAKE_LARGE_WINDOW];
	enum weir_status expected = WEIR_OK;
	weir_handle handle = 0;

	if (at >= window_pages)
		expected = WEIR_INVALID;
	else if (!place->pages)
		expected = WEIR_NOT_FOUND;
	else if (place->state == SCRATCH || model[to].off)
		expected = WEIR_CLOSED;
	else if (model[place->home].grant[place->grant].access != WEIR_PASS || place->home == to)
		expected = WEIR_DENIED;
	assert_int_equal(weir_grant_pass_on(model[vm].port[to], at, &handle), expected);
	if (expected != WEIR_OK)
		return;
	assert_int_equal(handle, model[place->home].grant[place->grant].handle);
	keep(handle);
	for (u32 i = 0; i < place->pages; i++)
		place[i].state = OFFERED;
	place->port = to;
}

static void leave(u32 vm, u32 at)
{
	struct place *place = &model[vm].window[at];
	struct model_grant *grant = &model[place->home].grant[place->grant];

	if (place->state != SCRATCH && grant->access == WEIR_PASS)
		end(place->home, grant, true);
	else if (place->state != SCRATCH)
		grant->mapped = false;
	clear(vm, at, FREE);
}

static void do_unmap(u32 vm)
{
	u32 at = some_place(vm);
	enum weir_status expected = WEIR_OK;

	if (at >= window_pages)
		expected = WEIR_INVALID;
	else if (!model[vm].window[at].pages)
		expected = WEIR_NOT_FOUND;
	assert_int_equal(weir_grant_return(at), expected);
	if (expected == WEIR_OK)
		leave(vm, at);
}

static void do_revoke(u32 vm)
{
	weir_handle handle = handles[dice(HANDLES)];
	u32 home;
	struct model_grant *grant = live(handle, &home);
	enum weir_status expected = WEIR_OK;

	if (!handle || (handle >> 16 & 63) != vm)
		expected = WEIR_INVALID;
	else if (!grant)
		expected = WEIR_STALE;
	assert_int_equal(weir_grant_revoke(handle), expected);
	if (expected == WEIR_OK)
		end(home, grant, false);
}

static void find_ports(void)
{
	for (u32 c = 0; channels[c]; c++)
		for (u32 e = 0; e < 2; e++) {
			u32 vm = (u32)(channels[c][e] - 'a'), to = (u32)(channels[c][!e] - 'a');

			model[vm].port[to] = ipc_vm(vm)->ipc->event.port[port_to[vm][to]].handle;
		}
}

static void drain(u32 vm)
{
	struct weir_pages pages = ipc_pages(vm, 0);
	u32 number;

	while (weir_event_next(&pages, &number))
		;
	memset(model[vm].told, 0, sizeof(model[vm].told));
}

static void do_start(u32 vm)
{
	for (struct vm_work work = { 0 }; ipc_vm_rebuild(ipc_vm(vm), &work);)
		;
	find_ports();
	model[vm].off = false;
}

static void do_die(u32 vm)
{
	if (dice(4))
		return;
	for (u32 i = 0; i < pool_pages; i++)
		if (model[vm].grant[i].handle)
			end(vm, &model[vm].grant[i], false);
	for (u32 i = 0; i < window_pages; i++)
		if (model[vm].window[i].pages)
			leave(vm, i);
	ipc_vm_end(vm);
	model[vm].off = true;
	if (dice(2))
		do_start(vm);
	/* The peers are told of the ports, too. */
	for (u32 i = 0; i < VMS; i++)
		drain(i);
}

/* --- What everyone sees --------------------------------------------------------------------- */

static void check_page(u32 vm, u64 ipa, enum stage2_kind kind, u64 pa)
{
	const struct stage2 *tables = &ipc_vm(vm)->stage2;

	assert_int_equal(fake_stage2_kind(tables, ipa), kind);
	assert_int_equal(fake_stage2_pa(tables, ipa), pa);
}

static void check_pool(u32 vm)
{
	for (u32 i = 0; i < pool_pages; i++) {
		u64 ipa = vm_pool_base(ipc_vm(vm)) + i * PAGE_SIZE;
		u32 in = model[vm].in_grant[i];

		if (in && model[vm].grant[in - 1].access == WEIR_PASS)
			check_page(vm, ipa, STAGE2_SHARED, ipc_scratch_pa(vm));
		else
			check_page(vm, ipa, STAGE2_RAM, ipc_pool_pa(vm, i));
	}
}

static void check_window(u32 vm)
{
	const struct place *first = 0;

	for (u32 i = 0; i < window_pages; i++) {
		const struct place *place = &model[vm].window[i];
		u64 ipa = VM_WINDOW_BASE + i * PAGE_SIZE;

		if (place->pages)
			first = place;
		if (place->state == MAPPED)
			check_page(vm, ipa,
				   model[first->home].grant[first->grant].access == WEIR_READ
					   ? STAGE2_SHARED_READ
					   : STAGE2_SHARED,
				   ipc_pool_pa(first->home, first->grant + (u64)(place - first)));
		else if (place->state == SCRATCH)
			check_page(vm, ipa, STAGE2_SHARED, ipc_scratch_pa(vm));
		else
			check_page(vm, ipa, STAGE2_NONE, 0);
	}
}

static void check_told(u32 vm)
{
	struct weir_pages pages = ipc_pages(vm, 0);
	bool told[VMS] = { false };
	u32 number;

	while (weir_event_next(&pages, &number))
		for (u32 to = 0; to < VMS; to++)
			if (to != vm && port_to[vm][to] == number)
				told[to] = true;
	assert_memory_equal(told, model[vm].told, sizeof(told));
	memset(model[vm].told, 0, sizeof(model[vm].told));
}

static void play(u64 seed, bool with_pieces)
{
	static void (*const operations[])(u32 vm) = { do_share,	 do_share, do_map,  do_map,
						      do_map,	 do_pass,  do_pass, do_unmap,
						      do_revoke, do_die };
	u32 ports[VMS] = { 0 };

	random_state = seed;
	memset(model, 0, sizeof(model));
	memset(handles, 0, sizeof(handles));
	pool_pages = with_pieces ? FAKE_LARGE_POOL : FAKE_POOL_PAGES;
	window_pages = with_pieces ? FAKE_LARGE_WINDOW : FAKE_WINDOW_PAGES;
	if (with_pieces)
		ipc_vms_set_large();
	ipc_vms_make(VMS, 1, channels);
	for (u32 c = 0; channels[c]; c++) {
		u32 a = (u32)(channels[c][0] - 'a'), b = (u32)(channels[c][1] - 'a');

		port_to[a][b] = ports[a]++;
		port_to[b][a] = ports[b]++;
	}
	find_ports();
	for (u32 step = 0; step < STEPS; step++) {
		u32 vm = dice(VMS);

		ipc_run(vm, 0);
		if (!model[vm].off) {
			operations[dice(ARRAY_SIZE(operations))](vm);
		} else if (!dice(4)) {
			do_start(vm);
			for (u32 i = 0; i < VMS; i++)
				drain(i);
		}
		for (u32 i = 0; i < VMS; i++) {
			check_pool(i);
			check_window(i);
			check_told(i);
		}
	}
	ipc_vms_free();
}

TEST(every_page_has_one_home_and_one_holder)
{
	for (u64 n = 0, count = SEQUENCES; n < count; n++)
		play(0x9e3779b97f4a7c15ul * (n + soak_seed()) ^ n, false);
}

TEST(every_page_of_a_piece_has_one_home_and_one_holder)
{
	for (u64 n = 0, count = LARGE_SEQUENCES; n < count; n++)
		play(0x9e3779b97f4a7c15ul * (n + soak_seed()) ^ n, true);
	assert_true(pieces_mapped > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(every_page_has_one_home_and_one_holder),
		RUN(every_page_of_a_piece_has_one_home_and_one_holder),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
