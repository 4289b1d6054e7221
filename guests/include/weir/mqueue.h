/*
 * Message queues: an inbox takes messages of many senders, in many VMs; every VM may have inboxes and be a
 * sender to others.
 *
 *	static struct weir_lane lanes[8];		static struct weir_sender sender;
 *	static struct weir_inbox inbox;
 *
 *	inbox_make(&inbox, lanes, 8);			sender_join(&sender, "vm/name");
 *	inbox_offer(&inbox, "name");			weir_sender_send(&sender, "hello", 5);
 *	weir_inbox_receive(&inbox, buffer,
 *		sizeof(buffer), &bytes, &lane);
 *
 * (inbox_make() and the like are what guests/lib makes for tasks of the calls of this header.) The place of a queue is
 * published in the store (service.h), where senders find it by its name; or a lane is on a channel of the manifest:
 * weir_inbox_add() and weir_sender_open(), without the store.
 *
 * Each sender has a *lane*: a channel (channel.h) whose ring is in pages that the sender shares read-only. So
 * no sender can damage another's messages, and each pays for its own. The inbox's side of the channel is
 * for answers, by weir_lane_answer() and weir_sender_answer().
 *
 * Protocol. The first record of a lane is struct weir_mqueue_hello; each one behind it is a message, with
 * tag 0. All else is that of channel.h.
 *
 * Order: the messages of one sender arrive in the order in which they were sent. Between senders the inbox
 * takes turns: up to `bound` messages of one, then of the next that has any. A sender is urgent or not, which
 * it says in its hello; who sends both has two. The turns of urgent senders come first, but after
 * WEIR_INBOX_URGENT_TURNS of them another one has a turn, if it has messages.
 *
 * What a message costs the receiver depends neither on lanes that are idle nor on those that wait for their
 * turn: an idle lane is armed, and its port's event names it. So the guest's handler of events calls
 * weir_lane_event() for events of a lane's port, on whatever vCPU.
 *
 * Comes and goes. A sender that ends, closes or is restarted ends its lane; so does one that writes nonsense,
 * or a message that is larger than the receiver's buffer: its messages that were not received are lost, and
 * other lanes are as they were. Its next life is another session: lane->session is never the same. If the
 * receiver ends, or its inbox is closed, senders get WEIR_CLOSED, and open again. Who has sent its last message
 * waits by weir_sender_drain() before it closes.
 *
 * Errors:
 *   WEIR_AGAIN:   `try` only: no message (receive), no room (send, answer), the other side is not there (open).
 *   WEIR_CLOSED:  send: the session has ended, or never was, for more pages are shared than the inbox lets a lane
 *		   have (window_pages); what was not received is lost. Open it again.
 *   WEIR_TIMEOUT: the deadline (inbox->deadline, sender->channel.deadline) has passed; all is as before.
 *   WEIR_INVALID: send: the message is larger than weir_channel_max(); open: the name, or ring_pages.
 *   WEIR_QUOTA:   add: the inbox has no free lane; add, open: pool or window have too few pages left.
 *   WEIR_NOT_FOUND, WEIR_BUSY: open, add: as channel.h.
 *
 * Waiting. `wait` of the inbox sleeps; it may return at any time, but must not sleep when an event of a
 * lane's port came after weir_inbox_idle() was true. Without one the vCPU sleeps by WFI with interrupts masked.
 * guests/lib has all of it for tasks. Who offers or joins by name has a port of kind WEIR_PORT_STORE, whose events are
 * weir_inbox_store_event() for each inbox, and another step of each sender that joins.
 *
 * Contexts: an inbox is one task's, or under one lock; so is a sender; weir_lane_event() is for handlers at any time.
 * Tests: tests/host/test_mqueue.c, test_mqueue_named.c, test_mqueue_random.c, test_mqueue_gaps.c,
 * tests/guest/mqueue.c. Since ABI 1.
 */
#pragma once

#include <weir/mqueue_inbox.h>
#include <weir/mqueue_sender.h>
