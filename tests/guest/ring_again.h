/*
 * What ring_again.c and ring_again_peer.c send each other. In each life of the peer there is a ring, in
 * turn in one and the other direction, and its records are numbered from 0: the number is the tag, and
 * says, with the life, how long the record is and what is in it.
 *
 * The channel "ring" carries the grants, "control" the life that it is, and back that it has come
 * to an end, or the line of the peer's first check that failed.
 */
#pragma once

#include <weir/ring.h>
#include "tests/guest/peer.h"
#include "tests/guest/tap.h"

#define RING_PAGES   4u
#define RING_BYTES   (RING_PAGES * PAGE_SIZE)
#define RECORD_BYTES 1500u
#define FAILED	     (1ull << 63)
#define LAST_LIFE    (1ull << 62)

static weir_handle control, link;
static struct region pool, window;

static inline uint32_t record_bytes(uint64_t life, uint32_t number)
{
	return (number * 2654435761u >> 7 ^ (uint32_t)life * 977) % (RECORD_BYTES + 1);
}

/* The producer dies behind this many, in the midst of one; the consumer, which does so too, before. */
static inline uint32_t records_of(uint64_t life)
{
	return 100 + (uint32_t)(life * 37 % 100);
}

static inline uint8_t content_byte(uint64_t life, uint32_t number, uint32_t at)
{
	return (uint8_t)(life * 7 + number * 3 + at + 1);
}

static inline void fill_record(uint8_t *data, uint64_t life, uint32_t number, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		data[i] = content_byte(life, number, i);
}

static inline bool is_record(const uint8_t *data, uint64_t life, uint32_t number, uint32_t bytes)
{
	bool right = bytes == record_bytes(life, number);

	for (uint32_t i = 0; i < bytes; i++)
		right &= data[i] == content_byte(life, number, i);
	return right;
}

static inline bool find_channels(void)
{
	pool = weir_region(WEIR_REGION_POOL);
	window = weir_region(WEIR_REGION_WINDOW);
	return weir_port_find(weir_here(), "control", &control) == WEIR_OK &&
	       weir_port_find(weir_here(), "ring", &link) == WEIR_OK;
}

/* Is the peer still the one that published this grant? Else its life is over. */
static inline bool is_there(weir_handle grant)
{
	return is_open(link) && word_of(link) == grant;
}

static inline void kick(bool needed)
{
	if (needed)
		weir_event_send(link);
}

/* Sleeps until there is something to do; WEIR_CLOSED: the peer's life is over. */
static inline enum weir_status sleep_for(enum weir_status armed, weir_handle grant)
{
	if (armed == WEIR_OK)
		return WEIR_OK;
	if (armed != WEIR_AGAIN || !is_there(grant))
		return WEIR_CLOSED;
	event_wait(link, timer_now() + timer_ticks(WAIT_NS));
	return is_there(grant) ? WEIR_OK : WEIR_CLOSED;
}

static inline enum weir_status write_record(struct weir_ring_producer *ring, uint64_t life,
					    uint32_t number, weir_handle grant)
{
	uint32_t bytes = record_bytes(life, number);
	enum weir_status status;
	void *data;

	while ((status = weir_ring_reserve(ring, bytes, &data)) == WEIR_AGAIN) {
		kick(weir_ring_publish(ring));
		status = sleep_for(weir_ring_arm_write(ring, bytes), grant);
		if (status != WEIR_OK)
			break;
	}
	if (status != WEIR_OK)
		return status;
	fill_record((uint8_t *)data, life, number, bytes);
	return weir_ring_commit(ring, bytes, number);
}

/* Of WEIR_OK the record is whole: nobody died while it was read. */
static inline enum weir_status read_record(struct weir_ring_consumer *ring, uint8_t *buffer,
					   uint32_t *bytes, uint32_t *number, weir_handle grant)
{
	enum weir_status status;

	while ((status = weir_ring_read(ring, buffer, RECORD_BYTES, bytes, number)) == WEIR_AGAIN) {
		kick(weir_ring_release(ring));
		status = sleep_for(weir_ring_arm_read(ring), grant);
		if (status != WEIR_OK)
			break;
	}
	return status == WEIR_OK ? weir_ring_confirm(ring) : status;
}
