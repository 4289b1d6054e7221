/* What a core did to memory, and memory as seen past the caches (fake.h). */
#include <stdlib.h>
#include <string.h>
#include "arch/arm64/sysreg.h"

#define OPERATIONS 65536u
#define WATCHED	   8u
/* From here on (arch/arm64/layout.h) there is no memory of the host. */
#define EL2_ADDRESSES 0xff8000000000ul

static struct {
	const char *what;
	u64 address;
} operations[OPERATIONS];
static u32 count;
static bool unfinished; /* maintenance since the last DSB */

static struct watched {
	u8 *memory, *beyond;
	u8 *known; /* as the core had it when the line was last in step with memory: else it is dirty */
	u64 bytes;
} watched[WATCHED];
static u32 watched_count;

__attribute__((weak)) u64 fake_sysreg_read(const char *name)
{
	if (!strcmp(name, "ctr_el0"))
		return 0x84448004; /* CWG, ERG, DminLine and IminLine: 64 bytes */
	if (!strcmp(name, "dczid_el0"))
		return 4;
	if (!strcmp(name, "par_el1"))
		return FAKE_IMAGE_PA;
	fail_msg("register %s", name);
	return 0;
}

static struct watched *find(u64 address)
{
	for (u32 i = 0; i < watched_count; i++)
		if (address - (u64)watched[i].memory < watched[i].bytes)
			return &watched[i];
	return 0;
}

/* To memory if it is dirty, and forgotten: what is read next comes from memory. */
static void clean_invalidate(u64 line)
{
	struct watched *in = find(line);
	u64 at;

	if (!in)
		return;
	at = line - (u64)in->memory;
	if (memcmp(in->memory + at, in->known + at, FAKE_LINE) != 0)
		memcpy(in->beyond + at, in->memory + at, FAKE_LINE);
	memcpy(in->memory + at, in->beyond + at, FAKE_LINE);
	memcpy(in->known + at, in->beyond + at, FAKE_LINE);
}

/* Also where there were zeroes before, the line is dirty. */
static void zero(u64 line)
{
	const struct watched *in = find(line);

	if (line < EL2_ADDRESSES)
		memset((void *)line, 0, FAKE_LINE);
	if (in)
		memset(in->known + (line - (u64)in->memory), 0xff, FAKE_LINE);
}

void fake_note(const char *what, u64 address)
{
	assert_true(count < OPERATIONS);
	operations[count].what = what;
	operations[count++].address = address;
	if (!strcmp(what, "dc zva")) {
		zero(align_down(address, FAKE_LINE));
	} else if (!strcmp(what, "dc civac")) {
		clean_invalidate(align_down(address, FAKE_LINE));
		unfinished = true;
	} else if (!strncmp(what, "ic ", 3)) {
		unfinished = true;
	} else if (!strncmp(what, "dsb ", 4)) {
		unfinished = false;
	}
}

void fake_observer(const char *what)
{
	if (unfinished)
		fail_msg("%s: maintenance before it is not complete", what);
	fake_note(what, 0);
}

void fake_record_reset(void)
{
	for (u32 i = 0; i < watched_count; i++) {
		free(watched[i].beyond);
		free(watched[i].known);
	}
	watched_count = count = 0;
	unfinished = false;
}

u32 fake_record_count(void)
{
	return count;
}

u32 fake_record_times(const char *what)
{
	u32 times = 0;

	for (u32 i = 0; i < count; i++)
		times += !strcmp(operations[i].what, what);
	return times;
}

u32 fake_record_find(u32 from, const char *what)
{
	for (u32 i = from; i < count; i++)
		if (!strcmp(operations[i].what, what))
			return i;
	fail_msg("no %s behind operation %u", what, from);
	return 0;
}

u64 fake_record_address(u32 index)
{
	assert_true(index < count);
	return operations[index].address;
}

static u8 *copy_of(const void *memory, u64 bytes)
{
	u8 *copy = malloc(bytes);

	memcpy(copy, memory, bytes);
	return copy;
}

void fake_memory_watch(void *memory, u64 bytes)
{
	assert_true(watched_count < WATCHED && !(((u64)memory | bytes) % FAKE_LINE));
	watched[watched_count++] =
		(struct watched){ memory, copy_of(memory, bytes), copy_of(memory, bytes), bytes };
}

const void *fake_memory_beyond(const void *memory)
{
	const struct watched *in = find((u64)memory);

	assert_non_null(in);
	return in->beyond + ((const u8 *)memory - in->memory);
}

void fake_memory_device_writes(void *memory, const void *data, u64 bytes)
{
	const struct watched *in = find((u64)memory);

	assert_non_null(in);
	memcpy(in->beyond + ((u8 *)memory - in->memory), data, bytes);
}
