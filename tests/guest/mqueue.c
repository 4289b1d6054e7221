/*
 * An inbox of eight senders in four VMs, two of which are restarted in the middle (mqueue_sender.c). Those have no
 * channel: they find the inbox by its name.
 */
#include <weir/manage.h>
#include "tests/guest/mqueue.h"
#include "tests/guest/tap.h"

#define LIVES	     24u
#define MORTAL_FIRST 2u /* of the sender VMs, which stand behind this one in the manifest */
#define MORTAL_COUNT 2u
#define MESSAGES     400u /* between two restarts */

static struct weir_lane lanes[MQUEUE_SENDERS];
static struct weir_inbox inbox;
/* Of each sender: the session that is received now, and what comes next. */
static struct {
	uint64_t session, opened, next, messages, sessions;
} talks[MQUEUE_SENDERS];

static void check_content(const struct mqueue_message *message, uint32_t bytes)
{
	uint32_t words = mqueue_words(message);

	CHECK_IS(bytes, MQUEUE_HEADER + words * 8);
	for (uint32_t i = 0; i < words; i++)
		CHECK_IS(message->words[i], mqueue_word(message, i));
}

/* Receives one, and looks whether it is the next of its sender. */
static uint32_t receive(void)
{
	static struct mqueue_message message;
	struct weir_lane *from = lanes;
	uint32_t bytes = 0, who;

	inbox.deadline = timer_now() + timer_ticks(WAIT_NS);
	CHECK_IS(weir_inbox_receive(&inbox, &message, sizeof(message), &bytes, &from), WEIR_OK);
	CHECK(message.sender < MQUEUE_SENDERS);
	if (tap_failure.line)
		return 0;
	who = (uint32_t)message.sender;
	CHECK(who >= MQUEUE_CHANNELS || from == &lanes[who]);
	if (from->session != talks[who].session) {
		CHECK(from->session > talks[who].session && message.opened > talks[who].opened);
		talks[who].session = from->session;
		talks[who].opened = message.opened;
		talks[who].next = 0;
		talks[who].sessions++;
	}
	CHECK_IS(message.opened, talks[who].opened);
	CHECK_IS(message.number, talks[who].next);
	check_content(&message, bytes);
	talks[who].next++;
	talks[who].messages++;
	return who;
}

TEST(a_receiver_without_messages_waits_until_its_deadline)
{
	uint64_t deadline = timer_now() + timer_ticks(3000000);
	struct weir_lane *from;
	uint32_t bytes;
	char name[3];

	inbox_make(&inbox, lanes, MQUEUE_SENDERS);
	inbox.deadline = deadline;
	CHECK_IS(weir_inbox_receive(&inbox, name, sizeof(name), &bytes, &from), WEIR_TIMEOUT);
	CHECK(timer_now() >= deadline);
	for (uint32_t i = 0; i < MQUEUE_CHANNELS; i++) {
		mqueue_name(i, name);
		CHECK_IS(inbox_add(&inbox, name), WEIR_OK);
	}
	CHECK_IS(inbox_offer(&inbox, MQUEUE_NAME), WEIR_OK);
}

/* Opens what has come, receives nothing, and says how many have no room for a message of any size. */
static uint32_t full_lanes(void)
{
	uint32_t full = 0;

	weir_inbox_look(&inbox);
	for (uint32_t i = 0; i < MQUEUE_SENDERS; i++) {
		struct weir_ring_consumer *ring = &lanes[i].channel.in;

		if (lanes[i].session && weir_ring_see_tail(ring) == WEIR_OK)
			full += ring->tail - weir_ring_consumed(ring) +
					sizeof(struct mqueue_message) + 16 >
				ring->size;
	}
	return full;
}

TEST(senders_that_all_have_messages_take_equal_turns)
{
	uint32_t counts[MQUEUE_SENDERS] = { 0 }, rounds = 4;

	CHECK(WAIT(full_lanes() == MQUEUE_SENDERS));
	for (uint32_t i = 0; i < rounds * MQUEUE_SENDERS * inbox.bound && !tap_failure.line; i++)
		counts[receive()]++;
	for (uint32_t i = 0; i < MQUEUE_SENDERS; i++)
		CHECK_IS(counts[i], rounds * inbox.bound);
}

static bool all_timed_out(void)
{
	for (uint32_t i = 0; i < MQUEUE_SENDERS; i++)
		if (talks[i].messages < 150)
			return false;
	return true;
}

TEST(every_sender_is_heard_in_order)
{
	while (!all_timed_out() && !tap_failure.line)
		receive();
	CHECK_IS(inbox.sessions, MQUEUE_SENDERS);
}

static void restart(uint64_t position)
{
	struct weir_vm_info info = { 0 };

	do
		CHECK_IS(weir_vm_info(weir_here(), position, &info), WEIR_OK);
	while (weir_vm_restart(info.vm) == WEIR_STALE && !tap_failure.line);
}

TEST(senders_that_are_restarted_come_back_and_harm_nobody)
{
	uint64_t had[MQUEUE_SENDERS], mortal = MORTAL_FIRST * 2;

	for (uint32_t life = 0; life < LIVES && !tap_failure.line; life++) {
		for (uint32_t i = 0; i < MQUEUE_SENDERS; i++)
			had[i] = talks[i].sessions;
		restart(1 + MORTAL_FIRST + life % MORTAL_COUNT);
		for (uint32_t i = 0; i < MESSAGES && !tap_failure.line; i++)
			receive();
		/* Both of its senders are there again. */
		mortal = (MORTAL_FIRST + life % MORTAL_COUNT) * 2;
		while (!tap_failure.line && (talks[mortal].sessions == had[mortal] ||
					     talks[mortal + 1].sessions == had[mortal + 1]))
			receive();
	}
	for (uint32_t i = 0; i < MQUEUE_SENDERS; i++)
		CHECK(talks[i].sessions == 1 ||
		      (i >= MORTAL_FIRST * 2 && talks[i].sessions >= LIVES / 2));
	CHECK_IS(inbox.broken, 0);
}

TEST(a_sender_that_is_answered_ends_when_all_was_received)
{
	uint64_t end = 1, messages = 0;
	struct mqueue_message message;
	struct weir_lane *from;
	uint32_t bytes, open = MQUEUE_SENDERS;

	for (uint32_t i = 0; i < MQUEUE_SENDERS; i++)
		CHECK_IS(weir_lane_answer(&lanes[i], &end, sizeof(end)), WEIR_OK);
	while (open && !tap_failure.line) {
		inbox.deadline = timer_now() + timer_ticks(100000000);
		if (weir_inbox_receive(&inbox, &message, sizeof(message), &bytes, &from) ==
		    WEIR_OK) {
			CHECK_IS(message.number, talks[message.sender % MQUEUE_SENDERS].next++);
		}
		open = 0;
		for (uint32_t i = 0; i < MQUEUE_SENDERS; i++)
			open += lanes[i].session != 0;
	}
	for (uint32_t i = 0; i < MQUEUE_SENDERS; i++)
		messages += talks[i].messages;
	printf("# %lu messages, %lu sessions\n", messages, inbox.sessions);
	CHECK_IS(inbox.broken, 0);
}

TESTS = {
	RUN(a_receiver_without_messages_waits_until_its_deadline),
	RUN(senders_that_all_have_messages_take_equal_turns),
	RUN(every_sender_is_heard_in_order),
	RUN(senders_that_are_restarted_come_back_and_harm_nobody),
	RUN(a_sender_that_is_answered_ends_when_all_was_received),
};
TESTS_MAIN
