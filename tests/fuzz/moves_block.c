/* Moves of guests that are about disks, and what the disks do (moves.h). */
#include "moves.h"

#include <weir/block.h>
#include "input.h"
#include "requests.h"

void move_info(void)
{
	u32 byte = input_byte();
	u64 x[] = { byte < 248 ? byte & 3 : input_word() };
	const struct vm *vm = self->vm;
	u32 errors = 0;

	if (x[0] >= vm->config->disk_count)
		errors = 1u << -WEIR_NOT_FOUND;
	else if (!vm->ipc->block.disk[x[0]].device)
		errors = 1u << -WEIR_IO;
	if (call(WEIR_FN_BLOCK_INFO, x, 1, junk(), errors, 0))
		assert_int_equal(self->arch.x[1], vm->ipc->block.disk[x[0]].sectors);
}

u64 some_buffer(void)
{
	u32 place = input_below(65536);
	u64 sectors = self->vm->ram_bytes / WEIR_SECTOR_SIZE;

	if (place < 0xf000)
		return VM_RAM_BASE + place % sectors * WEIR_SECTOR_SIZE;
	if (place < 0xf800)
		return VM_RAM_BASE + (sectors - (place & 15)) * WEIR_SECTOR_SIZE + (place >> 4 & 1);
	if (place < 0xfc00)
		return VM_RAM_BASE - (place & 3) * WEIR_SECTOR_SIZE;
	if (place < 0xfe00)
		return VM_WINDOW_BASE;
	return BIT(place & 63);
}

/* A disk that is broken answers at once. */
static void submit(const u64 x[6], u32 errors, u32 maybe)
{
	bool broken = maybe >> -WEIR_IO & 1;

	if (broken)
		begin_parts();
	if (call(WEIR_FN_BLOCK_SUBMIT, &x[1], 5, 0, errors, maybe))
		requests_accepted(self, x[5]);
	if (broken)
		end_parts();
}

void move_submit(void)
{
	u32 what = input_byte(), maybe = 0, errors, byte;
	u64 x[6] = { 0 };

	/* As x1 to x5, for the registers' numbers. */
	x[1] = what < 240 ? (what & 3) | (what >> 2) % 3 << 8 : BIT(what - 240) | (what & 3) << 8;
	if (x[1] >> 8 != WEIR_BLOCK_FLUSH || what & 0x80) {
		byte = input_byte();
		x[2] = byte < 128 ? byte : byte < 224 ? 490 + (byte & 31) : input_word();
		byte = input_byte();
		x[3] = byte < 192 ? byte & 31 : byte < 250 ? byte - 180 : BIT(10 * (byte - 250));
		x[4] = some_buffer();
	}
	x[5] = requests_cookie();
	errors = requests_submit_errors(self, x, &maybe);
	submit(x, errors, maybe);
}

/* Many at a time, until there is no slot left. */
void move_submit_many(void)
{
	u64 x[6] = { 0, WEIR_BLOCK_FLUSH << 8, 0, 0, 0, 0 };

	for (u32 times = 1 + (input_byte() & 63); times; times--) {
		u32 maybe = 0, errors = requests_submit_errors(self, x, &maybe);

		x[5] = requests_cookie();
		submit(x, errors, maybe);
	}
}

void move_take(void)
{
	u32 byte = input_byte();

	if (byte & 1) {
		machine.raised[me][self->index][WEIR_INTID_BLOCK] = false;
		while (requests_receive(self))
			;
	} else {
		requests_receive(self);
	}
}

void move_disk(void)
{
	u32 byte = input_byte(), device = byte & 1, count = 0;

	while (disk_request(device, count))
		count++;
	if (!count)
		return;
	begin_parts();
	disk_complete(device, (byte >> 1) % count, byte >> 5 == 7);
	end_parts();
}

void move_disk_break(void)
{
	if (input_byte() == 1)
		requests_device_broken(input_byte() & 1);
}
