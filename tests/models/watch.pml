/*
 * Watches of the store (ipc/store_watch.c, weir/store.h): two VMs change nodes, a third one watches them and looks only
 * when its port has an event; one more vCPU of it asks now and then, and gives up when it likes. In the end it has seen
 * the last state of each node.
 *
 * What is done under the store's lock is one step here, and what the event does is in event.pml: this is about the
 * steps, not about memory. A call looks at one watch.
 */
#define WATCHES 2

#ifndef CHANGES
#define CHANGES 2
#endif
#ifndef STRAYS
#define STRAYS 2
#endif

byte version[WATCHES], seen[WATCHES];
bool fired[WATCHES];
bool tell, event;
byte search, quiet; /* of the VM that watches */

/* store_changed(), under the lock */
inline change(w)
{
	atomic {
		version[w]++;
		tell = tell || !fired[w];
		fired[w] = true
	}
}

/* take_some() */
inline take()
{
	atomic {
		mine = tell;
		tell = false;
#ifndef NO_N1
		quiet = (mine -> 0 : quiet); /* [N1] */
#endif
	}
}

proctype changer()
{
	byte n, w;
	bool mine;

	do
	:: n == CHANGES -> break
	:: else ->
		n++;
		if
		:: w = 0
		:: w = 1
		fi;
#ifdef NO_N2
		event = true; /* [N2] left out: the port before the node. */
		change(w);
		take();
#else
		change(w);
		take();
		if
		:: mine -> event = true /* [N2] */
		:: else
		fi;
#endif
		mine = false
	od
}

/* store_watch_next_call(): `found` is a watch, WATCHES: none so far; `over`: none at all. */
inline next()
{
	atomic {
		found = WATCHES;
		if
		:: quiet < WATCHES && fired[search] ->
			found = search;
#ifndef NO_N3
			fired[search] = false; /* [N3] */
#endif
			quiet = 0;
			search = 1 - search
		:: quiet < WATCHES && !fired[search] ->
			quiet++;
			search = 1 - search
		:: else
		fi;
		over = quiet >= WATCHES && found == WATCHES;
		quiet = (over -> 0 : quiet)
	}
}

/* The guest reads the node that it was told. */
inline look()
{
	if
	:: found < WATCHES ->
		seen[found] = version[found];
#ifdef NO_N3
		fired[found] = false /* [N3] left out: taken back when the node has been read. */
#endif
	:: else
	fi
}

proctype stray()
{
	byte n, found;
	bool over;

	do
	:: n == STRAYS -> break
	:: else -> n++; next(); look()
	od
}

proctype watcher()
{
	byte found;
	bool over;

	do
	:: event ->
		event = false;
		do
		:: next(); look();
			if
			:: over -> break
			:: else
			fi
		od
	:: timeout -> /* nobody does anything any more */
		assert(seen[0] == version[0] && seen[1] == version[1]);
		break
	od
}

init
{
	atomic {
		run changer();
		run changer();
		run stray();
		run watcher()
	}
}
