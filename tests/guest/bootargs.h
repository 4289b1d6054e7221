/*
 * Numbers in the manifest's `bootargs`: `name=number`, decimal or 0x. The guest's tree is one page, right
 * below the shareable pool; the string is looked for in it as it stands.
 */
#pragma once

#include <guest.h>

static inline uint64_t bootargs_digits(const uint8_t *text)
{
	uint64_t value = 0, base = 10;

	if (text[0] == '0' && text[1] == 'x') {
		base = 16;
		text += 2;
	}
	for (;; text++) {
		uint8_t digit = *text >= 'a' ? (uint8_t)(*text - 'a' + 10) : (uint8_t)(*text - '0');

		if (digit >= base)
			return value;
		value = value * base + digit;
	}
}

/* `otherwise` if there is no such word. */
static inline uint64_t bootargs_number(const char *name, uint64_t otherwise)
{
	const uint8_t *end = weir_region(WEIR_REGION_POOL).base;
	size_t bytes = strlen(name);

	for (const uint8_t *at = end - PAGE_SIZE; at + bytes + 1 < end; at++)
		if (memcmp(at, name, bytes) == 0 && at[bytes] == '=')
			return bootargs_digits(at + bytes + 1);
	return otherwise;
}
