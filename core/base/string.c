/*
 * Memory and string functions for code without a C library: EL2's own, and libfdt's.
 *
 * Large copies and fills go by words of 8 bytes where both addresses are equally far from
 * alignment, or of 4 (a device tree aligns what is in it so); EL2 is built with -mstrict-align, and
 * before the MMU is on an unaligned access would abort.
 */
#include "core/base/string.h"
#include "core/base/types.h"

/* gcc would turn the loops of memcpy and memset into calls of memcpy and memset. */
#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

typedef u64 __attribute__((may_alias)) word_t;
typedef u32 __attribute__((may_alias)) half_t;
#define WORD sizeof(word_t)
#define HALF sizeof(half_t)

static bool word_aligned(const void *address)
{
	return !((uintptr_t)address & (WORD - 1));
}

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
	u8 *out = to;
	const u8 *in = from;
	uintptr_t apart = (uintptr_t)out ^ (uintptr_t)in;

	if (!(apart & (HALF - 1)))
		for (; count && !word_aligned(out) && !word_aligned(in); count--)
			*out++ = *in++;
	if (!(apart & (WORD - 1)))
		for (; count >= WORD; count -= WORD, out += WORD, in += WORD)
			*(word_t *)out = *(const word_t *)in;
	else if (!(apart & (HALF - 1)))
		for (; count >= HALF; count -= HALF, out += HALF, in += HALF)
			*(half_t *)out = *(const half_t *)in;
	for (; count; count--)
		*out++ = *in++;
	return to;
}

void *memmove(void *to, const void *from, size_t count)
{
	u8 *out = to;
	const u8 *in = from;

	if ((uintptr_t)out - (uintptr_t)in >= count) {
		while (count--)
			*out++ = *in++;
		return to;
	}
	while (count--)
		out[count] = in[count];
	return to;
}

void *memset(void *area, int byte, size_t count)
{
	u8 *out = area;
	word_t pattern = (u8)byte * 0x0101010101010101ul;

	for (; count && !word_aligned(out); count--)
		*out++ = (u8)byte;
	for (; count >= 4 * WORD; count -= 4 * WORD, out += 4 * WORD)
		for (u32 i = 0; i < 4; i++)
			((word_t *)out)[i] = pattern;
	for (; count >= WORD; count -= WORD, out += WORD)
		*(word_t *)out = pattern;
	for (; count; count--)
		*out++ = (u8)byte;
	return area;
}

int memcmp(const void *a, const void *b, size_t count)
{
	const u8 *left = a, *right = b;

	for (; count; count--, left++, right++)
		if (*left != *right)
			return *left - *right;
	return 0;
}

void *memchr(const void *area, int byte, size_t count)
{
	const u8 *at = area;

	for (; count; count--, at++)
		if (*at == (u8)byte)
			return (void *)at;
	return 0;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

size_t strnlen(const char *text, size_t limit)
{
	size_t length = 0;

	while (length < limit && text[length])
		length++;
	return length;
}

int strncmp(const char *a, const char *b, size_t count)
{
	for (; count; count--, a++, b++) {
		if (*a != *b)
			return (u8)*a - (u8)*b;
		if (!*a)
			break;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *text, int c)
{
	for (; *text != (char)c; text++)
		if (!*text)
			return 0;
	return (char *)text;
}

char *strrchr(const char *text, int c)
{
	const char *last = 0;

	for (;; text++) {
		if (*text == (char)c)
			last = text;
		if (!*text)
			return (char *)last;
	}
}
