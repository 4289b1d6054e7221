/* What reading a node of another VM and writing one of its own costs: 64 bytes, each call by itself. */
#include <weir/store.h>
#include "tests/bench/bench.h"

#define VALUE_BYTES 64u
#define SETTLE_NS   1000000u

static void on_interrupt(uint64_t at, uint32_t intid)
{
	(void)at;
	(void)intid;
}

static uint64_t reads[SAMPLES], writes[SAMPLES];

/* The other VM's node, when it is there. */
static weir_handle find(void)
{
	weir_handle home = 0, node = 0;

	if (weir_store_find(weir_here(), WEIR_STORE_ROOT, "own", 0, &home) != WEIR_OK)
		return 0;
	while (weir_store_find(weir_here(), home, "node", 0, &node) != WEIR_OK)
		task_sleep(SETTLE_NS);
	task_sleep(SETTLE_NS); /* it is to be asleep */
	return node;
}

static bool read_once_more(weir_handle node, uint64_t *passed)
{
	struct weir_result result;
	uint64_t start;

	MARK("from");
	start = ticks();
	result = weir_call(WEIR_FN(WEIR_FN_STORE_READ), node, 0, 0, 0, 0, 0);
	*passed = ticks() - start;
	MARK("to");
	return result.status == WEIR_OK && result.value[1] == VALUE_BYTES;
}

static bool write_once_more(weir_handle node, uint64_t *passed)
{
	struct weir_result result;
	uint64_t start;

	MARK("from");
	start = ticks();
	result = weir_call(WEIR_FN(WEIR_FN_STORE_WRITE), node, VALUE_BYTES, 0, 0, 0, 0);
	*passed = ticks() - start;
	MARK("to");
	return result.status == WEIR_OK;
}

static bool measure(const char *name, weir_handle node, bool (*once)(weir_handle, uint64_t *),
		    uint64_t *sample)
{
	for (uint32_t i = 0; i < WARM_UP; i++)
		if (!once(node, &sample[0]))
			return false;
	for (uint32_t i = 0; i < SAMPLES; i++)
		if (!once(node, &sample[i]))
			return false;
	report_row(name, 1, sample, SAMPLES);
	return true;
}

int main(void)
{
	weir_handle theirs, mine;

	settle();
	theirs = find();
	irq_save();
	if (!theirs || !measure("store.read", theirs, read_once_more, reads))
		return 1;
	if (weir_store_make(weir_here(), 0, "mine", WEIR_STORE_ALL, 0, 0, &mine) != WEIR_OK)
		return 1;
	return measure("store.write", mine, write_once_more, writes) ? 0 : 1;
}
