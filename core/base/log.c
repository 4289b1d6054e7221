/*
 * Formats the hypervisor's lines and hands each, whole, to whoever prints it.
 *
 * Owns: the sink, and the lines that came before there was one. Both belong to the boot core until
 * the other cores start; then the sink does not change any more and serialises its callers itself.
 */
#include "core/base/log.h"
#include "core/base/string.h"

#define LINE_BYTES  256 /* on the stack; longer lines are cut */
#define EARLY_BYTES 1024

static const char prefix[] = "weir: ";
static log_sink sink;
/* Lines, each with its terminating 0. Behind .data there is room: .bss begins at the next 2 KiB (weir.lds). */
static char early[EARLY_BYTES] __attribute__((section(".data.early")));
static size_t early_length;

/* A buffer being filled; what has no room is dropped, and one byte is kept for the 0. */
struct text {
	char *buffer;
	size_t size, length;
};

static size_t room(const struct text *text)
{
	return text->size > text->length + 1 ? text->size - text->length - 1 : 0;
}

static void put(struct text *text, char c)
{
	if (room(text))
		text->buffer[text->length++] = c;
}

static void put_bytes(struct text *text, const char *from, size_t length)
{
	length = min(length, room(text));
	memcpy(text->buffer + text->length, from, length);
	text->length += length;
}

/* Names in a damaged tree may hold anything; a line is one line, and no terminal obeys it. */
static char printable(char c)
{
	return (u8)(c - ' ') > '~' - ' ' ? '?' : c;
}

static void put_padded(struct text *text, const char *from, size_t length, u32 width, char fill)
{
	char *to;

	for (; width > length; width--)
		put(text, fill);
	length = min(length, room(text));
	to = text->buffer + text->length;
	text->length += length;
	while (length--)
		*to++ = printable(*from++);
}

/* What stands between % and the letter. */
struct conversion {
	char fill;
	u32 width;
	u32 longest; /* of a string */
	bool is_long;
};

static void put_number(struct text *text, u64 value, bool negative, u32 base,
		       const struct conversion *conversion)
{
	u32 width = conversion->width;
	char digits[21]; /* the longest is -9223372036854775808 or 18446744073709551615 */
	char *at = digits + sizeof(digits);

	do {
		*--at = "0123456789abcdef"[value % base];
	} while (value /= base);
	if (negative && conversion->fill == '0') { /* the sign stands before the zeroes */
		put(text, '-');
		width -= width != 0;
	} else if (negative) {
		*--at = '-';
	}
	put_padded(text, at, (size_t)(digits + sizeof(digits) - at), width, conversion->fill);
}

static const char *read_decimal(const char *format, u32 *value)
{
	for (; *format >= '0' && *format <= '9'; format++)
		*value = *value * 10 + (u32)(*format - '0');
	return format;
}

static const char *read_conversion(const char *format, struct conversion *conversion)
{
	*conversion =
		(struct conversion){ .fill = *format == '0' ? '0' : ' ', .longest = UINT32_MAX };
	format = read_decimal(format, &conversion->width);
	if (*format == '.') {
		conversion->longest = 0;
		format = read_decimal(format + 1, &conversion->longest);
	}
	for (; *format == 'l' || *format == 'z'; format++)
		conversion->is_long = true;
	return format;
}

size_t format_text_v(char *buffer, size_t size, const char *format, va_list arguments)
{
	struct text text = { buffer, size, 0 };
	struct conversion conversion;
	const char *string;
	u64 value;
	s64 number;
	char c;

	for (; *format; format++) {
		const char *plain = format;

		while (*format && *format != '%')
			format++;
		put_bytes(&text, plain, (size_t)(format - plain));
		if (!*format)
			break;
		format = read_conversion(format + 1, &conversion);
		switch (*format) {
		case 's':
			string = va_arg(arguments, const char *);
			string = string ? string : "(none)";
			put_padded(&text, string, strnlen(string, conversion.longest),
				   conversion.width, ' ');
			break;
		case 'c':
			c = (char)va_arg(arguments, int);
			put_padded(&text, &c, 1, conversion.width, ' ');
			break;
		case 'd':
			number = conversion.is_long ? va_arg(arguments, long)
						    : va_arg(arguments, int);
			value = number < 0 ? 0 - (u64)number : (u64)number;
			put_number(&text, value, number < 0, 10, &conversion);
			break;
		case 'u':
		case 'x':
			value = conversion.is_long ? va_arg(arguments, unsigned long)
						   : va_arg(arguments, unsigned int);
			put_number(&text, value, false, *format == 'x' ? 16 : 10, &conversion);
			break;
		case 0: /* the format ends in the middle of a conversion */
			format--;
			break;
		default: /* %%, and what is not known shows up as it stands */
			put(&text, *format);
		}
	}
	if (size)
		buffer[text.length] = 0;
	return text.length;
}

size_t format_text(char *buffer, size_t size, const char *format, ...)
{
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	length = format_text_v(buffer, size, format, arguments);
	va_end(arguments);
	return length;
}

static void keep_early(const char *line, size_t length)
{
	if (early_length + length + 1 > sizeof(early))
		return;
	memcpy(early + early_length, line, length + 1);
	early_length += length + 1;
}

void log_line(const char *format, ...)
{
	char line[LINE_BYTES];
	size_t length = sizeof(prefix) - 1;
	va_list arguments;

	memcpy(line, prefix, length);
	va_start(arguments, format);
	length += format_text_v(line + length, sizeof(line) - length, format, arguments);
	va_end(arguments);
	if (sink)
		sink(line, length);
	else
		keep_early(line, length);
}

void log_set_sink(log_sink new_sink)
{
	size_t at = 0;

	sink = new_sink;
	while (sink && at < early_length) {
		size_t length = strlen(early + at);

		sink(early + at, length);
		at += length + 1;
	}
	if (sink)
		early_length = 0;
}
