/* The end: our own bug or an unusable machine. Never reached by what a guest does. */
#pragma once

#include "core/base/log.h"

/* Prints the line on the raw UART and stops this core for good. Defined by core/console.c. */
__attribute__((noreturn)) PRINTF(1, 2) void panic(const char *format, ...);

/* Invariants of our own; compiled in with DEBUG=1. */
#ifdef WEIR_DEBUG
#define assert(condition)      \
	((condition) ? (void)0 \
		     : panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #condition))
#else
#define assert(condition) ((void)sizeof((condition) ? 1 : 0))
#endif
