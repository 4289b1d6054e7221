/* printf to the console. Locks: one, so that the output of one call stays together. */
#include "guests/lib/runtime.h"

static struct guest_lock lock;

void console_unlock(void)
{
	__atomic_clear(&lock.taken, __ATOMIC_RELEASE);
}

struct conversion {
	bool left, zero;
	int width;
	int size; /* in bytes, of an integer */
	char kind;
};

static int pad(int count, char with)
{
	for (int i = 0; i < count; i++)
		uart_put(with);
	return count > 0 ? count : 0;
}

/* Text with an optional sign before the zeroes of the padding. */
static int put_field(const struct conversion *how, const char *text, int length, bool minus)
{
	int space = how->width - length - minus;
	int written = length + minus;

	if (!how->left && !how->zero)
		written += pad(space, ' ');
	if (minus)
		uart_put('-');
	if (!how->left && how->zero)
		written += pad(space, '0');
	for (int i = 0; i < length; i++)
		uart_put(text[i]);
	if (how->left)
		written += pad(space, ' ');
	return written;
}

static int put_number(const struct conversion *how, uint64_t value, unsigned int base, bool minus)
{
	const char *digits = how->kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[20];
	int at = sizeof(text);

	do {
		text[--at] = digits[value % base];
		value /= base;
	} while (value);
	return put_field(how, text + at, (int)sizeof(text) - at, minus);
}

static const char *read_conversion(const char *format, struct conversion *how)
{
	*how = (struct conversion){ .size = 4 };
	for (;; format++) {
		if (*format == '-')
			how->left = true;
		else if (*format == '0')
			how->zero = true;
		else
			break;
	}
	for (; *format >= '0' && *format <= '9'; format++)
		how->width = how->width * 10 + (*format - '0');
	for (; *format == 'l' || *format == 'z' || *format == 'h'; format++)
		how->size = *format == 'h' ? how->size / 2 : 8;
	how->kind = *format;
	return *format ? format + 1 : format;
}

/* Variable arguments go by reference, in a struct: a va_list may be an array. */
struct arguments {
	va_list list;
};

static uint64_t take_unsigned(struct arguments *arguments, int size)
{
	if (size == 8)
		return va_arg(arguments->list, uint64_t);
	return va_arg(arguments->list, unsigned int) & (0xffffffffu >> (32 - 8 * size));
}

static int64_t take_signed(struct arguments *arguments, int size)
{
	int shift = 64 - 8 * size;

	return (int64_t)(take_unsigned(arguments, size) << shift) >> shift;
}

static int convert(const struct conversion *how, struct arguments *arguments)
{
	const char *text;
	int64_t number;
	char c;

	switch (how->kind) {
	case 'd':
	case 'i':
		number = take_signed(arguments, how->size);
		return put_number(how, number < 0 ? -(uint64_t)number : (uint64_t)number, 10,
				  number < 0);
	case 'u':
		return put_number(how, take_unsigned(arguments, how->size), 10, false);
	case 'x':
	case 'X':
		return put_number(how, take_unsigned(arguments, how->size), 16, false);
	case 'p':
		uart_put('0');
		uart_put('x');
		return 2 + put_number(how, take_unsigned(arguments, 8), 16, false);
	case 's':
		text = va_arg(arguments->list, const char *);
		return put_field(how, text, (int)strlen(text), false);
	case 'c':
		c = (char)va_arg(arguments->list, int);
		return put_field(how, &c, 1, false);
	default:
		uart_put(how->kind ? how->kind : '%');
		return 1;
	}
}

int vprintf(const char *format, va_list list)
{
	struct conversion how;
	struct arguments arguments;
	uint64_t flags = guest_lock(&lock);
	int written = 0;

	va_copy(arguments.list, list);
	while (*format) {
		if (*format != '%') {
			uart_put(*format++);
			written++;
			continue;
		}
		format = read_conversion(format + 1, &how);
		written += convert(&how, &arguments);
	}
	va_end(arguments.list);
	guest_unlock(&lock, flags);
	return written;
}

int printf(const char *format, ...)
{
	va_list list;
	int written;

	va_start(list, format);
	written = vprintf(format, list);
	va_end(list);
	return written;
}
