/*
 * The hypervisor's own lines. Format: %s %c %d %u %x %lu %lx %p-free subset, with width and 0 flag
 * (%016lx), and %.31s for at most 31 bytes. A line goes out whole as "weir: ..." and never blocks;
 * bytes that are not printable show as '?'. log.c formats, the sink that was set takes it
 * (core/console.c after discovery).
 */
#pragma once

#include <stdarg.h>
#include "core/base/types.h"

#define PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Prints one line, "weir: " in front and the newline behind are added. Any context. */
PRINTF(1, 2) void log_line(const char *format, ...);

/* Formats into a buffer, always terminated; returns the length that was written without the 0. */
PRINTF(3, 4) size_t format_text(char *buffer, size_t size, const char *format, ...);
size_t format_text_v(char *buffer, size_t size, const char *format, va_list arguments);

/* Where lines go; called with a terminated line without newline. Before it is set they are kept
 * (the first 1 KiB) and given to the first sink. */
typedef void (*log_sink)(const char *line, size_t length);
void log_set_sink(log_sink sink);
