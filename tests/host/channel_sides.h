/*
 * Two VMs, a and b, at the ends of the channel "ab", and a third: for tests of weir/channel.h. A test says
 * whose channel a call is for, and the call is made by that VM.
 */
#pragma once

#include <string.h>
#include <weir/channel.h>
#include "ipc_memory.h"

#define VMS 3u

static const char *const channels[] = { "ab", "ab2", "ac", "bc", 0 };

/* What a guest has: a and b are the ends of "ab". */
static struct side {
	struct weir_channel channel;
	struct weir_space space;
} sides[VMS];

#define A (&sides[0].channel)
#define B (&sides[1].channel)

static inline u32 vm_of(const struct weir_channel *channel)
{
	for (u32 vm = 0; vm < VMS; vm++)
		if (channel == &sides[vm].channel)
			return vm;
	return 0;
}

static inline void born(u32 vm)
{
	memset(&sides[vm], 0, sizeof(sides[vm]));
	sides[vm].space = ipc_memory_space(vm);
	sides[vm].channel.ring_pages = 2;
	sides[vm].channel.window_pages = 8;
}

static inline int machine_make(void **state)
{
	(void)state;
	ipc_vms_make(VMS, 1, channels);
	ipc_memory_make(VMS);
	for (u32 vm = 0; vm < VMS; vm++)
		born(vm);
	return 0;
}

static inline enum weir_status try_open_as(u32 vm, struct weir_channel *channel, const char *name)
{
	struct weir_pages pages = ipc_pages(vm, 0);

	ipc_run(vm, 0);
	return weir_channel_try_open(channel, &pages, &sides[vm].space, name);
}

static inline enum weir_status try_open(struct weir_channel *channel)
{
	return try_open_as(vm_of(channel), channel, "ab");
}

static inline enum weir_status send(struct weir_channel *channel, const char *text)
{
	ipc_run(vm_of(channel), 0);
	return weir_channel_try_send(channel, text, strlen(text));
}

/* The next record is this text. */
static inline void expect(struct weir_channel *channel, const char *text)
{
	char buffer[2048];
	uint32_t bytes = 0;

	ipc_run(vm_of(channel), 0);
	assert_int_equal(weir_channel_try_receive(channel, buffer, sizeof(buffer), &bytes),
			 WEIR_OK);
	assert_int_equal(bytes, strlen(text));
	assert_memory_equal(buffer, text, bytes);
}

static inline enum weir_status receive(struct weir_channel *channel)
{
	char buffer[2048];
	uint32_t bytes = 0;

	ipc_run(vm_of(channel), 0);
	return weir_channel_try_receive(channel, buffer, sizeof(buffer), &bytes);
}

static inline enum weir_status check(struct weir_channel *channel)
{
	ipc_run(vm_of(channel), 0);
	return weir_channel_check(channel);
}

static inline void close_it(struct weir_channel *channel)
{
	ipc_run(vm_of(channel), 0);
	weir_channel_close(channel);
}

static inline void open_both(void)
{
	assert_int_equal(try_open(A), WEIR_AGAIN);
	assert_int_equal(try_open(B), WEIR_OK);
	assert_int_equal(try_open(A), WEIR_OK);
}

static inline void restart(u32 vm)
{
	ipc_memory_renew(vm);
	born(vm);
}

/* Events that were raised on a VM and not taken: all are taken by this. */
static inline u32 events(u32 vm)
{
	struct weir_pages pages = ipc_pages(vm, 0);
	u32 count = 0, number;

	while (weir_event_next(&pages, &number))
		count++;
	return count;
}

static inline bool window_is_empty(u32 vm)
{
	for (u64 page = 0; page < FAKE_WINDOW_PAGES; page++)
		if (fake_stage2_kind(&ipc_vm(vm)->stage2, VM_WINDOW_BASE + page * PAGE_SIZE) !=
		    STAGE2_NONE)
			return false;
	return true;
}

#define RUN_MADE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_memory_end)
