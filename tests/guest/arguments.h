/* Numbers in the bootargs of a test guest: "lives=1000 seed=7". */
#pragma once

#include "tests/guest/tree.h"

/* The number that stands behind `name`= there, else `otherwise`. */
static inline uint64_t argument(const char *name, uint64_t otherwise)
{
	uint32_t bytes = 0, length = (uint32_t)strlen(name);
	const char *text = (const char *)tree_chosen(tree_find(), "bootargs", &bytes);
	uint64_t value = 0;

	for (; text && bytes > length; text++, bytes--) {
		if (memcmp(text, name, length) != 0 || text[length] != '=')
			continue;
		for (text += length + 1; *text >= '0' && *text <= '9'; text++)
			value = value * 10 + (uint64_t)(*text - '0');
		return value;
	}
	return otherwise;
}
