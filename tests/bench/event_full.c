/*
 * The receiver of event_ping with all the ports that a VM can have, all of them bound to one vCPU: what the
 * next event costs while all are pending, and while one is; and then event_pong's part.
 */
#include "tests/bench/event.h"

#define PORTS	     8192u
#define FULL_SAMPLES 7u

static weir_handle ports[PORTS]; /* joined to themselves */
static uint32_t count;
static uint64_t vectored[PASSAGES], arrived[PASSAGES];

static void on_event(void)
{
	uint64_t now = ticks();

	if (handled < PASSAGES) {
		arrived[handled] = now;
		vectored[handled] = vector_at;
		weir_event_send(port);
	}
	handled++;
}

static void forget_all(void)
{
	uint32_t number;

	while (weir_event_next(&pages, &number))
		continue;
}

/* Ticks until `pending` events were taken, which are those of ports 1 to `pending`; 0: they are not. */
static uint64_t take(uint32_t pending)
{
	uint64_t from, to, sum = 0;
	uint32_t number;

	for (uint32_t i = 0; i < pending; i++)
		weir_event_send(ports[i]);
	from = ticks();
	while (weir_event_next(&pages, &number))
		sum += number;
	to = ticks();
	return sum == (uint64_t)pending * (pending + 1) / 2 ? to - from : 0;
}

static void measure(const char *name, uint32_t pending, uint32_t samples)
{
	uint64_t row[SAMPLES];

	take(pending);
	for (uint32_t i = 0; i < samples; i++)
		row[i] = take(pending);
	report_row(name, pending, row, samples);
}

int main(void)
{
	if (!event_start())
		return 1;
	while (count < PORTS && weir_port_open_ipi(&ports[count]) == WEIR_OK)
		count++;
	if (count != PORTS - 1) /* the channel has one */
		return 1;
	forget_all();
	measure("event.full_pending_next", count, FULL_SAMPLES);
	measure("event.one_pending_next", 1, SAMPLES);
	if (weir_port_publish(port, 1) != WEIR_OK)
		return 1;
	for (uint32_t i = 0; i < PASSAGES + 1; i++)
		sleep_change(&handled, i);
	report_ends("to", "event.cross_core", arrived);
	report_ends("to", "event.cross_core_vector", vectored);
	return 0;
}
