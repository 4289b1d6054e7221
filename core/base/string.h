/* The C library's memory and string functions that EL2 and libfdt need. Source: string.c. */
#pragma once

#include <stddef.h>

void *memchr(const void *area, int byte, size_t count);
int memcmp(const void *a, const void *b, size_t count);
void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memmove(void *to, const void *from, size_t count);
void *memset(void *area, int byte, size_t count);
char *strchr(const char *text, int c);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t count);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t limit);
char *strrchr(const char *text, int c);
