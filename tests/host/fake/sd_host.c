/* The device side of an SD host controller; see sd_host.h. Every breach of the protocol fails the
 * test. */
#include <string.h>
#include "sd_parts.h"
#include "drivers/registers.h"

#define SECTOR 512u

#define WRITE_READY  BIT(4)
#define INSERTED     BIT(6)
#define REMOVED	     BIT(7)
#define UNANSWERED   BIT(16)
#define ADMA_ERROR   BIT(25)
#define OUT_OF_RANGE BIT(31)
#define ILLEGAL	     BIT(22)
#define WRITE_ERROR  BIT(19)

#define PRESENT_CARD (BIT(16) | BIT(17) | BIT(18))
#define PRESENT_NONE BIT(17)
#define WRITABLE     BIT(19)

#define DMA_STEP BIT(31) /* no bit of the status: the controller's next access to memory */

void fake_sd_init(struct fake_sd *sd, u8 *medium, u64 sectors, u64 *now_us)
{
	*sd = (struct fake_sd){
		.capabilities = 0x052134b4,
		.now_us = now_us,
		.large = true,
		.medium = medium,
		.sectors = sectors,
		.cid = { 0x11223344, 0x55667788, 0x99aabbcc, 0x00ddeeff },
		.ready_polls = 2,
		.inserted = true,
		/* As firmware left it. */
		.status = COMMAND,
		.clock = 7,
		.response = { 1, 2, 3, ~0u },
	};
}

/* ---- Status ---------------------------------------------------------------------------------- */

static void raise_status(struct fake_sd *sd, u32 bits)
{
	if (bits & (COMMAND | UNANSWERED))
		sd->inhibited = false;
	sd->status |= bits & sd->enable;
}

void comes(struct fake_sd *sd, u32 bits)
{
	if (sd->at_once) {
		raise_status(sd, bits);
		return;
	}
	assert_true(sd->coming_count < ARRAY_SIZE(sd->coming));
	sd->coming[sd->coming_count++] = bits;
}

static void dma_block(struct fake_sd *sd);

bool fake_sd_step(struct fake_sd *sd)
{
	u32 bits = sd->coming[0];

	if (!sd->coming_count)
		return false;
	memmove(&sd->coming[0], &sd->coming[1], --sd->coming_count * sizeof(sd->coming[0]));
	if (bits == DMA_STEP)
		dma_block(sd);
	else
		raise_status(sd, bits);
	return true;
}

bool fake_sd_line(const struct fake_sd *sd)
{
	return sd->status & sd->signal;
}

static void no_transfer(struct fake_sd *sd)
{
	sd->left = 0;
	sd->buffer_ready = sd->switching = false;
}

static void update_present(struct fake_sd *sd)
{
	sd->present = sd->inserted ? PRESENT_CARD : PRESENT_NONE;
	if (!sd->switch_protects)
		sd->present |= WRITABLE;
}

void fake_sd_remove(struct fake_sd *sd)
{
	sd->inserted = false;
	sd->coming_count = 0;
	sd->power = 0;
	sd->clock &= ~4u;
	no_transfer(sd);
	raise_status(sd, REMOVED);
}

void fake_sd_insert(struct fake_sd *sd)
{
	sd->inserted = true;
	sd->card = FAKE_SD_IDLE;
	sd->address = sd->op_conds = 0;
	raise_status(sd, INSERTED);
}

/* ---- Data ------------------------------------------------------------------------------------ */

static void block_comes(struct fake_sd *sd)
{
	u32 block = sd->total - sd->left;

	if (spend(&sd->silent_blocks))
		return;
	if (sd->bad_blocks && block == sd->bad_block) {
		spend(&sd->bad_blocks);
		comes(sd, BAD_DATA);
		return;
	}
	if (sd->dma && sd->dma_errors && block == sd->dma_bad_block) {
		spend(&sd->dma_errors);
		comes(sd, ADMA_ERROR);
		return;
	}
	if (sd->dma && !sd->at_once) {
		comes(sd, DMA_STEP);
		return;
	}
	if (sd->dma) {
		dma_block(sd);
		return;
	}
	sd->buffer_ready = true;
	sd->word = 0;
	comes(sd, sd->reads ? READ_READY : WRITE_READY);
}

static void transfer_ends(struct fake_sd *sd)
{
	u32 error = spend(&sd->programming_errors) ? WRITE_ERROR : 0;

	/* A card that is read to its end may have looked further. */
	if (sd->reads && sd->at == sd->sectors)
		error |= OUT_OF_RANGE;
	sd->dma_active = false;
	sd->commands[12]++;
	sd->response[3] = card_status(sd, error);
	sd->card = FAKE_SD_TRANSFER;
	comes(sd, TRANSFER);
}

static void block_moved(struct fake_sd *sd)
{
	sd->buffer_ready = false;
	sd->blocks_moved++;
	sd->at++;
	if (--sd->left)
		block_comes(sd);
	else
		transfer_ends(sd);
}

/* ---- ADMA2, HC 1.13 -------------------------------------------------------------------------- */

static void dma_block(struct fake_sd *sd)
{
	u8 *block = sd->medium + sd->at * SECTOR;
	u32 bus = sd->dma_bus[sd->total - sd->left];

	assert_true(sd->dma_active);
	if (sd->reads)
		assert_true(sd->dma_write(bus, block, SECTOR));
	else
		assert_true(sd->dma_read(bus, block, SECTOR));
	sd->dma_blocks++;
	block_moved(sd);
}

/* Walks the descriptors: each is checked, and the blocks of the transfer are found, all of them. */
static void read_descriptors(struct fake_sd *sd)
{
	u32 descriptor[2], found = 0, at = sd->table;

	assert_true(sd->capabilities & BIT(19));
	assert_int_equal(sd->power & 0x18, 0x10); /* ADMA2 is selected */
	assert_int_equal(at % 4, 0);
	do {
		u32 length, address;

		assert_true(sd->dma_read(at, descriptor, sizeof(descriptor)));
		assert_int_equal(descriptor[0] & 0xfffd,
				 0x21); /* valid, a transfer, nothing else */
		length = descriptor[0] >> 16;
		address = descriptor[1];
		assert_true(length); /* 0 would be 64 KiB, but not to every controller */
		assert_int_equal(length % SECTOR, 0);
		assert_int_equal(address % 4, 0);
		for (; length; length -= SECTOR, address += SECTOR) {
			assert_true(found < sd->total && found < ARRAY_SIZE(sd->dma_bus));
			sd->dma_bus[found++] = address;
		}
		at += sizeof(descriptor);
	} while (!(descriptor[0] & BIT(1)));
	assert_int_equal(found, sd->total);
}

/* Answers as 48 bits; false: the card does not answer. */
bool data_command(struct fake_sd *sd, u32 number, u32 flags)
{
	sd->at = sd->large ? sd->argument : sd->argument / SECTOR;
	sd->reads = number == 18;
	assert_true(flags & BIT(21));
	assert_int_equal(flags & 0x3e, sd->reads ? 0x36 : 0x26);
	sd->dma = flags & 1;
	assert_int_equal(sd->block & 0xffff, SECTOR);
	sd->left = sd->total = sd->block >> 16;
	assert_true(sd->left);
	if (!sd->large)
		assert_int_equal(sd->argument % SECTOR, 0);
	if (sd->dma)
		read_descriptors(sd);
	if (sd->card != FAKE_SD_TRANSFER)
		return false;
	if (sd->at + sd->left > sd->sectors) {
		sd->response[0] = card_status(sd, OUT_OF_RANGE);
		no_transfer(sd);
		comes(sd, COMMAND);
		return true;
	}
	sd->response[0] = card_status(sd, 0);
	sd->card = sd->reads ? FAKE_SD_DATA : FAKE_SD_RECEIVE;
	sd->dma_active = sd->dma;
	comes(sd, COMMAND);
	block_comes(sd);
	return true;
}

static void command(struct fake_sd *sd, u32 value)
{
	u32 number = value >> 24;

	assert_int_equal(sd->clock & 5, 5);
	assert_int_equal(sd->power & 0xf00, 0xf00);
	assert_int_equal(sd->clock >> 25 & 3, 0);
	assert_false(sd->inhibited);
	assert_int_equal(sd->coming_count, 0);
	sd->commands[number]++;
	sd->last_argument = sd->argument;
	sd->inhibited = true;
	if (spend(&sd->mute[number]))
		return;
	if (spend(&sd->unheard[number]) || !card_command(sd, number, value)) {
		sd->illegal = true;
		comes(sd, UNANSWERED);
	}
}

/* ---- Registers ------------------------------------------------------------------------------- */

static u32 read_clock(struct fake_sd *sd)
{
	/* A reset that is over has ended DMA, and one that is not over may not yet. */
	if (sd->clock & BIT(24) && !spend(&sd->reset_polls)) {
		sd->clock &= ~BIT(24);
		sd->dma_active = false;
	}
	if (sd->clock & 6u << 24 && !spend(&sd->lines_polls)) {
		sd->clock &= ~(6u << 24);
		sd->dma_active = false;
	}
	if (sd->clock & 1 && !(sd->clock & 2) && !spend(&sd->clock_polls))
		sd->clock |= 2;
	return sd->clock;
}

static u32 read_buffer(struct fake_sd *sd)
{
	u32 value;

	assert_true(sd->buffer_ready && sd->reads);
	if (sd->switching)
		return switch_word(sd);
	memcpy(&value, sd->medium + sd->at * SECTOR + 4 * sd->word, 4);
	if (++sd->word == SECTOR / 4)
		block_moved(sd);
	return value;
}

static void write_buffer(struct fake_sd *sd, u32 value)
{
	assert_true(sd->buffer_ready && !sd->reads && !sd->switch_protects);
	memcpy(sd->medium + sd->at * SECTOR + 4 * sd->word, &value, 4);
	if (++sd->word == SECTOR / 4)
		block_moved(sd);
}

static void touched(struct fake_sd *sd)
{
	sd->accesses++;
	if (sd->access)
		sd->access();
}

u32 register_read(const void *registers, u32 offset)
{
	struct fake_sd *sd = (struct fake_sd *)(u64)registers;

	touched(sd);
	switch (offset) {
	case 0x10:
	case 0x14:
	case 0x18:
	case 0x1c:
		return sd->response[(offset - 0x10) / 4];
	case 0x20:
		return read_buffer(sd);
	case 0x24:
		update_present(sd);
		return spend(&sd->debounce_polls) ? 0 : sd->present;
	case 0x2c:
		return read_clock(sd);
	case 0x30:
		return sd->status;
	case 0x40:
		return sd->capabilities;
	default:
		fail_msg("read of register %x", offset);
		return 0;
	}
}

static void reset_all(struct fake_sd *sd)
{
	sd->resets++;
	sd->clock = BIT(24);
	sd->block = sd->argument = sd->power = sd->status = sd->enable = sd->signal = 0;
	sd->coming_count = 0;
	sd->inhibited = false;
	no_transfer(sd);
}

static void write_clock(struct fake_sd *sd, u32 value)
{
	u32 divider = (value >> 8 & 0xff) | (value >> 6 & 3) << 8;

	if (value & BIT(24)) {
		assert_int_equal(value, BIT(24));
		reset_all(sd);
		return;
	}
	assert_false(sd->clock & BIT(24));
	if (value & 6u << 24) {
		sd->line_resets++;
		sd->coming_count = 0;
		sd->inhibited = false;
		sd->status &= ~(COMMAND | TRANSFER | READ_READY | WRITE_READY);
		no_transfer(sd);
	}
	if ((sd->clock ^ value) & 0xffc0)
		assert_false((sd->clock | value) & 4); /* the divider of a clock that stands */
	if (value & 4) {
		u64 base = sd->capabilities >> 8 & 0xff ? sd->capabilities >> 8 & 0xff : 255;
		u64 hz = sd->base_hz ? sd->base_hz : base * 1000000;

		assert_true(sd->clock & 2);
		sd->hz = (u32)(hz / (divider ? 2 * divider : 1));
		assert_true(divider || sd->fast);
		assert_true(sd->hz <= (sd->fast && sd->power & 4 ? 50000000 : 25000000));
		if (sd->card < FAKE_SD_STANDBY || !sd->address)
			assert_true(sd->hz <= 400000);
	}
	sd->clock = (value & ~2u) | (value & 1 ? sd->clock & 2 : 0);
}

/* At the slow clock two writes are apart. */
static void check_apart(struct fake_sd *sd, u32 offset, u32 value)
{
	bool slow = sd->clock & 4 && ((sd->clock >> 8 & 0xff) >= 64 || sd->clock & 0xc0);

	if (slow && !(offset == 0x2c && value & BIT(24)))
		assert_true(*sd->now_us >= sd->last_write_us + 5);
	sd->last_write_us = *sd->now_us;
}

void register_write(void *registers, u32 offset, u32 value)
{
	struct fake_sd *sd = registers;

	touched(sd);
	check_apart(sd, offset, value);
	switch (offset) {
	case 0x04:
		sd->block = value;
		return;
	case 0x08:
		assert_false(sd->inhibited);
		sd->argument = value;
		return;
	case 0x0c:
		command(sd, value);
		return;
	case 0x20:
		write_buffer(sd, value);
		return;
	case 0x28:
		assert_true(sd->fast || !(value & 4)); /* the card first */
		sd->power = value;
		return;
	case 0x2c:
		write_clock(sd, value);
		return;
	case 0x30:
		sd->status &= ~value;
		return;
	case 0x34:
		sd->enable = value;
		return;
	case 0x38:
		sd->signal = value;
		return;
	case 0x58:
		assert_false(sd->dma_active);
		sd->table = value;
		return;
	default:
		fail_msg("write of register %x", offset);
	}
}
