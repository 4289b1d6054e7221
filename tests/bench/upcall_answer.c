/* Answers the upcalls that upcall_ask causes, until it has answered all. */
#include "tests/bench/bench.h"

static struct weir_pages pages;
static uint32_t answered;

static void on_interrupt(uint64_t at, uint32_t intid)
{
	struct weir_upcall request;
	uint64_t reply[WEIR_UPCALL_REPLIES] = { 0 };

	(void)at;
	if (intid != WEIR_INTID_UPCALL)
		return;
	request = weir_upcall_get(&pages);
	reply[0] = request.argument[0];
	weir_upcall_return(&pages, request.sequence, WEIR_OK, reply);
	answered++;
}

int main(void)
{
	lean_start();
	if (weir_pages_get(&pages) != WEIR_OK ||
	    weir_upcall_register(1ul << WEIR_SERVICE_PING) != WEIR_OK)
		return 1;
	while (answered < PASSAGES + 1)
		sleep_change(&answered, answered);
	return 0;
}
