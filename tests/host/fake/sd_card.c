/* The commands of the card in the slot that sd_host.c plays; see sd_host.h. */
#include <string.h>
#include "sd_parts.h"

#define SECTOR	512u
#define ILLEGAL BIT(22)

bool spend(u32 *count)
{
	if (!*count)
		return false;
	if (*count != FAKE_SD_FOR_EVER)
		--*count;
	return true;
}

u32 card_status(struct fake_sd *sd, u32 more)
{
	u32 status = (u32)sd->card << 9 | (sd->illegal ? ILLEGAL : 0) | more | BIT(8);

	sd->illegal = false;
	return status;
}

static void set_bits(u32 *response, u32 high, u32 low, u64 value)
{
	for (u32 bit = low; bit <= high; bit++, value >>= 1)
		if (value & 1)
			response[(bit - 8) / 32] |= 1u << (bit - 8) % 32;
}

/* PL 5.3.2 and 5.3.3. */
static void answer_csd(struct fake_sd *sd)
{
	u32 length = sd->sectors > 2 * MIB ? 10 : 9; /* of a block: 2 GiB cards have larger ones */

	memset(sd->response, 0, 15);
	set_bits(sd->response, 13, 12, sd->csd_protects);
	set_bits(sd->response, 95, 84, 0x1b5 | (sd->switches ? BIT(10) : 0));
	if (sd->large) {
		set_bits(sd->response, 127, 126, sd->csd_structure ? sd->csd_structure : 1);
		set_bits(sd->response, 69, 48, sd->sectors / 1024 - 1);
		set_bits(sd->response, 83, 80, 9); /* fixed */
		return;
	}
	set_bits(sd->response, 83, 80, length);
	set_bits(sd->response, 49, 47, sd->sectors < 2048 ? 0 : 7);
	set_bits(sd->response, 73, 62,
		 (sd->sectors >> (length - 9) >> (sd->sectors < 2048 ? 2 : 9)) - 1);
}

/* Bits 127:120 keep what is there, HC 2.2.7. */
static void answer_cid(struct fake_sd *sd)
{
	memcpy(sd->response, sd->cid, 12);
	sd->response[3] = (sd->response[3] & 0xff000000) | (sd->cid[3] & 0xffffff);
}

static bool answers(struct fake_sd *sd, enum fake_sd_state next)
{
	sd->response[0] = card_status(sd, 0);
	sd->card = next;
	comes(sd, COMMAND);
	return true;
}

static bool stop_command(struct fake_sd *sd)
{
	if (sd->stop_unneeded || (sd->card != FAKE_SD_DATA && sd->card != FAKE_SD_RECEIVE)) {
		sd->card = FAKE_SD_TRANSFER;
		return false;
	}
	answers(sd, sd->busy_polls ? FAKE_SD_PROGRAM : FAKE_SD_TRANSFER);
	comes(sd, TRANSFER);
	return true;
}

static bool op_cond(struct fake_sd *sd)
{
	bool ready = sd->op_conds++ >= sd->ready_polls && sd->argument & 0x00ff8000;

	if (sd->large && !(sd->argument & BIT(30)))
		ready = false;
	if (sd->version1)
		assert_false(sd->argument & BIT(30));
	sd->response[0] = 0x00ff8000 | (ready ? BIT(31) | (sd->large ? BIT(30) : 0) : 0);
	if (ready)
		sd->card = FAKE_SD_READY;
	comes(sd, COMMAND);
	return true;
}

static bool selected(const struct fake_sd *sd)
{
	return (sd->argument & 0xffff0000) == sd->address && sd->address;
}

static bool identification_command(struct fake_sd *sd, u32 number)
{
	switch (number) {
	case 0:
		sd->card = FAKE_SD_IDLE;
		sd->address = sd->op_conds = 0;
		sd->fast = false;
		comes(sd, COMMAND);
		return true;
	case 2:
		answer_cid(sd);
		sd->card = FAKE_SD_IDENT;
		comes(sd, COMMAND);
		return true;
	case 3:
		answers(sd, FAKE_SD_STANDBY);
		sd->address = 0xbeef0000;
		sd->response[0] = sd->address | 0x500;
		return true;
	case 8:
		sd->response[0] = sd->argument;
		if (!sd->version1)
			comes(sd, COMMAND);
		return !sd->version1;
	default:
		return false;
	}
}

/* PL 4.3.10: a block of 64 bytes; as soon as it is read the card is at high speed. */
static bool switch_function(struct fake_sd *sd, u32 flags)
{
	assert_int_equal(flags & 0x3f0037, 0x3a0010); /* data, read, one block, no DMA */
	assert_int_equal(sd->block, 1u << 16 | 64);
	assert_int_equal(sd->argument, 0x80fffff1);
	if (!sd->switches || sd->card != FAKE_SD_TRANSFER)
		return false;
	sd->response[0] = card_status(sd, 0);
	comes(sd, COMMAND);
	if (spend(&sd->silent_blocks))
		return true;
	if (spend(&sd->bad_blocks)) {
		comes(sd, BAD_DATA);
		return true;
	}
	sd->switching = sd->buffer_ready = sd->reads = true;
	sd->word = 0;
	comes(sd, READ_READY);
	return true;
}

u32 switch_word(struct fake_sd *sd)
{
	u32 word = sd->word++;

	if (sd->word == 16) {
		sd->switching = sd->buffer_ready = false;
		sd->fast = !sd->refuses_switch;
		comes(sd, TRANSFER);
	}
	return word == 4 ? 0x100 | (sd->refuses_switch ? 0xf : 1) : ~word;
}

bool card_command(struct fake_sd *sd, u32 number, u32 flags)
{
	bool application = sd->application;
	bool ready = sd->card == FAKE_SD_TRANSFER;

	sd->application = false;
	if (!sd->inserted)
		return false;
	switch (number) {
	case 6:
		return application ? ready && answers(sd, sd->card) : switch_function(sd, flags);
	case 7:
		if (sd->card != FAKE_SD_STANDBY || !selected(sd))
			return false;
		answers(sd, FAKE_SD_TRANSFER);
		comes(sd, TRANSFER);
		return true;
	case 9:
		if (sd->card != FAKE_SD_STANDBY || !selected(sd))
			return false;
		answer_csd(sd);
		comes(sd, COMMAND);
		return true;
	case 12:
		assert_int_equal(flags >> 22 & 3, 3);
		return stop_command(sd);
	case 13:
		if (!selected(sd))
			return false;
		if (!spend(&sd->busy_polls) && sd->card == FAKE_SD_PROGRAM)
			sd->card = FAKE_SD_TRANSFER;
		return answers(sd, sd->card);
	case 16:
		assert_int_equal(sd->argument, SECTOR);
		return ready && answers(sd, sd->card);
	case 18:
	case 25:
		return data_command(sd, number, flags);
	case 41:
		return application && sd->card == FAKE_SD_IDLE && op_cond(sd);
	case 55:
		sd->application = sd->card == FAKE_SD_IDLE || selected(sd);
		return sd->application && answers(sd, sd->card);
	default:
		return identification_command(sd, number);
	}
}
