/*
 * The end of the chain: takes each record once, in order, and acknowledges: after ACKNOWLEDGE_AFTER of them, or when
 * none has come for a while. So the source sends some again that have arrived.
 */
#include "guests/pipeline/pipeline.h"

#define ACKNOWLEDGE_AFTER 64u
#define ACKNOWLEDGE_NS	  2000000u

static struct weir_channel in;
static struct weir_sender acknowledger;
static struct report now = { .stage = STAGE_SINK };
static uint64_t acknowledged; /* up to here the source knows; all before now.records have arrived */

static void acknowledge(void)
{
	struct acknowledgement message = { .next = now.records };

	if (acknowledged == now.records)
		return;
	acknowledged = now.records;
	weir_sender_send(&acknowledger, &message, sizeof(message));
}

static void take(const struct record *record)
{
	if (record->number < now.records) {
		now.again++; /* it has arrived before, by a life of the filter's that has ended */
	} else if (record->number == now.records) {
		now.sum = sum_up(now.sum, record);
		now.records++;
	} else {
		weir_channel_close(&in); /* something is missing: let it be sent again */
	}
}

int main(void)
{
	struct record record = { 0 };
	enum weir_status status;
	uint32_t bytes;

	if (sender_join(&acknowledger, ACKNOWLEDGE) != WEIR_OK ||
	    sender_join(&reporter, CONTROL) != WEIR_OK || channel_open(&in, "filtered") != WEIR_OK)
		return 1;
	while (now.records < RECORDS) {
		in.deadline = timer_now() + timer_ticks(ACKNOWLEDGE_NS);
		status = weir_channel_receive(&in, &record, sizeof(record), &bytes);
		in.deadline = 0;
		if (status == WEIR_OK && bytes == sizeof(record))
			take(&record);
		else if (status == WEIR_TIMEOUT)
			acknowledge();
		else
			channel_open(
				&in,
				"filtered"); /* after what is no record too: the next session */
		if (now.records - acknowledged >= ACKNOWLEDGE_AFTER)
			acknowledge();
		if (report_is_due())
			report(&now);
	}
	acknowledge();
	weir_sender_drain(&acknowledger);
	now.done = 1;
	report(&now);
	return 0;
}
