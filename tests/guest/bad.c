/*
 * Ends itself: with the MMU off its exception vectors are where nothing can be fetched, so that the
 * first exception can never be handled. Where that is its only channel's name says. Reports nothing;
 * Weir does.
 */
#include "tests/guest/end_by_fault.h"
#include "tests/guest/tap.h"

static const struct {
	const char *name;
	uint64_t address;
} places[] = {
	{ "distributor", 0x08000000 }, { "uart", 0x09000000 },	 { "shared", 0x0e000000 },
	{ "window", 0x10000000 },      { "beyond", 0x80000000 }, { "nothing", 0x20000000 },
};
#define PLACES (sizeof(places) / sizeof(places[0]))

/* Without a channel it is the last. */
static uint64_t place(void)
{
	weir_handle port;
	unsigned int i = 0;

	while (i < PLACES - 1 && weir_port_find(weir_here(), places[i].name, &port) != WEIR_OK)
		i++;
	return places[i].address;
}

int main(void)
{
	uint64_t vectors = place();

	irq_save();
	end_by_fault_at(vectors);
	return 0;
}
