/*
 * Which UART the console has: the driver whose `compatible` is in the list of the tree's node.
 *
 * Owns: the choice, made once at boot and read-only from then on.
 */
#include "drivers/uart.h"
#include "core/base/string.h"

static const struct uart_ops *const drivers[] = {
	&uart_pl011,
	&uart_mini,
};

static const struct uart_ops *chosen;

/* Whether `name` is one of the strings of a node's list. The list need not end in a 0. */
static bool list_has(const char *list, u32 bytes, const char *name)
{
	size_t length = strlen(name);

	while (bytes) {
		size_t entry = strnlen(list, bytes);

		if (entry == length && !memcmp(list, name, length))
			return true;
		if (entry == bytes)
			return false;
		list += entry + 1;
		bytes -= (u32)entry + 1;
	}
	return false;
}

bool uart_init(const char *compatible, u32 compatible_bytes, void *registers)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		if (!list_has(compatible, compatible_bytes, drivers[i]->compatible))
			continue;
		drivers[i]->init(registers);
		chosen = drivers[i];
		return true;
	}
	return false;
}

const struct uart_ops *uart_get(void)
{
	return chosen;
}
