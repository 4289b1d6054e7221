/* Catches the hypervisor's lines; core/base/log.c formats them. */
#include <string.h>
#include "fake.h"
#include "core/base/log.h"

#define LINES	   64
#define LINE_BYTES 256

static char lines[LINES][LINE_BYTES];
static u32 count;

static void catch_line(const char *line, size_t length)
{
	assert_true(length == strlen(line));
	assert_memory_equal(line, "weir: ", 6);
	if (count < LINES)
		strncpy(lines[count], line + 6, LINE_BYTES - 1);
	count++;
}

void fake_log_reset(void)
{
	log_set_sink(catch_line);
	memset(lines, 0, sizeof(lines));
	count = 0;
}

u32 fake_log_count(void)
{
	return count;
}

const char *fake_log_text(u32 index)
{
	return index < count && index < LINES ? lines[index] : "";
}

bool fake_log_has(const char *part)
{
	for (u32 i = 0; i < count && i < LINES; i++)
		if (strstr(lines[i], part))
			return true;
	return false;
}
