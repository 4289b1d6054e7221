/* A VM with a node of 64 bytes for the others to read; it sleeps while they do. */
#include <weir/store.h>
#include "guests/lib/runtime.h"

#define LONG_ENOUGH_NS 1000000000u

int main(void)
{
	static const uint8_t value[64] = "what the benchmark reads";
	weir_handle node;

	if (weir_store_make(weir_here(), 0, "node", WEIR_STORE_ALL, 0, 0, &node) != WEIR_OK ||
	    weir_store_write(weir_here(), node, value, sizeof(value), 0, 0) != WEIR_OK)
		return 1;
	task_sleep(LONG_ENOUGH_NS);
	return 0;
}
