/*
 * What libFuzzer gave: records of a fixed size, so that a mutation of one step leaves the others what they
 * were. Within a record byte after byte; behind its end there are zeroes. Source: input.c
 */
#pragma once

#include "core/base/types.h"

#define INPUT_RECORD 8u /* bytes */

void input_set(const u8 *data, size_t bytes);
bool input_next(void); /* goes on with the next record; false: there is none */

u8 input_byte(void);
u32 input_below(u32 sides); /* 0..sides - 1; takes a byte, of sides > 256 two */
u64 input_word(void);	    /* an interesting one */
