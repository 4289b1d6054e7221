/* What another core does at a labelled statement (fake.h, fake/weir/order.h). */
#include <string.h>
#include "fake.h"
#include <weir/order.h>

static struct {
	const char *label;
	bool done;
	void (*other)(void *context);
	void *context;
} next;

void fake_order_at(const char *label, bool done, void (*other)(void *context), void *context)
{
	next.label = label;
	next.done = done;
	next.other = other;
	next.context = context;
}

bool fake_order_happened(void)
{
	bool happened = !next.other;

	next.other = 0;
	return happened;
}

void fake_ordered(const char *label, bool done)
{
	void (*other)(void *context) = next.other;

	if (!other || done != next.done || strcmp(label, next.label) != 0)
		return;
	next.other = 0;
	other(next.context);
}
