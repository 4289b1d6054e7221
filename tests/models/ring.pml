/*
 * The bulk ring (guests/include/weir/ring.h): one producer, one consumer, each sleeps when it can do
 * nothing and is woken only by the other's kick. Every record arrives once, whole and in order, and
 * neither sleeps for ever.
 *
 * Small: RECORDS records through SIZE units of data, each of one or two units, so that they wrap, with
 * padding and without. Positions count units. A side publishes or releases after a record, or not
 * until it has to. All of that in every combination.
 */
#define CORES 2
#define PRODUCER 0
#define CONSUMER 1

#ifndef SIZE
#define SIZE 3
#endif
#ifndef RECORDS
#define RECORDS 4
#endif

#define TAIL	     0
#define HEAD	     1
#define DATA_WANTED  2
#define SPACE_WANTED 3
#define DATA	     4
#define WORDS	     (DATA + SIZE)
#define DEPTH	     4

#include "memory.pml"

/* What is in each unit of record n. */
#define unit_of(n, units) ((n) * 4 + (units))
#define units_of(unit)	  ((unit) % 4)
#define PADDING		  255

bool kicked[CORES]; /* An event that was sent; event.pml shows that it is seen. */

/* Without [P3] the producer writes before it knows that there is room. If there was none this is no
 * run of the program, and nothing counts in it. */
bool guessing, wrong, void_run;

inline kick(me, whom)
{
	full_barrier(me); /* [S1] of the send */
	kicked[whom] = true
}

inline sleep(me)
{
	atomic {
		kicked[me] || void_run;
		kicked[me] = false
	}
}

/* --- Producer --- */

#define to_end (SIZE - position % SIZE)
#define need   (units <= to_end -> units : to_end + units)
#define room   (need <= SIZE - (position - head))

inline publish()
{
	if
	:: published != position ->
		before = published;
		published = position;
#ifdef NO_P4
		store(PRODUCER, TAIL, position);
#else
		store_release(PRODUCER, TAIL, position); /* [P4] */
#endif
#ifndef NO_P1
		full_barrier(PRODUCER); /* [P1] */
#endif
		if
		:: before < memory[DATA_WANTED] && memory[DATA_WANTED] <= position ->
			kick(PRODUCER, CONSUMER)
		:: else
		fi;
		before = 0
	:: else
	fi
}

inline see_head()
{
	d_step {
		head = memory[HEAD];
		assert(head <= published)
	}
}

inline write()
{
	store(PRODUCER, DATA + position % SIZE, unit_of(n, units));
	if
	:: units == 2 -> store(PRODUCER, DATA + (position + 1) % SIZE, unit_of(n, units))
	:: else
	fi
}

proctype producer()
{
	byte n = 1, units, position, published, head, before, wanted;

	do
	:: n > RECORDS -> break
	:: else ->
		select(units : 1 .. 2);
		do
		:: room -> break
		:: else ->
#ifdef NO_P3
			/* [P3] left out: the writes before the head is read. */
			if
			:: need == units ->
				guessing = true;
				write();
				see_head();
				if
				:: room ->
					atomic { assert(!wrong); guessing = false }
				:: else ->
					void_run = true;
					goto over
				fi;
				break
			:: true
			fi;
#endif
			see_head(); /* [P3] */
			if
			:: room -> break
			:: else
			fi;
			publish();
			wanted = position + need - SIZE;
			store(PRODUCER, SPACE_WANTED, wanted);
#ifndef NO_P2
			full_barrier(PRODUCER); /* [P2] */
#endif
			see_head();
			if
			:: head < wanted -> sleep(PRODUCER)
			:: else
			fi;
			wanted = 0
		od;
		if
		:: need != units ->
			store(PRODUCER, DATA + position % SIZE, PADDING);
			position = position + to_end
		:: else
		fi;
		write();
		position = position + units;
		n++;
		if
		:: publish()
		:: n <= RECORDS
		fi
	od;
over:	skip
}

/* --- Consumer --- */

inline release()
{
	if
	:: released != position ->
		before = released;
		released = position;
#ifdef NO_C3
		store(CONSUMER, HEAD, position);
#else
		store_release(CONSUMER, HEAD, position); /* [C3] */
#endif
#ifndef NO_C2
		full_barrier(CONSUMER); /* [C2] */
#endif
		if
		:: before < memory[SPACE_WANTED] && memory[SPACE_WANTED] <= position ->
			kick(CONSUMER, PRODUCER)
		:: else
		fi;
		before = 0
	:: else
	fi
}

inline see_tail()
{
	d_step {
		tail = memory[TAIL];
		assert(tail >= position && tail - released <= SIZE)
	}
}

#define word(i) memory[DATA + (position + (i)) % SIZE]

/* What is not the record that has to come is an error, unless the producer has only guessed. */
inline expect(is, units)
{
	if
	:: (is) == unit_of(n, units)
	:: else ->
		assert(guessing);
		wrong = true
	fi
}

proctype consumer()
{
	byte n = 1, units, position, released, tail, before, first;

	do
	:: n > RECORDS || void_run -> break
	:: else ->
#ifdef NO_C4
		/* [C4] left out: what the tail announces is read before the tail. */
		first = word(0);
#endif
		if
		:: position == tail -> see_tail() /* [C4] */
		:: else
		fi;
		if
		:: position == tail ->
			release();
			store(CONSUMER, DATA_WANTED, position + 1);
#ifndef NO_C1
			full_barrier(CONSUMER); /* [C1] */
#endif
			see_tail();
			if
			:: position == tail -> sleep(CONSUMER)
			:: else
			fi
		:: else ->
#ifndef NO_C4
			first = word(0);
#endif
			if
			:: first == PADDING -> position = position + to_end
			:: else ->
#ifdef NO_C3
				/* [C3] left out: the record is read when the head is given back. */
				units = units_of(first);
				position = position + units;
				release();
				expect(memory[DATA + (position - units) % SIZE], units);
#else
				units = units_of(first);
				expect(first, units);
				if
				:: units == 2 -> expect(word(1), units)
				:: else
				fi;
				position = position + units;
				if
				:: release()
				:: true
				fi;
#endif
				n++
			fi;
			first = 0;
			units = 0
		fi
	od
}

init
{
	atomic {
		run visible(PRODUCER);
		run visible(CONSUMER);
		run producer();
		run consumer()
	}
}
