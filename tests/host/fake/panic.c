/* A panic of the hypervisor fails the test that caused it. */
#include <stdio.h>
#include <stdlib.h>
#include "fake.h"
#include "core/base/panic.h"

void panic(const char *format, ...)
{
	static char text[256]; /* cmocka keeps the pointer */
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	mock_assert(0, text, "panic", 0);
	abort();
}
