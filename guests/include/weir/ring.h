/*
 * The bulk ring: a stream of records from one producer to one consumer, through shared pages.
 *
 * It makes no hypercall: how the pages are shared (grant.h) and how the other side is woken
 * (event.h) is the caller's. Each side trusts the other with nothing but its own data.
 *
 * Pages, and who writes them:
 *   producer's pages: one or more, the producer writes, the consumer has them read-only: struct
 *	weir_ring_shared_producer, then the data up to the end of the last page.
 *   consumer's page: the consumer writes, the producer has it read-only: struct
 *	weir_ring_shared_consumer.
 *
 * Positions are counts of data bytes since the start, 64 bits, and do not wrap; 8-byte aligned. The
 * data holds records one after the other, none of them broken by the end: what does not fit before
 * it is filled by a padding record. A record is 8-byte aligned:
 *   u32  WEIR_RING_RECORD | bytes of content, or WEIR_RING_PADDING | bytes up to the end of the data
 *   u32  tag: the caller's, the ring does not look at it
 *   the content, then up to 7 bytes without meaning
 * So a page of zeroes (a grant that was revoked) holds no record.
 *
 * Wake-ups, event-index style. Who is about to sleep *arms*: it writes into its own page the position
 * at which it wants to be woken, and looks once more. Who moves its position past that one is told
 * ("kick"), and sends an event. A side that does not sleep is not woken.
 *
 * Errors:
 *   WEIR_AGAIN:   full (producer) or empty (consumer): arm, and sleep until the peer's kick.
 *   WEIR_INVALID: a record larger than a quarter of the data (weir_ring_max); on read, the caller's
 *		   buffer is too small, and the record stays.
 *   WEIR_CLOSED:  the peer wrote a position or length that cannot be, or revoked its pages. The
 *		   ring stays closed: all further calls answer this.
 * What is used of the peer's words is checked in the very copy that is used; no address outside of the
 * ring's pages is ever formed from one. What is *peeked* may change under the reader's eyes; read
 * copies out, and reads nothing twice.
 *
 * Producer: weir_ring_write, or weir_ring_reserve, fill in, weir_ring_commit, as often as there is
 * room; then weir_ring_publish. Consumer: weir_ring_read, or weir_ring_peek and weir_ring_skip, as
 * often as there are records; then weir_ring_release. Publish and release have a full barrier each: the
 * fewer, the faster. weir_ring_write_batch and weir_ring_read_batch are for many records of one size.
 * Sizes that the compiler knows (sizeof) are fastest; copies of 32, 64 and 96 bytes are inlined.
 *
 * Set up again: a ring that is closed, or whose peer began anew, is of no use any more. (That a peer has
 * gone, its port tells for certain; the ring only where its zeroes contradict what was seen before.)
 * Whoever is still there calls its init again and then tells the peer, by the port's word for example:
 * the producer weir_ring_producer_init, and weir_ring_producer_connect when the new consumer's page is
 * there; the consumer weir_ring_consumer_init, when the new producer's pages are. Records that were not
 * released by then are lost. When a producer goes away, what was read last may be torn: ask
 * weir_ring_confirm where that matters.
 *
 * Contexts: each side's functions are called by one task, or under one lock, of that side.
 * Tests: tests/host/test_ring*.c, tests/guest/ring_again.c. Since ABI 1.
 */
#pragma once

#include <weir/ring_consumer.h>
#include <weir/ring_producer.h>
