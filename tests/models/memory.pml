/*
 * Memory as cores of the ARM architecture see it, for the models beside this file: each core has a
 * buffer of stores that others do not see yet. They leave it in any order, but those to one word in
 * theirs, and a store-release behind all that were before it. The core itself goes on meanwhile, and
 * loads what memory holds. So a store is seen later than the core's own later loads and stores,
 * which is all that TSO allows, and more. What the architecture allows a *load* beyond that (to be
 * done before an earlier load, or behind a later store) the models write out, at each place where
 * the code promises that it does not happen.
 *
 * What a core loads of its own stores is own(), for buffers of up to three; memory[] is for words that
 * are not in its buffer: others', or those that it reads under the lock under which it wrote them.
 *
 * The model defines before: CORES, WORDS, DEPTH (stores of a buffer; a core waits if it is full).
 */
typedef store_of {
	byte word;
	byte value;
	bool ordered
}

typedef buffer {
	store_of entry[DEPTH];
	byte count;
	byte releases
}

byte memory[WORDS];
buffer core[CORES];

inline store_any(c, w, v, r)
{
	atomic {
		core[c].count < DEPTH;
		core[c].entry[core[c].count].word = w;
		core[c].entry[core[c].count].value = v;
		core[c].entry[core[c].count].ordered = r;
		core[c].releases = core[c].releases + r;
		core[c].count++
	}
}

#define store(c, w, v)	       store_any(c, w, v, 0)
#define store_release(c, w, v) store_any(c, w, v, 1)

/* What a core itself loads of a word that it may have stored. */
#define in_buffer(c, i, w) (core[c].count > i && core[c].entry[i].word == w)
#define own(c, w) (in_buffer(c, 2, w) -> core[c].entry[2].value : \
		  (in_buffer(c, 1, w) -> core[c].entry[1].value : \
		  (in_buffer(c, 0, w) -> core[c].entry[0].value : memory[w])))

/* dmb ish, or dsb: what was stored before is seen before anything behind. */
#define full_barrier(c) (core[c].count == 0)

/*
 * Locks. Taking one is an exclusive access, which the buffer does not delay, with acquire; giving it
 * back is a store-release. Load-acquire behind store-release in one core keeps that order (RCsc, ARM
 * DDI 0487 B2.3): whoever takes a lock has made its earlier releases seen. rcsc() says only that.
 */
#ifndef rcsc
#define rcsc(c) (core[c].releases == 0)
#endif
#define FREE  0
#define TAKEN 1
#define spin_lock(c, w) atomic { rcsc(c) && memory[w] == FREE; memory[w] = TAKEN } /* [L2] */
#ifndef UNLOCK_RELEASES
#define UNLOCK_RELEASES 1 /* [L1] */
#endif
#define spin_unlock(c, w) store_any(c, w, FREE, UNLOCK_RELEASES)

/* One store leaves the buffer; those behind it move up, and what is free is 0, so that states meet. */
inline leave(c, i)
{
	d_step {
		memory[core[c].entry[i].word] = core[c].entry[i].value;
		core[c].releases = core[c].releases - core[c].entry[i].ordered;
		core[c].count--;
		at = i;
		do
		:: at < core[c].count ->
			core[c].entry[at].word = core[c].entry[at + 1].word;
			core[c].entry[at].value = core[c].entry[at + 1].value;
			core[c].entry[at].ordered = core[c].entry[at + 1].ordered;
			at++
		:: else -> break
		od;
		core[c].entry[at].word = 0;
		core[c].entry[at].value = 0;
		core[c].entry[at].ordered = 0;
		at = 0
	}
}

#define other(c, i, j) (core[c].entry[i].word != core[c].entry[j].word)
#define plain(c, i)    (core[c].count > i && !core[c].entry[i].ordered)

/* Makes the stores of a core seen, at any time. */
proctype visible(byte c)
{
	byte at;
end:	do
	:: core[c].count > 0 -> leave(c, 0)
#if DEPTH > 1
	:: plain(c, 1) && other(c, 1, 0) -> leave(c, 1)
#endif
#if DEPTH > 2
	:: plain(c, 2) && other(c, 2, 0) && other(c, 2, 1) -> leave(c, 2)
#endif
#if DEPTH > 3
	:: plain(c, 3) && other(c, 3, 0) && other(c, 3, 1) && other(c, 3, 2) -> leave(c, 3)
#endif
#if DEPTH > 4
	:: plain(c, 4) && other(c, 4, 0) && other(c, 4, 1) && other(c, 4, 2) && other(c, 4, 3) ->
		leave(c, 4)
#endif
	od
}
