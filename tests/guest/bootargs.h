/* Numbers in the `bootargs` of a test guest, decimal or 0x: "lives=1000 seed=0x7". */
#pragma once

#include "tests/guest/tree.h"

static inline uint64_t bootargs_digits(const char *text)
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

/* The number that stands behind `name`= there, else `otherwise`. */
static inline uint64_t bootargs_number(const char *name, uint64_t otherwise)
{
	uint32_t bytes = 0, length = (uint32_t)strlen(name);
	const uint8_t *tree = tree_find();
	const char *text = tree ? (const char *)tree_chosen(tree, "bootargs", &bytes) : NULL;

	if (!text)
		return otherwise;
	for (const char *at = text; at + length < text + bytes; at++)
		if ((at == text || at[-1] == ' ') && memcmp(at, name, length) == 0 &&
		    at[length] == '=')
			return bootargs_digits(at + length + 1);
	return otherwise;
}
