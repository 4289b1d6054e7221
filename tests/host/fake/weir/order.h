/*
 * Stands in for guests/include/weir/order.h: at each labelled statement, before it and behind it, a test may
 * have another core come in, where a program is linked with fake/order.c.
 */
#pragma once

#include_next <weir/order.h>

#include <stdbool.h>

void fake_ordered(const char *label, bool done) __attribute__((weak));

#undef WEIR_ORDERED
#define WEIR_ORDERED(label, promise, statement)      \
	do {                                         \
		if (fake_ordered)                    \
			fake_ordered(#label, false); \
		statement;                           \
		if (fake_ordered)                    \
			fake_ordered(#label, true);  \
	} while (0)
