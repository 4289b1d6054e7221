/*
 * Escape sequences of a terminal, which are left out where a line is edited: ESC and a byte, or ESC [
 * up to its letter (ECMA-48, 5.4). What cursor keys send is of no use there.
 */
#pragma once

#include "core/base/types.h"

#define ESCAPE 0x1b

/* Is `byte` part of one? `state` is 0 at first and whenever no sequence is under way. */
static inline bool escape_has(u8 *state, u8 byte)
{
	bool inside = *state || byte == ESCAPE;

	if (byte == ESCAPE)
		*state = 1;
	else if (*state == 1)
		*state = byte == '[' ? 2 : 0;
	else if (byte >= '@')
		*state = 0;
	return inside;
}
