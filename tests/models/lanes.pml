/*
 * The lanes of a message queue (weir/mqueue.h, mqueue_turns.h): senders join an inbox by the store, send, and leave
 * when all was received, or end at any moment; one vCPU takes the events of their ports and of the store's, another
 * one receives, looks only at lanes that had events, and sleeps when there is no news. Who waits until its messages
 * were received does not wait for ever, who has joined gets a lane, and a lane whose sender has gone becomes free
 * for the next; each message is taken once, in order, as its sender's, and what an ended lane has become is none.
 *
 * Small: SENDERS senders, of MESSAGES messages (the hello is one), for LANES lanes; the first may end at any moment. What calls do is one step each,
 * under EL2's locks; a sender's next life is a sender here, since its port and its grant are other ones. That an event
 * interrupts is in wakeup.pml, the rest of the ring in ring.pml, and whose turn it is stands open.
 *
 * The lane's bit has no barrier of its own. What the event is about comes before it because [R1] does, and may be read
 * before the bit is taken: no lane is left before [C1], behind which its tail is read again, or without the calls of
 * a step of opening. So the first look at a tail is left out here: it may be as old as it likes.
 */
#ifndef SENDERS
#define SENDERS 2
#endif
#ifndef LANES
#define LANES 1
#endif
#ifndef MESSAGES
#define MESSAGES 1
#endif

#define CORES	 2
#define HANDLER	 0
#define RECEIVER 1
#define STORE	 SENDERS /* the store's port, behind those of the lanes */

#define TAIL   0
#define WANTED (TAIL + SENDERS)
#define LISTEN (WANTED + SENDERS) /* the lane of a port, counted from 1 */
#define HEAD   (LISTEN + SENDERS) /* the last event of each port that was taken */
#define DATA   (HEAD + SENDERS + 1)
#define WOKEN  (DATA + SENDERS * MESSAGES)
#define NEWS   (WOKEN + 1) /* woken_words */
#define WORDS  (NEWS + 1)
#define DEPTH  3

#define LANES_NEWS 1 /* of the one word of lanes */
#define STORE_NEWS 2

#include "memory.pml"

#define AWAY	0
#define WAITS	1 /* its node is in the store */
#define JOINED	2 /* its port has a peer */
#define SHARES	3 /* and the peer is told its pages */
#define GONE	4 /* they are zeroes */

/* EL2's own, under its locks. */
byte phase[SENDERS];
bool entered[SENDERS + 1]; /* the last event of each port: there is at most one more than was taken */

bool offered[SENDERS];
byte received[SENDERS];

#define message(i, n) ((i) * MESSAGES + (n))

/* --- Senders: what they store is seen at once, behind [P1] and [S1] --- */

inline send(port)
{
	atomic {
		if
		:: entered[port] == memory[HEAD + port] -> entered[port] = !entered[port]
		:: else
		fi
	}
}

inline write()
{
	d_step {
		tail++;
		memory[DATA + i * MESSAGES + tail - 1] = message(i, tail);
		memory[TAIL + i] = tail /* [P4], [P1] */
	}
	if
	:: memory[WANTED + i] == tail -> send(i)
	:: else
	fi
}

proctype sender(byte i)
{
	byte tail;

	atomic { phase[i] = WAITS; send(STORE) }
	if
	:: atomic { phase[i] == JOINED -> phase[i] = SHARES; send(i) }
		offered[i];
		do
		:: tail < MESSAGES -> write()
		:: tail == MESSAGES && received[i] == MESSAGES -> break /* weir_sender_drain() */
		:: i == 0 -> break /* it ends at any moment */
		od
	:: atomic { phase[i] == JOINED && i == 0 -> skip }
	fi;
	atomic { phase[i] = GONE; tail = 0; send(i) } /* Weir's, when the pages are zeroes */
}

/* --- Events: weir_lane_event() and weir_inbox_store_event(), on any vCPU --- */

/* The atomic ORs are in no buffer, and wait for none if they do not release. */
#define tell(w, bits) memory[w] = memory[w] | (bits)

inline lane_event(c, l)
{
#ifdef NO_I1
	/* [I1] left out: that there is news is seen before whose. */
	tell(NEWS, LANES_NEWS);
	tell(WOKEN, 1 << (l))
#else
	tell(WOKEN, 1 << (l));
	full_barrier(c); /* [I1] */
	tell(NEWS, LANES_NEWS)
#endif
}

inline handle(port)
{
#ifdef NO_R1
	atomic {
		taken[port] = !taken[port];
		store_release(HANDLER, HEAD + port, taken[port]) /* [R3] */
	}
	atomic {
#else
	atomic {
		taken[port] = !taken[port];
		memory[HEAD + port] = taken[port]; /* [R3], [R1]: seen before anything behind */
#endif
		if
		:: port == STORE -> tell(NEWS, STORE_NEWS)
		:: else ->
			lane = memory[LISTEN + (port % SENDERS)];
			if
			:: lane > 0 -> lane_event(HANDLER, lane - 1)
			:: else
			fi;
			lane = 0
		fi
	}
}

proctype handler()
{
	bool taken[SENDERS + 1];
	byte lane;

end:	do
	:: entered[0] != taken[0] -> handle(0)
	:: entered[1] != taken[1] -> handle(1)
	:: entered[2] != taken[2] -> handle(2)
#if SENDERS > 2
	:: entered[3] != taken[3] -> handle(3)
#endif
	od
}

/* --- The receiver --- */

#define free(l)	   (who[l] == 0)
#define peer(l)	   (who[l] - 1)
#define intact(l)  (phase[peer(l)] == SHARES)
#define view(l, w) (intact(l) -> memory[w] : 0)

inline end_lane(l)
{
	memory[LISTEN + peer(l)] = 0;
	who[l] = 0;
	open[l] = false;
	queued[l] = false;
	position[l] = 0;
	tail[l] = 0;
	tell(NEWS, STORE_NEWS)
}

/* weir_inbox_accept() for one */
inline accept_one(i, l)
{
	phase[i] = JOINED;
	who[l] = i + 1;
	store(RECEIVER, LISTEN + i, l + 1);
	lane_event(RECEIVER, l)
}

#define free_lane (free(0) -> 0 : LANES - 1)
#define any_free  (free(0) || free(LANES - 1))

inline accept()
{
	do
	:: any_free && phase[0] == WAITS -> at = free_lane; accept_one(0, at)
	:: any_free && phase[1] == WAITS -> at = free_lane; accept_one(1, at)
#if SENDERS > 2
	:: any_free && phase[2] == WAITS -> at = free_lane; accept_one(2, at)
#endif
	:: else -> break
	od;
	at = 0
}

/* weir_lane_look(), with weir_lane_step() */
inline look_at(l)
{
	if
	:: free(l)
	:: !free(l) && open[l] -> queued[l] = true
	:: !free(l) && !open[l] ->
		offered[peer(l)] = true;
		if
		:: phase[peer(l)] == SHARES ->
			d_step {
				open[l] = true;
				queued[l] = true
			}
		:: phase[peer(l)] == JOINED
		:: phase[peer(l)] == GONE -> end_lane(l)
		fi
	fi
}

inline take(w, bits)
{
	d_step {
		bits = memory[w];
		memory[w] = 0
	}
}

inline look()
{
#ifdef NO_I2
	/*
	 * [I2] left out: the word is taken before its bit, which C allows. (The architecture does not, as long as
	 * the compiler keeps the branch between the two.)
	 */
	if
	:: memory[NEWS] & LANES_NEWS -> take(WOKEN, lanes)
	:: else
	fi;
	take(NEWS, words);
#else
	take(NEWS, words); /* [I2] */
#endif
	atomic {
		if
		:: words & STORE_NEWS -> accept()
		:: else
		fi
	}
#ifndef NO_I2
	atomic {
		if
		:: words & LANES_NEWS -> take(WOKEN, lanes)
		:: else
		fi
	}
#endif
	atomic {
		words = 0;
		if
		:: lanes & 1 -> look_at(0)
		:: else
		fi;
#if LANES > 1
		if
		:: lanes & 2 -> look_at(1)
		:: else
		fi;
#endif
		lanes = 0
	}
}

/* A record of those that its tail announces. */
inline read(l)
{
#ifdef NO_H1
	/* [H1] left out: that the pages are there is seen before what they hold. */
	there = intact(l);
	record = view(l, DATA + peer(l) * MESSAGES + position[l]);
#else
	record = view(l, DATA + peer(l) * MESSAGES + position[l]);
	there = intact(l); /* [H1] */
#endif
	atomic {
		if
		:: there ->
			received[peer(l)]++;
			assert(record == message(peer(l), received[peer(l)]));
			position[l]++
		:: else -> end_lane(l)
		fi;
		there = false;
		record = 0
	}
}

/* weir_inbox_pause() */
inline pause(l)
{
#ifdef NO_C1
	store(RECEIVER, WANTED + peer(l), position[l] + 1);
#else
	memory[WANTED + peer(l)] = position[l] + 1; /* [C1]: seen before anything behind */
#endif
	atomic {
		record = view(l, TAIL + peer(l));
		if
		:: record > position[l] -> tail[l] = record
		:: record == position[l] && intact(l) -> queued[l] = false
		:: else -> end_lane(l)
		fi;
		record = 0
	}
}

inline receive(l)
{
	if
	:: position[l] < tail[l] -> read(l)
	:: else -> pause(l)
	fi
}

#if SENDERS > 2
#define all_gone (phase[0] == GONE && phase[1] == GONE && phase[2] == GONE)
#else
#define all_gone (phase[0] == GONE && phase[1] == GONE)
#endif

/* It sleeps where it can do none of this: weir_inbox_idle() is true. */
proctype receiver()
{
	byte who[LANES], position[LANES], tail[LANES], words, lanes, record, at;
	bool open[LANES], queued[LANES], there;

	do
	:: queued[0] -> receive(0)
#if LANES > 1
	:: queued[1] -> receive(1)
#endif
	:: memory[NEWS] != 0 -> look()
	:: all_gone && free(0) && free(LANES - 1) && memory[NEWS] == 0 -> break
	od
}

init
{
	atomic {
#ifdef NO_R1
		run visible(HANDLER);
#endif
		run visible(RECEIVER);
		run sender(0);
		run sender(1);
#if SENDERS > 2
		run sender(2);
#endif
		run handler();
		run receiver()
	}
}
