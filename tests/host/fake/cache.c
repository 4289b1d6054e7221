/* Cache maintenance, in the order in which it was asked for. */
#include <string.h>
#include "fake.h"
#include "arch/arm64/cache.h"

#define OPERATIONS 256

static struct fake_cache_operation operations[OPERATIONS];
static u32 count;

static void record(enum fake_cache_call call, const void *start, u64 bytes)
{
	assert_true(count < OPERATIONS);
	operations[count++] = (struct fake_cache_operation){ call, start, bytes };
}

u64 cache_granule_bytes(void)
{
	return 64;
}

void cache_clean_invalidate(const void *start, u64 bytes)
{
	record(FAKE_CLEAN_INVALIDATE, start, bytes);
}

void cache_zero(void *page)
{
	memset(page, 0, PAGE_SIZE);
	record(FAKE_ZERO, page, PAGE_SIZE);
}

void cache_invalidate_instructions(void)
{
	record(FAKE_INVALIDATE_INSTRUCTIONS, 0, 0);
}

void fake_cache_reset(void)
{
	count = 0;
}

u32 fake_cache_count(void)
{
	return count;
}

struct fake_cache_operation fake_cache_get(u32 index)
{
	assert_true(index < count);
	return operations[index];
}
