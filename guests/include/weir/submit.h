/*
 * The submission ring: small commands that a vCPU puts into its `in` page, and Weir takes from there: send an
 * event, start a block request, copy memory. A communication core takes them if the machine has one, so
 * that putting a command is a store and no trap; else the call does. Both do the same.
 *
 * weir_in.command, WEIR_COMMANDS slots, written by the vCPU; positions are counted since start, slot =
 * position & (WEIR_COMMANDS - 1). weir_in.submit_tail is written by the vCPU (store-release) and at most
 * WEIR_COMMANDS ahead of weir_out.submit_head, which Weir writes: with a tail that is not, nothing is
 * taken. A command may be changed until the tail is beyond it; Weir reads it once.
 *
 * Commands are taken in their order, and one behind a copy when that is done; block requests are started in
 * order. When the head is beyond a command, weir_out.submit_status of its slot says how it ended, until
 * another is put into the slot:
 *
 *	code in bits 7:0 of `what`, and	       argument[0], [1]	     status
 *	WEIR_COMMAND_EVENT			port handle, -	      as WEIR_FN_EVENT_SEND
 *	WEIR_COMMAND_BLOCK: disk index 15:8,	first sector, IPA     as WEIR_FN_BLOCK_SUBMIT
 *	  enum weir_block_operation 23:16,
 *	  sectors 63:32
 *	WEIR_COMMAND_COPY: bytes 63:32		to, from: IPA	      see below
 *	all others, and with other bits set: WEIR_INVALID
 *
 * Of an event's neither argument[1] nor the cookie is looked at. A block request and a copy are answered by a
 * completion too, with the cookie, where those of block.h are, and raise what those raise; also one that
 * is refused, with the status that is in submit_status. WEIR_QUOTA alone has no completion: for it there
 * is no room, as WEIR_COMPLETIONS of both together are in flight or not yet consumed.
 *
 * WEIR_COMMAND_COPY: from the VM's own RAM or what it has mapped (grant.h) to its own RAM or what it has
 *   mapped and may write. Both addresses and the size are multiples of 8; what overlaps is mixed up. Guests map
 *   both as Normal write-back memory; behind the completion the bytes are in memory too, for a reader
 *   without caches. The range is looked at page by page while it is copied: nothing that ends meanwhile
 *   (a grant, a VM) waits for the copy, and nothing is copied to or from it any more.
 *   status: WEIR_INVALID: size 0, more than WEIR_COPY_BYTES_MAX, or no multiple of 8. WEIR_QUOTA: as
 *	     above. WEIR_FAULT: a page is neither RAM nor mapped, or the target is read-only. WEIR_CLOSED: a
 *	     page was revoked, or is passed to another VM. With these two a part may have been copied.
 *
 * weir_out.submit_wanted, written by Weir: not 0: nobody looks, who puts a command makes the call. Always
 * so without a communication core; with one, while it sleeps. Many commands may be put before one call.
 *
 * WEIR_FN_SUBMIT: takes what is in the calling vCPU's ring, or wakes the communication core that does.
 *   in:  nothing.
 *   errors: WEIR_AGAIN: so much for one call; there is more: call again.
 *
 * A VM that is restarted begins with an empty ring, positions at 0. Copies and what was not taken when it ended
 * are dropped; block.h says what becomes of requests.
 *
 * Source: ipc/submit.c, ipc/copy.c. Tests: tests/guest/submit.c, tests/host/test_submit.c,
 * tests/host/test_copy.c. Since ABI 1.
 */
#pragma once

#include <weir/block.h>
#include <weir/event.h>

enum weir_command_code {
	WEIR_COMMAND_EVENT = 1,
	WEIR_COMMAND_BLOCK = 2,
	WEIR_COMMAND_COPY = 3,
};

#define WEIR_COPY_BYTES_MAX (1u << 20)

/* The writing side. Owner: the vCPU whose pages these are; no task and interrupt handler at a time. */
struct weir_submit {
	struct weir_in *in;
	const struct weir_out *out;
	uint64_t tail;
	uint64_t limit; /* the tail may be no further: the head last seen, and WEIR_COMMANDS */
};

/* Goes on where the ring is: also behind another program that used it. */
static inline void weir_submit_init(struct weir_submit *ring, const struct weir_pages *pages)
{
	ring->in = pages->in;
	ring->out = pages->out;
	ring->tail = pages->in->submit_tail;
	ring->limit = ring->tail; /* the first that is put looks at the head */
}

/* How far Weir has taken commands. */
static inline uint64_t weir_submit_head(const struct weir_submit *ring)
{
	uint64_t head;

	/* [W3] the head before the slot, which is written or read next. Pairs with [A3] in ipc/submit.c. */
	WEIR_ORDERED(W3, ldar, head = __atomic_load_n(&ring->out->submit_head, __ATOMIC_ACQUIRE));
	return head;
}

/* What was put before this position (weir_submit.tail then) is done, and its status to be read. */
static inline bool weir_submit_done(const struct weir_submit *ring, uint64_t position)
{
	return weir_submit_head(ring) >= position;
}

/* How the command at a position ended, that is done; at most WEIR_COMMANDS were put since. */
static inline enum weir_status weir_submit_status(const struct weir_submit *ring, uint64_t position)
{
	return (enum weir_status)ring->out->submit_status[position & (WEIR_COMMANDS - 1)];
}

/* Is there a free slot? */
static inline bool weir_submit_room(struct weir_submit *ring)
{
	if (__builtin_expect(ring->tail == ring->limit, 0))
		ring->limit = weir_submit_head(ring) + WEIR_COMMANDS;
	return ring->tail != ring->limit;
}

/* What was written into the slot at `tail` is a command from here on. */
static inline void weir_submit_publish(struct weir_submit *ring)
{
	ring->tail++;
	/* [W1] the command before the tail. Pairs with [A1] in ipc/submit.c. */
	WEIR_ORDERED(W1, stlr,
		     __atomic_store_n(&ring->in->submit_tail, ring->tail, __ATOMIC_RELEASE));
}

/* Puts a command; it is taken when somebody looks: weir_submit_kick(). False: the ring is full. */
static inline bool weir_submit_put_event(struct weir_submit *ring, weir_handle port)
{
	struct weir_command *command = &ring->in->command[ring->tail & (WEIR_COMMANDS - 1)];

	if (!weir_submit_room(ring))
		return false;
	command->what = WEIR_COMMAND_EVENT;
	command->argument[0] = port;
	weir_submit_publish(ring);
	return true;
}

/* The same with any command, which is copied. */
static inline bool weir_submit_put(struct weir_submit *ring, const struct weir_command *command)
{
	if (!weir_submit_room(ring))
		return false;
	ring->in->command[ring->tail & (WEIR_COMMANDS - 1)] = *command;
	weir_submit_publish(ring);
	return true;
}

/* The same with a block request, whose arguments are those of weir_block_submit(). */
static inline bool weir_submit_put_block(struct weir_submit *ring, uint32_t disk,
					 enum weir_block_operation operation, uint64_t sector,
					 uint32_t sectors, const void *buffer, uint64_t cookie)
{
	struct weir_command command;

	if (disk > 0xff)
		disk = 0xff; /* there is none either */
	command.what = (uint64_t)WEIR_COMMAND_BLOCK | (uint64_t)disk << 8 |
		       (uint64_t)operation << 16 | (uint64_t)sectors << 32;
	command.argument[0] = sector;
	command.argument[1] = (uint64_t)(uintptr_t)buffer;
	command.cookie = cookie;
	return weir_submit_put(ring, &command);
}

/* The same with a copy of `bytes`, a multiple of 8; both places are mapped 1:1. */
static inline bool weir_submit_put_copy(struct weir_submit *ring, void *to, const void *from,
					uint32_t bytes, uint64_t cookie)
{
	struct weir_command command;

	command.what = (uint64_t)WEIR_COMMAND_COPY | (uint64_t)bytes << 32;
	command.argument[0] = (uint64_t)(uintptr_t)to;
	command.argument[1] = (uint64_t)(uintptr_t)from;
	command.cookie = cookie;
	return weir_submit_put(ring, &command);
}

/* Makes the call if nobody looks. When it returns without a communication core, all that was put is done. */
static inline void weir_submit_kick(const struct weir_submit *ring)
{
	uint64_t wanted;

	/*
	 * [W2] the tail is stored before `submit_wanted` is read. Pairs with [A2] in ipc/submit.c: either we
	 * see that it wants to be called, or it sees the tail before it sleeps.
	 */
	WEIR_ORDERED(W2, dmb ish, __atomic_thread_fence(__ATOMIC_SEQ_CST));
	/* Read once; of an atomic load gcc 12 computes the address by an instruction of its own. */
	wanted = *(const volatile uint64_t *)&ring->out->submit_wanted;
	if (__builtin_expect(wanted != 0, 0))
		while (weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0) == WEIR_AGAIN)
			;
}

/* Sends an event through the ring. WEIR_AGAIN: the ring is full, and is being emptied. */
static inline enum weir_status weir_submit_event(struct weir_submit *ring, weir_handle port)
{
	bool put = weir_submit_put_event(ring, port);

	weir_submit_kick(ring);
	return put ? WEIR_OK : WEIR_AGAIN;
}
