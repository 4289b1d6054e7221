/*
 * The beginning of the chain: makes records, and keeps each until it was acknowledged. One task sends, another takes
 * the acknowledgements out of the VM's inbox.
 */
#include "guests/pipeline/pipeline.h"

static struct record kept[KEPT]; /* those from `acknowledged` to `made`, by number */
static uint64_t made, acknowledged;
static struct report now = { .stage = STAGE_SOURCE };

static struct weir_channel out;
static struct weir_lane lanes[1];
static struct weir_inbox inbox;
static struct task taker;
static uint8_t taker_stack[8192] __attribute__((aligned(16)));

static void take_acknowledgements(void *arg)
{
	struct acknowledgement message;
	struct weir_lane *from;
	uint32_t bytes;

	(void)arg;
	while (acknowledged < RECORDS)
		if (weir_inbox_receive(&inbox, &message, sizeof(message), &bytes, &from) ==
			    WEIR_OK &&
		    bytes == sizeof(message) && message.next > acknowledged && message.next <= made)
			acknowledged = message.next;
}

/* The next record; and what it has to be when it arrives is summed up. */
static void make(void)
{
	struct record *record = &kept[made % KEPT], expected;

	record->number = made++;
	record->last = made == RECORDS;
	for (uint32_t i = 0; i < RECORD_WORDS; i++)
		record->words[i] = record->number * RECORD_WORDS + i;
	expected = *record;
	for (uint32_t i = 0; i < RECORD_WORDS; i++)
		expected.words[i] = filtered(expected.words[i]);
	now.sum = sum_up(now.sum, &expected);
}

static bool may_make(void)
{
	return made < RECORDS && made - acknowledged < KEPT;
}

/* Something to do besides sending: acknowledgements have come, or the filter has gone. */
static bool goes_on(void *arg)
{
	(void)arg;
	return acknowledged == RECORDS || may_make() || weir_channel_check(&out) != WEIR_OK;
}

int main(void)
{
	uint64_t next = 0; /* the first that was not sent in this session of the channel */

	inbox_make(&inbox, lanes, 1);
	if (inbox_offer(&inbox, "acknowledge") != WEIR_OK)
		return 1;
	/* Before anything is waited for here: the sink waits for this inbox, and the filter for the sink. */
	task_create(&taker, take_acknowledgements, NULL, taker_stack, sizeof(taker_stack));
	if (sender_join(&reporter, CONTROL) != WEIR_OK || channel_open(&out, "raw") != WEIR_OK)
		return 1;
	while (acknowledged < RECORDS) {
		if (weir_channel_check(&out) != WEIR_OK) {
			channel_open(&out, "raw"); /* waits for the filter's next life */
			now.again += next - acknowledged;
			next = acknowledged;
		} else if (next < made) {
			next += weir_channel_send(&out, &kept[next % KEPT],
						  sizeof(struct record)) == WEIR_OK;
		} else if (may_make()) {
			make();
		} else {
			task_wait(goes_on, NULL, TASK_FOREVER);
		}
		now.records = made;
		now.kept = made - acknowledged;
		if (report_is_due())
			report(&now);
	}
	now.done = 1;
	report(&now);
	return 0;
}
