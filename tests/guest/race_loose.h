/*
 * The port of event_race.c that comes and goes: one end opens it and tells the other the handle on a channel of
 * the manifest, the other connects, and either closes it, the other then too, when an event has told it.
 *
 * Weir knows what was published and whether the peer is there; this end may know it by events only. So what it
 * knows is compared with Weir's word in between.
 */
#pragma once

#include <guest.h>
#include "tests/guest/tap.h"

struct loose {
	bool opens;	   /* this end does */
	weir_handle offer; /* the channel on which the handle is told */
	weir_handle port;  /* 0: there is none */
	bool joined; /* the other end is or was there: it connected to this one, or a send arrived */
	bool masked;
	weir_handle taken;  /* what was connected to last */
	uint64_t published; /* counts over all lives of the port */
	uint64_t connects, closes, late;
	/* By events. */
	uint64_t offered, seen;
	bool known, gone; /* an event has come; the other end was closed then */
};

static struct loose loose;

static void loose_event(weir_handle port, void *arg)
{
	uint64_t word = 0;
	bool open = false;

	(void)arg;
	if (port != loose.port)
		return; /* it was closed with this event unread */
	CHECK_IS(weir_port_peer(port, &word, &open), WEIR_OK);
	SHARED_WRITE(loose.seen, word);
	SHARED_WRITE(loose.known, true);
	if (!open)
		SHARED_WRITE(loose.gone, true);
}

static void loose_offer_event(weir_handle port, void *arg)
{
	uint64_t word = 0;

	(void)arg;
	CHECK_IS(weir_port_peer(port, &word, NULL), WEIR_OK);
	SHARED_WRITE(loose.offered, word);
}

static void loose_start(bool opens)
{
	loose.opens = opens;
	CHECK_IS(weir_port_find(weir_here(), "offer", &loose.offer), WEIR_OK);
	event_handle(loose.offer, loose_offer_event, NULL);
	loose_offer_event(loose.offer, NULL); /* it may have come before */
}

/* The first event may come as soon as there is a port. `make` says how it is made. */
static void loose_make(enum weir_status (*make)(weir_handle *port))
{
	uint64_t flags = irq_save();
	weir_handle port = 0;
	enum weir_status status = make(&port);

	CHECK(status == WEIR_OK || status == WEIR_QUOTA || status == WEIR_STALE);
	loose.late += status == WEIR_STALE;
	if (status == WEIR_OK) {
		loose.port = port;
		loose.seen = 0;
		loose.joined = !loose.opens;
		loose.masked = loose.known = loose.gone = false;
		event_handle(port, loose_event, NULL);
	}
	irq_restore(flags);
}

static enum weir_status loose_open(weir_handle *port)
{
	return weir_port_open_peer(loose.offer, port);
}

static enum weir_status loose_connect(weir_handle *port)
{
	loose.taken = SHARED_READ(loose.offered);
	return weir_port_connect(loose.offer, loose.taken, port);
}

static void loose_close(void)
{
	weir_handle port = loose.port;

	loose.port = 0;
	loose.closes++;
	CHECK_IS(weir_port_close(port), WEIR_OK);
	CHECK_IS(weir_event_send(port), WEIR_STALE);
}

/* The next step in the port's life. One that is not joined yet is closed only if `also_early`. */
static void loose_step(bool also_early)
{
	if (loose.port) {
		if (!loose.opens || SHARED_READ(loose.known) || also_early)
			loose_close();
	} else if (loose.opens) {
		loose_make(loose_open);
		if (loose.port)
			CHECK_IS(weir_port_publish(loose.offer, loose.port), WEIR_OK);
	} else if (SHARED_READ(loose.offered) != loose.taken) {
		loose_make(loose_connect);
		loose.connects += loose.port != 0;
	}
}

static void loose_send(void)
{
	enum weir_status status;

	if (!loose.port)
		return;
	status = weir_port_publish(loose.port, ++loose.published);
	CHECK(status == WEIR_OK || status == WEIR_CLOSED);
	loose.joined |= status == WEIR_OK;
}

static void loose_mask(bool masked)
{
	if (!loose.port || loose.masked == masked)
		return;
	loose.masked = masked;
	CHECK_IS(weir_port_mask(loose.port, masked), WEIR_OK);
}

/* What Weir says must have been told by events, or be told now. */
static void loose_settle(void)
{
	uint64_t word = 0, deadline = timer_now() + timer_ticks(WAIT_NS);
	bool open = false;

	if (!loose.port)
		return;
	loose_mask(false);
	CHECK_IS(weir_port_peer(loose.port, &word, &open), WEIR_OK);
	loose.joined |= open || word;
	while ((loose.joined && loose.opens && !SHARED_READ(loose.known)) ||
	       SHARED_READ(loose.seen) < word ||
	       (loose.joined && !open && !SHARED_READ(loose.gone))) {
		CHECK(timer_now() < deadline);
		if (tap_failure.line)
			return;
		task_sleep(100000);
	}
	if (SHARED_READ(loose.gone))
		loose_close();
}
