/*
 * Watches the chain: prints a table of rates from the reports in its inbox, kills the filter KILLS times while records
 * flow, and says in the end whether every record has arrived once.
 */
#include <weir/manage.h>
#include "guests/pipeline/pipeline.h"

#define ROW_NS	   500000000u
#define STILL_ROWS 60u /* so many rows in which nothing moves, and it has failed */

static const char *const stages[STAGES] = { "source", "filter", "sink" };

static struct weir_lane lanes[STAGES];
static struct weir_inbox inbox;
/* Of each stage: its last report; records of former lives, and of all lives until the last row. */
static struct report last[STAGES];
static uint64_t before[STAGES], shown[STAGES], session[STAGES];
static uint64_t start, row_at;
static uint32_t kills, still;

static uint64_t milliseconds(void)
{
	return timer_ns(timer_now() - start) / 1000000;
}

static void print_head(void)
{
	printf("%u records of %u bytes: source -> filter -> sink\n", RECORDS,
	       (uint32_t)sizeof(struct record));
	printf("    time |   source/s   filter/s     sink/s |  arrived | on the way | again | "
	       "doubles\n");
	printf("---------+----------------------------------+----------+------------+-------+------"
	       "--\n");
}

static void print_row(uint64_t since_ns)
{
	uint64_t rate[STAGES], ms = milliseconds();

	still++;
	for (uint32_t i = 0; i < STAGES; i++) {
		uint64_t records = before[i] + last[i].records;

		rate[i] = (records - shown[i]) * 1000000000u / since_ns;
		if (records != shown[i])
			still = 0;
		shown[i] = records;
	}
	printf("%4lu.%lu s | %10lu %10lu %10lu | %6lu %% | %5lu | %5lu | %7lu\n", ms / 1000,
	       ms / 100 % 10, rate[STAGE_SOURCE], rate[STAGE_FILTER], rate[STAGE_SINK],
	       last[STAGE_SINK].records * 100 / RECORDS, last[STAGE_SOURCE].kept,
	       last[STAGE_SOURCE].again, last[STAGE_SINK].again);
}

static weir_handle find_vm(const char *name)
{
	struct weir_vm_info info = { 0 };

	for (uint64_t i = 0; weir_vm_info(weir_here(), i, &info) != WEIR_NOT_FOUND; i++)
		if (strcmp(info.name, name) == 0)
			return info.vm;
	return 0;
}

/* At each quarter of the way. */
static void maybe_kill(void)
{
	if (kills == KILLS || last[STAGE_SINK].records * (KILLS + 1) < RECORDS * (kills + 1))
		return;
	if (weir_vm_restart(find_vm("filter")) != WEIR_OK)
		return;
	kills++;
	printf("---- the filter is killed, for the %s time\n", kills == 1   ? "first"
							       : kills == 2 ? "second"
									    : "third");
}

static bool all_done(void)
{
	return last[STAGE_SOURCE].done && last[STAGE_SINK].done;
}

static void receive_until(uint64_t deadline)
{
	struct report now;
	struct weir_lane *from;
	uint32_t bytes;

	inbox.deadline = deadline;
	while (!all_done() &&
	       weir_inbox_receive(&inbox, &now, sizeof(now), &bytes, &from) == WEIR_OK) {
		if (bytes != sizeof(now) || now.stage >= STAGES)
			continue;
		/* Another session is another life, whose records count from 0. */
		if (session[now.stage] != from->session)
			before[now.stage] += last[now.stage].records;
		session[now.stage] = from->session;
		last[now.stage] = now;
		maybe_kill();
	}
}

static bool print_verdict(void)
{
	const struct report *source = &last[STAGE_SOURCE], *sink = &last[STAGE_SINK];
	bool right = source->sum == sink->sum && source->records == RECORDS &&
		     sink->records == RECORDS && kills == KILLS;

	printf("checksum at the source %016lx, at the sink %016lx\n", source->sum, sink->sum);
	printf("filter killed %u times; %lu records sent again, %lu doubles dropped\n", kills,
	       source->again, sink->again);
	printf("%s: %lu records made, %lu arrived, %s\n", right ? "PASSED" : "FAILED",
	       source->records, sink->records,
	       right ? "each once and in order" : "and not as they should");
	return right;
}

int main(void)
{
	bool right;

	inbox_make(&inbox, lanes, STAGES);
	if (inbox_offer(&inbox, "control") != WEIR_OK)
		return 1;
	start = row_at = timer_now();
	print_head();
	while (!all_done() && still < STILL_ROWS) {
		uint64_t begun = row_at;

		receive_until(row_at + timer_ticks(ROW_NS));
		row_at = timer_now();
		print_row(timer_ns(row_at - begun));
	}
	right = print_verdict();
	/* The others have ended by themselves, or never will. */
	for (uint32_t i = 0; i < STAGES; i++)
		weir_vm_stop(find_vm(stages[i]));
	return right ? 0 : 1;
}
