/*
 * A link: two rings and a port between a front end and the back end, by nothing but ports, grants and rings.
 *
 * Each side shares the page that it consumes with, and its ring behind it, read-only, and publishes the grant. A
 * session is a pair of grants. It ends when a side revokes its own, as Weir does when the VM ends: then the other
 * side reads zeroes.
 */
#pragma once

#include "guests/kv/kv.h"

#define LINK_PAGES 2u /* the consumer's page, and a ring */
#define RING_BYTES ((LINK_PAGES - 1) * PAGE_SIZE)

struct link {
	weir_handle port;
	uint32_t number;	       /* which of its VM: where its pages are */
	weir_handle grant, peer_grant; /* 0: not there */
	struct weir_ring_producer out;
	struct weir_ring_consumer in;
};

static inline uint8_t *link_own(const struct link *link)
{
	return weir_region(WEIR_REGION_POOL).base + link->number * LINK_PAGES * PAGE_SIZE;
}

static inline uint8_t *link_peer(const struct link *link)
{
	return weir_region(WEIR_REGION_WINDOW).base + link->number * LINK_PAGES * PAGE_SIZE;
}

static inline void link_unmap(struct link *link)
{
	if (link->peer_grant)
		weir_grant_unmap(link->number * LINK_PAGES);
	link->peer_grant = 0;
}

/* The other side, if it is still there, sees zeroes from here on. */
static inline void link_drop(struct link *link)
{
	if (link->grant)
		weir_grant_revoke(link->grant);
	link->grant = 0;
	link_unmap(link);
}

/* Our pages, as new, under a new grant. WEIR_CLOSED: the other side is off. */
static inline enum weir_status link_offer(struct link *link)
{
	uint8_t *own = link_own(link);

	memset(own, 0, PAGE_SIZE);
	weir_ring_producer_init(&link->out, own + PAGE_SIZE, RING_BYTES);
	return weir_grant_share(link->port, link->number * LINK_PAGES, LINK_PAGES, WEIR_READ,
				&link->grant);
}

static inline enum weir_status link_attach(struct link *link, weir_handle grant)
{
	uint32_t pages = 0;
	enum weir_status status =
		weir_grant_map(link->port, grant, link->number * LINK_PAGES, &pages, NULL);

	if (status != WEIR_OK)
		return status;
	link->peer_grant = grant;
	if (pages != LINK_PAGES)
		return WEIR_CLOSED;
	weir_ring_producer_connect(&link->out, link_peer(link));
	return weir_ring_consumer_init(&link->in, link_own(link), link_peer(link) + PAGE_SIZE,
				       RING_BYTES);
}

static inline weir_handle link_word(const struct link *link)
{
	uint64_t word = 0;

	weir_port_peer(link->port, &word, NULL);
	return word;
}

/* The session is as it was. */
static inline bool link_intact(struct link *link)
{
	return link->peer_grant && weir_ring_confirm(&link->in) == WEIR_OK;
}

static inline enum weir_status link_try_send(struct link *link, const void *data, uint64_t bytes)
{
	enum weir_status status = weir_ring_write(&link->out, data, bytes, 0);

	if (status == WEIR_OK && weir_ring_publish(&link->out))
		return weir_event_send(link->port);
	return status;
}

/* Everything but a whole record of this size ends the session. */
static inline enum weir_status link_try_receive(struct link *link, void *data, uint64_t bytes)
{
	uint32_t got = 0, tag;
	enum weir_status status = weir_ring_read(&link->in, data, bytes, &got, &tag);

	if (status == WEIR_AGAIN)
		return status;
	if (status != WEIR_OK || got != bytes || weir_ring_confirm(&link->in) != WEIR_OK)
		return WEIR_CLOSED;
	if (weir_ring_release(&link->in))
		weir_event_send(link->port);
	return WEIR_OK;
}
