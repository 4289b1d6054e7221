/* The string functions that are not worth assembler. */
#include "guests/lib/runtime.h"

void *memmove(void *to, const void *from, size_t bytes)
{
	uint8_t *out = (uint8_t *)to;
	const uint8_t *in = (const uint8_t *)from;

	if ((uintptr_t)out - (uintptr_t)in >= bytes)
		return memcpy(to, from, bytes);
	while (bytes-- > 0)
		out[bytes] = in[bytes];
	return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const uint8_t *left = (const uint8_t *)a, *right = (const uint8_t *)b;

	for (size_t i = 0; i < bytes; i++) {
		if (left[i] != right[i])
			return left[i] - right[i];
	}
	return 0;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (a[i] != b[i] || !a[i])
			return (uint8_t)a[i] - (uint8_t)b[i];
	}
	return 0;
}
