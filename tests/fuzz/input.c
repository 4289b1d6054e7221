/*
 * The records of one input (input.h), and how libFuzzer changes them: whole records are copied, moved and
 * taken out; what is in one is changed in place.
 */
#include "input.h"

#include <stdlib.h>
#include <string.h>

static const u8 *next, *end, *at, *record_end;

void input_set(const u8 *data, size_t bytes)
{
	next = at = record_end = data;
	end = data + bytes;
}

bool input_next(void)
{
	if (next == end)
		return false;
	at = next;
	next = (size_t)(end - next) > INPUT_RECORD ? next + INPUT_RECORD : end;
	record_end = next;
	return true;
}

u8 input_byte(void)
{
	return at < record_end ? *at++ : 0;
}

u32 input_below(u32 sides)
{
	u32 value = input_byte();

	if (sides > 256)
		value |= (u32)input_byte() << 8;
	return value % sides;
}

/* Around the powers of two, and their complements: where sums overflow and bounds lie. */
u64 input_word(void)
{
	u32 kind = input_byte();
	u64 power = BIT(kind & 63);

	switch (kind >> 6) {
	case 0:
		return power;
	case 1:
		return power - 1;
	case 2:
		return -power;
	default:
		return kind & 63;
	}
}

/* ---- libFuzzer's side ------------------------------------------------------------------------ */

size_t LLVMFuzzerMutate(u8 *data, size_t bytes, size_t room);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t bytes, size_t room, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const u8 *a, size_t a_bytes, const u8 *b, size_t b_bytes, u8 *out,
				 size_t room, unsigned int seed);

static u32 chance; /* of this mutation; from libFuzzer's seed, so that a run can be repeated */

static u32 below(size_t sides)
{
	chance = chance * 1664525 + 1013904223;
	return (u32)((u64)(chance >> 8) % sides);
}

static size_t change_one(u8 *data, size_t records)
{
	LLVMFuzzerMutate(data + below(records) * INPUT_RECORD, INPUT_RECORD, INPUT_RECORD);
	return records;
}

static size_t insert_random(u8 *data, size_t records, size_t at_record)
{
	u8 *to = data + at_record * INPUT_RECORD;

	memmove(to + INPUT_RECORD, to, (records - at_record) * INPUT_RECORD);
	for (u32 i = 0; i < INPUT_RECORD; i++)
		to[i] = (u8)below(256);
	return records + 1;
}

/* Some records that are there already, at another place. */
static size_t copy_some(u8 *data, size_t records, size_t count, size_t to)
{
	u8 *copy = malloc(count * INPUT_RECORD);

	memcpy(copy, data + below(records - count + 1) * INPUT_RECORD, count * INPUT_RECORD);
	memmove(data + (to + count) * INPUT_RECORD, data + to * INPUT_RECORD,
		(records - to) * INPUT_RECORD);
	memcpy(data + to * INPUT_RECORD, copy, count * INPUT_RECORD);
	free(copy);
	return records + count;
}

static size_t remove_some(u8 *data, size_t records, size_t count)
{
	size_t from = below(records - count + 1);

	memmove(data + from * INPUT_RECORD, data + (from + count) * INPUT_RECORD,
		(records - from - count) * INPUT_RECORD);
	return records - count;
}

static size_t mutate(u8 *data, size_t records, size_t room)
{
	size_t some = 1 + below(8);

	switch (below(8)) {
	case 0:
	case 1:
		return records < room ? insert_random(data, records, below(records + 1)) : records;
	case 2:
		some = min(some, records);
		return records + some <= room ? copy_some(data, records, some, below(records + 1))
					      : records;
	case 3:
		return records > some ? remove_some(data, records, some) : records;
	default:
		return change_one(data, records);
	}
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t bytes, size_t room, unsigned int seed)
{
	size_t records = bytes / INPUT_RECORD;

	chance = seed;
	room /= INPUT_RECORD;
	if (!room)
		return LLVMFuzzerMutate(data, bytes, room);
	if (!records)
		return insert_random(data, 0, 0) * INPUT_RECORD;
	for (u32 times = 1 + below(4); times && records; times--)
		records = mutate(data, records, room);
	return records * INPUT_RECORD;
}

/* The beginning of one, then the end of the other. */
size_t LLVMFuzzerCustomCrossOver(const u8 *a, size_t a_bytes, const u8 *b, size_t b_bytes, u8 *out,
				 size_t room, unsigned int seed)
{
	size_t first, second;

	chance = seed;
	first = below(a_bytes / INPUT_RECORD + 1) * INPUT_RECORD;
	second = below(b_bytes / INPUT_RECORD + 1) * INPUT_RECORD;
	first = min(first, room / INPUT_RECORD * INPUT_RECORD);
	second = min(second, (room - first) / INPUT_RECORD * INPUT_RECORD);
	memcpy(out, a, first);
	memcpy(out + first, b + b_bytes / INPUT_RECORD * INPUT_RECORD - second, second);
	return first + second;
}
