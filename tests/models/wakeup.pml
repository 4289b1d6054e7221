/*
 * Waking a vCPU (core/vdev/vgic.c, core/sched.c): two cores leave something for a vCPU and raise an
 * interrupt of it, while its own core runs it, lets another one run in its place, puts it to sleep
 * because its guest waits (WFI), idles, and chooses it again. The guest, who takes the interrupt, sees
 * what was left; it never waits, or runs on, without the interrupt that is its due.
 *
 * Small: SENDS_i interrupts by sender i; at BUSY moments the other vCPU of the core takes part.
 */
#define CORES 3
#define HERE  2

#ifndef SENDS_0
#define SENDS_0 2
#endif
#ifndef SENDS_1
#define SENDS_1 1
#endif
#define sends_of(i) (i == 0 -> SENDS_0 : SENDS_1)
#ifndef BUSY
#define BUSY 1
#endif

#define LEFT   0 /* a word of each sender */
#define INBOX  2
#define RUN    3
#define NEEDED 4
#define LOCK   5 /* the run queue's */
#define WORDS  6
#define DEPTH  3

#define BLOCKED 0
#define READY	1
#define RUNNING 2

#ifdef NO_L1
#define UNLOCK_RELEASES 0
#endif
#ifdef NO_L2
#define rcsc(c) true /* an acquire that may overtake a release: RCpc */
#endif

#include "memory.pml"

bool kick; /* the SGI of the vCPU's core */

/* gic_kick() */
inline gic_kick(me)
{
#ifndef NO_G1
	full_barrier(me); /* [G1] */
#endif
	kick = true
}

/* sched_wake(): READY if it is BLOCKED, and its core told */
inline wake(me)
{
	spin_lock(me, LOCK);
	if
	:: memory[RUN] == BLOCKED ->
		store(me, RUN, READY);
		store(me, NEEDED, true);
		spin_unlock(me, LOCK);
		if
		:: me != HERE -> gic_kick(me)
		:: else
		fi
	:: else -> spin_unlock(me, LOCK)
	fi
}

/* --- Senders --- */

/* vgic_raise_elsewhere() and sched_kick(). The atomic OR is in no buffer. */
inline raise(me)
{
#ifdef NO_K1
	run_seen = own(me, RUN); /* [K1] left out: `run` is read before the bit is set. */
#endif
#ifndef NO_V1
	full_barrier(me); /* [V1] */
#endif
	atomic {
		first = memory[INBOX] == 0;
		memory[INBOX] = 1
	}
	if
	:: first ->
#ifndef NO_K1
		full_barrier(me); /* [K1] */
		run_seen = memory[RUN];
#endif
		if
		:: run_seen == RUNNING -> gic_kick(me)
		:: run_seen == BLOCKED -> wake(me)
		:: run_seen == READY /* it looks when it is loaded */
		fi
	:: else /* who set it first has kicked, or is about to */
	fi;
	d_step {
		first = false;
		run_seen = 0
	}
}

proctype sender(byte i)
{
	byte n, run_seen;
	bool first;

	do
	:: n == sends_of(i) -> break
	:: else ->
		n++;
		store(i, LEFT + i, n);
		raise(i)
	od
}

/* --- The vCPU's core --- */

#ifdef NO_V2
/* [V2] left out: the guest's look is done before the inbox is taken. */
#define look_early() atomic { early[0] = memory[LEFT]; early[1] = memory[LEFT + 1] }
#define look()	     atomic { seen[0] = early[0]; seen[1] = early[1] }
#else
#define look_early() skip
#define look()	     atomic { seen[0] = memory[LEFT]; seen[1] = memory[LEFT + 1] }
#endif

/* drain() */
inline drain()
{
	look_early();
	atomic {
		if
		:: memory[INBOX] ->
			memory[INBOX] = 0; /* [V2] */
			latched = true
		:: else
		fi
	}
}

/* Before an interrupt is taken the guest may run, or wait, for as long as it likes. */
proctype here()
{
	bool loaded = true, latched, preempted, rival;
	byte busy = BUSY, seen[2], early[2];

guest:	if
	:: seen[0] == SENDS_0 && seen[1] == SENDS_1 -> goto over
	:: latched ->
		latched = false;
		look();
		goto guest
	:: else
	fi;
	if
	:: goto block /* WFI, trapped */
	:: true /* WFI that is not trapped; or the guest does not wait but computes */
	fi;
	if
	:: kick ->
		kick = false;
		drain(); /* vgic_sync() */
		if
		:: own(HERE, NEEDED) -> goto next
		:: else -> goto guest
		fi
	:: busy -> /* its time is over */
		busy--;
		preempted = true;
		goto next
	fi;

block:	/* sched_block() */
	spin_lock(HERE, LOCK);
	store(HERE, RUN, BLOCKED);
	store(HERE, NEEDED, true);
	spin_unlock(HERE, LOCK);
#ifndef NO_K2
	rcsc(HERE); /* [K2] */
#endif
	drain(); /* vgic_pending() */
	if
	:: latched -> wake(HERE)
	:: else
	fi;

next:	/* decide() */
	spin_lock(HERE, LOCK);
	store(HERE, NEEDED, false);
	if
	:: memory[RUN] == BLOCKED ->
		spin_unlock(HERE, LOCK);
		goto nobody
	:: memory[RUN] == RUNNING && !preempted ->
		spin_unlock(HERE, LOCK)
	:: memory[RUN] == RUNNING && preempted ->
		store(HERE, RUN, READY);
		spin_unlock(HERE, LOCK);
		preempted = false;
		rival = true;
		goto other
	:: memory[RUN] == READY ->
		store(HERE, RUN, RUNNING);
		spin_unlock(HERE, LOCK)
	:: memory[RUN] == READY && busy ->
		spin_unlock(HERE, LOCK);
		busy--;
		rival = true;
		goto other
	fi;
	if
	:: loaded -> /* look_again() */
#ifndef NO_K3
		rcsc(HERE); /* [K3] */
#endif
		drain()
	:: else -> /* load() */
		loaded = true;
#ifndef NO_K4
		rcsc(HERE); /* [K4] */
#endif
		drain()
	fi;
	if
	:: own(HERE, NEEDED) -> goto next
	:: else -> goto guest
	fi;

nobody: /* Idle, or the other one runs. */
	loaded = false;
	if
	:: own(HERE, NEEDED) -> goto next
	:: else
	fi;
	if
	:: kick ->
		kick = false;
		goto next
	:: busy ->
		busy--;
		goto other
	fi;

other:	loaded = false;
	if
	:: kick ->
		kick = false;
		if
		:: own(HERE, NEEDED) ->
			rival = false;
			goto next
		:: else -> goto other
		fi
	:: rival -> /* its time is over */
		rival = false;
		goto next
	fi;
over:	skip
}

init
{
	atomic {
		memory[RUN] = RUNNING;
		run visible(0);
		run visible(1);
		run visible(HERE);
		run sender(0);
		run sender(1);
		run here()
	}
}
