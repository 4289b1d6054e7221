/*
 * The submission ring (ipc/submit.c, guests/include/weir/submit.h): a guest puts commands, another core takes
 * them, says how each ended, and sleeps when there are none until it is called. Every command is taken once, as
 * it was put, the guest sees how it ended and no slot is used again before, and no command lies in the ring
 * of a core that sleeps for ever.
 *
 * Small: COMMANDS commands through SIZE slots. The core takes one or all that it sees, before it says so. The
 * guest looks how they ended after each, or when it has to. A call is seen for sure: that is what wakeup.pml
 * shows, of an interrupt.
 */
#define CORES 2
#define GUEST 0
#define SERVER 1

#ifndef SIZE
#define SIZE 2
#endif
#ifndef COMMANDS
#define COMMANDS 4
#endif

#define TAIL	0
#define HEAD	1
#define WANTED	2
#define COMMAND 3
#define STATUS	(COMMAND + SIZE)
#define WORDS	(STATUS + SIZE)
#define DEPTH	4

#include "memory.pml"

bool called;

/* Positions count from 0; the command at position p, and how it ends, is p + 1. */
#define slot_of(what, position) ((what) + (position) % SIZE)

/* --- The guest: weir_submit_*() --- */

/* Waits until something is done that was not, and looks how it ended. */
inline look()
{
	do
	:: done == head ->
#ifdef NO_W3
		/* [W3] left out: the status is read before the head. */
		status = memory[slot_of(STATUS, done)];
#endif
		memory[HEAD] != head;
		head = memory[HEAD] /* [W3] */
	:: else ->
#ifndef NO_W3
		status = memory[slot_of(STATUS, done)];
#endif
		assert(status == done + 1);
		status = 0;
		done++;
		break
	od
}

proctype guest()
{
	byte tail, head, done, status;

	do
	:: tail == COMMANDS -> break
	:: else ->
		do
		:: tail - done < SIZE -> break
		:: done < tail -> look()
		od;
		store(GUEST, slot_of(COMMAND, tail), tail + 1);
		tail++;
#ifdef NO_W1
		store(GUEST, TAIL, tail);
#else
		store_release(GUEST, TAIL, tail); /* [W1] */
#endif
#ifndef NO_W2
		full_barrier(GUEST); /* [W2] */
#endif
		if
		:: memory[WANTED] ->
			full_barrier(GUEST); /* [G1] of the call */
			called = true
		:: else
		fi
	od;
	do
	:: done == COMMANDS -> break
	:: else -> look()
	od
}

/* --- Who takes commands: submit_drain() and submit_sleep() --- */

inline take()
{
#ifndef NO_A1
	command = memory[slot_of(COMMAND, head)];
#endif
	assert(command == head + 1);
	store(SERVER, slot_of(STATUS, head), command);
	head++;
	command = 0
}

inline drain()
{
	if
	:: asleep ->
		store(SERVER, WANTED, 0);
		asleep = false
	:: else
	fi;
	take();
	do
	:: head < tail ->
#ifdef NO_A1
		break
#else
		take()
#endif
	:: true -> break
	od;
#ifdef NO_A3
	store(SERVER, HEAD, head)
#else
	store_release(SERVER, HEAD, head) /* [A3] */
#endif
}

inline sleep()
{
	store(SERVER, WANTED, 1);
	asleep = true;
#ifndef NO_A2
	full_barrier(SERVER); /* [A2] */
#endif
	if
	:: memory[TAIL] == head ->
		atomic {
			called;
			called = false
		}
	:: else ->
		store(SERVER, WANTED, 0);
		asleep = false
	fi
}

proctype server()
{
	byte head, tail, command;
	bool asleep = true;

	do
	:: head == COMMANDS -> break
	:: else ->
#ifdef NO_A1
		/* [A1] left out: the command is read before the tail. */
		command = memory[slot_of(COMMAND, head)];
#endif
		tail = memory[TAIL]; /* [A1] */
		if
		:: tail != head -> drain()
		:: else ->
			command = 0;
			sleep()
		fi
	od
}

init
{
	atomic {
		memory[WANTED] = 1;
		run visible(GUEST);
		run visible(SERVER);
		run guest();
		run server()
	}
}
