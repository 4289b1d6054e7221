/*
 * VM a has an inbox, to which b, c and d send: for tests of weir/mqueue.h. A test says whose sender a call is
 * for, and the call is made by that VM.
 */
#pragma once

#include <string.h>
#include <weir/mqueue.h>
#include "ipc_memory.h"

#define VMS   4u
#define LANES 4u

static const char *const channels[] = { "ab", "ab2", "ac", "ad", "bc", 0 };

static struct weir_lane lanes[LANES];
static struct weir_inbox inbox;
static struct weir_space spaces[VMS];

/* Two of them in VM b. */
static struct side {
	u32 vm;
	const char *name;
	struct weir_sender sender;
} sides[LANES] = { { .vm = 1, .name = "ab" },
		   { .vm = 1, .name = "ab2" },
		   { .vm = 2, .name = "ac" },
		   { .vm = 3, .name = "ad" } };

/* What the inbox told of senders that came and went. */
static u32 came, went;

static inline void changed(struct weir_inbox *of, struct weir_lane *lane, bool here)
{
	assert_ptr_equal(of, &inbox);
	assert_true(lane->session != 0);
	came += here;
	went += !here;
}

/* Takes the events of a VM's vCPU; those of a are told to the inbox. How many there were. */
static inline u32 events(u32 vm)
{
	struct weir_pages pages = ipc_pages(vm, 0);
	u32 count = 0, number;

	while (weir_event_next(&pages, &number)) {
		count++;
		for (u32 i = 0; vm == 0 && i < LANES; i++)
			if (lanes[i].used && weir_port_number(lanes[i].channel.port) == number)
				weir_lane_event(&lanes[i]);
	}
	return count;
}

static inline void inbox_born(u32 count)
{
	struct weir_pages pages = ipc_pages(0, 0);

	spaces[0] = ipc_memory_space(0);
	weir_inbox_make(&inbox, lanes, LANES);
	inbox.window_pages = 3;
	inbox.changed = changed;
	came = went = 0;
	ipc_run(0, 0);
	for (u32 i = 0; i < count; i++)
		assert_int_equal(weir_inbox_add(&inbox, &pages, &spaces[0], sides[i].name),
				 WEIR_OK);
}

static inline void sender_born(struct side *side)
{
	memset(&side->sender, 0, sizeof(side->sender));
	side->sender.channel.ring_pages = 2;
}

static inline void vm_born(u32 vm)
{
	spaces[vm] = ipc_memory_space(vm);
	for (u32 i = 0; i < LANES; i++)
		if (sides[i].vm == vm)
			sender_born(&sides[i]);
	if (vm == 0)
		inbox_born(LANES);
}

static inline int machine_make(void **state)
{
	(void)state;
	ipc_vms_make(VMS, 1, channels);
	ipc_memory_make(VMS);
	for (u32 vm = 0; vm < VMS; vm++)
		vm_born(vm);
	return 0;
}

/* a looks at what has happened, and receives the next message into `buffer`. */
static inline enum weir_status receive_to(void *buffer, u64 room, uint32_t *bytes,
					  struct weir_lane **from)
{
	ipc_run(0, 0);
	events(0);
	return weir_inbox_try_receive(&inbox, buffer, room, bytes, from);
}

/* The next message is this text, of this sender. */
static inline void expect(u32 who, const char *text)
{
	char buffer[64];
	uint32_t bytes = 0;
	struct weir_lane *from = NULL;

	assert_int_equal(receive_to(buffer, sizeof(buffer), &bytes, &from), WEIR_OK);
	assert_int_equal(bytes, strlen(text));
	assert_memory_equal(buffer, text, bytes);
	assert_ptr_equal(from, &lanes[who]);
	assert_true(from->session != 0);
}

static inline void expect_nothing(void)
{
	char buffer[64];
	uint32_t bytes = 0;
	struct weir_lane *from = NULL;

	/* A lane that ends is looked at once more. */
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(receive_to(buffer, sizeof(buffer), &bytes, &from), WEIR_AGAIN);
		if (weir_inbox_idle(&inbox))
			return;
	}
	fail_msg("the inbox is never idle");
}

static inline enum weir_status try_open(u32 who)
{
	struct side *side = &sides[who];
	struct weir_pages pages = ipc_pages(side->vm, 0);

	ipc_run(side->vm, 0);
	events(side->vm);
	return weir_sender_try_open(&side->sender, &pages, &spaces[side->vm], side->name);
}

static inline void open_one(u32 who)
{
	enum weir_status status = try_open(who);

	for (u32 i = 0; i < 4 && status == WEIR_AGAIN; i++) {
		expect_nothing();
		status = try_open(who);
	}
	assert_int_equal(status, WEIR_OK);
	expect_nothing();
	assert_true(lanes[who].session != 0);
}

static inline void open_all(void)
{
	for (u32 i = 0; i < LANES; i++)
		open_one(i);
}

static inline enum weir_status send_bytes(u32 who, const void *data, u64 bytes)
{
	ipc_run(sides[who].vm, 0);
	return weir_sender_try_send(&sides[who].sender, data, bytes);
}

static inline enum weir_status send(u32 who, const char *text)
{
	return send_bytes(who, text, strlen(text));
}

static inline void restart(u32 vm)
{
	ipc_memory_renew(vm);
	vm_born(vm);
}

#define RUN_MADE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_memory_end)
