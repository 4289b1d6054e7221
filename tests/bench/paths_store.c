/*
 * Makes the store's calls as expensive as they can be: names that differ at their ends only, below a node that is as deep as
 * may be, many of them, and more VMs that watch than a call tells. Then the VM ends with all of it.
 */
#include <weir/store.h>
#include "guests/lib/runtime.h"

#define NODES	  3000u
#define ROUNDS	  8u
#define SETTLE_NS 4000000u /* in which the others have taken what they were told */

static weir_handle nodes[NODES];

static void name_of(uint32_t number, char name[WEIR_NAME_MAX + 1])
{
	memset(name, 'n', WEIR_NAME_MAX);
	name[WEIR_NAME_MAX] = 0;
	for (uint32_t at = WEIR_NAME_MAX - 1; number; number /= 10)
		name[at--] = (char)('0' + number % 10);
}

/* The deepest node that can have children. */
static weir_handle dig(void)
{
	weir_handle node = 0;

	for (uint32_t depth = WEIR_STORE_DEPTH_HOME; depth < WEIR_STORE_DEPTH - 1; depth++)
		if (weir_store_make(weir_here(), node, "deep", WEIR_STORE_ALL, 0, 0, &node) !=
		    WEIR_OK)
			return 0;
	return node;
}

static void look_around(weir_handle parent)
{
	struct weir_store_child child;
	weir_handle node;
	uint64_t at = 0;
	bool gone;

	for (uint32_t i = 0; i < 256; i++)
		weir_store_watch(nodes[i * 7], true);
	weir_store_write(weir_here(), nodes[255 * 7], "x", 1, 0, NULL);
	while (weir_store_watch_next(&node, &gone) == WEIR_OK)
		;
	while (weir_store_list(weir_here(), parent, &at, &child) == WEIR_OK)
		;
	for (uint32_t i = 0; i < 256; i++)
		weir_store_watch(nodes[i * 7], false);
}

int main(void)
{
	weir_handle parent = dig(), node;
	char name[WEIR_NAME_MAX + 1];
	uint8_t value[WEIR_STORE_VALUE_MAX] = "v";

	for (uint32_t i = 0; i < NODES; i++) {
		name_of(i, name);
		if (weir_store_make(weir_here(), parent, name, WEIR_STORE_ALL, 0, 0, &nodes[i]) !=
		    WEIR_OK)
			return 1;
	}
	look_around(parent);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		name_of(NODES + i, name);
		task_sleep(SETTLE_NS);
		weir_store_make(weir_here(), parent, name, WEIR_STORE_ALL, 0, 0, &node);
		task_sleep(SETTLE_NS);
		weir_store_write(weir_here(), nodes[0], value, sizeof(value), 0, NULL);
		task_sleep(SETTLE_NS);
		weir_store_allow(nodes[0], i % 2 ? WEIR_STORE_ALL : 0, 0, 0);
		task_sleep(SETTLE_NS);
		weir_store_remove(nodes[NODES / 2 + i], 0);
		weir_store_find(weir_here(), parent, name, 0, &node);
	}
	return 0;
}
