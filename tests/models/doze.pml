/*
 * Submission rings that fall asleep, and their communication core with them (ipc/comm.c, ipc/submit.c,
 * weir/submit.h): the guests of two rings put commands, and call where they see submit_wanted; the core takes
 * commands of rings that are awake, looks for a while at one that has none, or lets it fall asleep, and
 * sleeps itself (WFI) when none is awake, until it is kicked. No command is left behind.
 *
 * `awake` is changed by atomic accesses, which no buffer delays. An SGI stays until it is taken.
 */
#define CORES 3
#define COMM  2

#ifndef PUTS
#define PUTS 3
#endif

#define TAIL   0 /* of each ring */
#define WANTED 2
#define WORDS  4
#define DEPTH  3

#include "memory.pml"

bool awake[2];
bool kick; /* the SGI of the core */

/* --- Guests --- */

/* wake() */
inline wake(i)
{
	atomic {
		first = !awake[i];
		awake[i] = true
	}
	if
	:: first -> kick = true
	:: else /* the core looks at it before it sleeps */
	fi;
	first = false
}

proctype guest(byte i)
{
	byte n;
	bool first, wanted;

	do
	:: n == PUTS -> break
	:: else ->
		n++;
		store_release(i, TAIL + i, n);
#ifndef NO_W2
		full_barrier(i); /* [W2] */
#endif
		wanted = memory[WANTED + i];
		if
		:: wanted -> wake(i)
		:: else
		fi;
		wanted = false
	od
}

/* --- The core --- */

/* submit_drain() */
inline drain(i)
{
	head[i] = memory[TAIL + i];
	if
	:: asleep[i] ->
		asleep[i] = false;
		store(COMM, WANTED + i, false)
	:: else
	fi
}

/* doze() and submit_sleep() */
inline doze(i)
{
#ifndef NO_Z1
	awake[i] = false; /* [Z1] */
#endif
	asleep[i] = true;
	store(COMM, WANTED + i, true);
#ifndef NO_A2
	full_barrier(COMM); /* [A2] */
#endif
	if
	:: memory[TAIL + i] != head[i] ->
		asleep[i] = false;
		store(COMM, WANTED + i, false);
		awake[i] = true
	:: else
#ifdef NO_Z1
		;
		awake[i] = false /* [Z1] left out: the ring is asleep, and only then not awake. */
#endif
	fi
}

/* One that has no command is looked at again, for as long as it likes. */
inline look(i)
{
	if
	:: awake[i] && memory[TAIL + i] != head[i] -> drain(i)
	:: awake[i] && memory[TAIL + i] == head[i] -> doze(i)
	:: true
	fi
}

#define all_taken (head[0] == PUTS && head[1] == PUTS)

proctype here()
{
	byte head[2];
	bool asleep[2];

	asleep[0] = true;
	asleep[1] = true;
turn:	if
	:: all_taken -> goto over
	:: kick -> kick = false /* irq_handle() */
	:: awake[0] -> look(0)
	:: awake[1] -> look(1)
	:: !awake[0] && !awake[1] && !all_taken -> /* rest(), and WFI */
		kick -> kick = false
	fi;
	goto turn;
over:
}

init
{
	atomic {
		memory[WANTED] = true;
		memory[WANTED + 1] = true;
		run visible(0);
		run visible(1);
		run visible(COMM);
		run guest(0);
		run guest(1);
		run here()
	}
}
