/*
 * Event channels (ipc/event.c, guests/include/weir/event.h): two VMs send on their channels to one
 * vCPU, which takes its interrupt, empties its event ring, looks at what the senders have written, and
 * waits for the next interrupt. It waits for ever only when it has seen all. Entries arrive in the
 * order in which they were entered, each once, and the ring does not overflow.
 *
 * Small: PORTS ports and as many slots; sender i writes and sends SENDS_i times. The interrupt comes
 * for sure: that is what wakeup.pml shows.
 */
#define CORES 3
#define PORTS 2
#define GUEST 2

#ifndef SENDS_0
#define SENDS_0 3
#endif
#ifndef SENDS_1
#define SENDS_1 2
#endif
#define sends_of(i) (i == 0 -> SENDS_0 : SENDS_1)
#define SENDS	    (SENDS_0 + SENDS_1)

#define WRITTEN 0 /* by the senders, a word each */
#define SLOT	2
#define TAIL	4
#define HEAD	5
#define LOCK	6
#define WORDS	7
#define DEPTH	4

#define NOTHING 255

#ifdef NO_L1
#define UNLOCK_RELEASES 0
#endif

#include "memory.pml"

/* EL2's own, under the lock of the receiver's VM. */
byte ring_tail, ring_head, entered[PORTS];

bool interrupt;

byte history[SENDS]; /* for the assertions: which port was entered at each position */

/* hypercall: event_send, with port_enter() and vgic_pend() */
inline send(i)
{
	spin_lock(i, LOCK);
#ifndef NO_S1
	full_barrier(i); /* [S1] */
#endif
	atomic {
		head = memory[HEAD];
		assert(head <= ring_tail);
		ring_head = head;
		head = 0
	}
	if
	:: entered[i] > ring_head ->
		spin_unlock(i, LOCK)
	:: else ->
		store(i, SLOT + ring_tail % PORTS, i);
		atomic {
			history[ring_tail] = i;
			ring_tail++;
			entered[i] = ring_tail;
			assert(ring_tail - ring_head <= PORTS)
		}
#ifdef NO_S2
		store(i, TAIL, ring_tail);
#else
		store_release(i, TAIL, ring_tail); /* [S2] */
#endif
		spin_unlock(i, LOCK);
#ifndef NO_V1
		full_barrier(i); /* [V1] all that the wake-up promises about what was before */
#endif
		interrupt = true
	fi
}

proctype sender(byte i)
{
	byte n, head;

	do
	:: n == sends_of(i) -> break
	:: else ->
		n++;
		store(i, WRITTEN + i, n);
		send(i)
	od
}

inline expect(port)
{
	assert(port == history[position]);
	/* What comes too early or twice could still be told, but has no place in the history. */
	assert(port < PORTS)
}

#define slot memory[SLOT + position % PORTS]

/* weir_event_next() until there is nothing, and the look at what each event is about */
inline take_events()
{
	do
	::
#ifdef NO_R2
		/* [R2] left out: the entry is read before the tail. */
		port = slot;
#endif
		if
		:: memory[TAIL] == position -> break /* [R2] */
		:: else
		fi;
#ifndef NO_R2
		port = slot;
#endif
#ifdef NO_R3
		/* [R3] left out: the entry is read when the head is given back. */
		store(GUEST, HEAD, position + 1);
		port = slot;
#else
		store_release(GUEST, HEAD, position + 1); /* [R3] */
#endif
		expect(port);
		position++;
#ifndef NO_R1
		full_barrier(GUEST); /* [R1] */
#endif
		seen[port] = memory[WRITTEN + port];
		port = 0
	od;
	port = 0
}

proctype guest()
{
	byte position, port, seen[PORTS];

	do
	:: seen[0] == SENDS_0 && seen[1] == SENDS_1 -> break
	:: else ->
		atomic {
			interrupt;
			interrupt = false
		}
		take_events()
	od
}

init
{
	atomic {
		memory[SLOT] = NOTHING;
		memory[SLOT + 1] = NOTHING;
		run visible(0);
		run visible(1);
		run visible(GUEST);
		run sender(0);
		run sender(1);
		run guest()
	}
}
