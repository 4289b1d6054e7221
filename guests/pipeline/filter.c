/*
 * The middle of the chain. It keeps nothing: when it is killed, what it had is lost, and the source sends it again. If
 * the sink's channel ends it gives up the source's, for the same reason.
 */
#include "guests/pipeline/pipeline.h"

static struct weir_channel in, out;

static void open_both(void)
{
	weir_channel_close(&in);
	channel_open(&out, "filtered");
	channel_open(&in, "raw");
}

int main(void)
{
	struct report now = { .stage = STAGE_FILTER };
	struct record record;
	uint32_t bytes;

	if (sender_join(&reporter, CONTROL) != WEIR_OK)
		return 1;
	open_both();
	for (;;) {
		/* What is not as long as a record is none: that session is given up too. */
		if (weir_channel_receive(&in, &record, sizeof(record), &bytes) != WEIR_OK ||
		    bytes != sizeof(record)) {
			channel_open(&in, "raw");
			continue;
		}
		for (uint32_t i = 0; i < RECORD_WORDS; i++)
			record.words[i] = filtered(record.words[i]);
		if (weir_channel_send(&out, &record, sizeof(record)) != WEIR_OK)
			open_both();
		now.records++;
		if (report_is_due())
			report(&now);
	}
}
