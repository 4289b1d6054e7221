/*
 * Identification of an SD card, from the reset of the controller to the fast clock (sdhci_private.h).
 *
 * Each step sends a command or waits for something, and returns, as the head of sdhci.c says. A command
 * that is refused ends it all: no card answers.
 */
#include "drivers/sdhci_private.h"

/* Commands, PL 4.7.4. */
enum {
	GO_IDLE = 0,
	ALL_SEND_CID = 2,
	SEND_RELATIVE_ADDRESS = 3,
	SET_BUS_WIDTH = 6,   /* ACMD */
	SWITCH_FUNCTION = 6, /* no ACMD */
	SELECT_CARD = 7,
	SEND_IF_COND = 8,
	SEND_CSD = 9,
	SET_BLOCK_LENGTH = 16,
	SEND_OP_COND = 41, /* ACMD */
	APPLICATION = 55,
};

#define IF_COND_PATTERN 0x1aau	    /* 2.7 to 3.6 V; PL 4.3.13 */
#define OCR_VOLTAGES	0x00ff8000u /* PL 5.1 */
#define OCR_LARGE	BIT(30)
#define OCR_READY	BIT(31)
#define BUS_WIDTH_4	2u

#define CLOCK_SLOW_HZ 400000u
#define CLOCK_FAST_HZ 25000000u
#define CLOCK_HIGH_HZ 50000000u
#define BASE_MOST_HZ  255000000u /* what the capabilities can say at most, if they say nothing */

/* PL 4.3.10: sets function 1 of group 1, high speed, and no other. The answer is 64 bytes, of which one has group 1. */
#define SWITCH_HIGH_SPEED 0x80fffff1u
#define SWITCH_BYTES	  64u
#define SWITCH_WORD	  4u
#define SWITCH_GROUP_1	  0xfu

#define SETTLE_US  5000u /* 74 clocks after power, PL 6.4.1; the lines, if they just went to 3.3 V */
#define OP_COND_US 10000u /* between two SEND_OP_COND */

/* An application command: APPLICATION goes before it. */
static void application(struct sdhci *sd, sdhci_step answered)
{
	sdhci_send(sd, APPLICATION, sd->address, RESPONSE_48, answered);
}

/* ---- The clock ------------------------------------------------------------------------------- */

/* The smallest divider, a power of two, that is slow enough; HC 2.2.14: base / (2 * divider). */
static u32 divider(const struct sdhci *sd, u32 hz)
{
	u32 base = sd->place.clock_hz;
	u32 n = 0;

	if (!base)
		base = (sdhci_read(sd, CAPABILITIES) >> 8 & 0xff) * 1000000u;
	if (!base)
		base = BASE_MOST_HZ;
	if (base <= hz)
		return 0;
	for (n = 1; n < 512 && base / (2 * n) > hz; n *= 2)
		;
	return n;
}

static void clock_started(struct sdhci *sd)
{
	u32 clock = sdhci_read(sd, RESET_CLOCK);

	if (!(clock & CLOCK_STABLE)) {
		sdhci_poll(sd, POLL_US, clock_started, sdhci_no_use);
		return;
	}
	sdhci_write(sd, RESET_CLOCK, clock | CLOCK_CARD);
	sd->then(sd);
}

/* The card's clock stands: only then its divider may be changed, HC 3.2.3. */
static void start_clock(struct sdhci *sd, u32 hz, sdhci_step then)
{
	sd->then = then;
	sd->polls = 0;
	sdhci_write(sd, RESET_CLOCK,
		    TIMEOUT_LONGEST | CLOCK_DIVIDER(divider(sd, hz)) | CLOCK_INTERNAL);
	sdhci_wait(sd, POLL_US, clock_started);
}

/* ---- The steps, the last one first, PL 4.2 ---------------------------------------------------- */

static void identified(struct sdhci *sd)
{
	sd->said = false;
	sd->known = true;
	sd->state = SDHCI_READY;
	sdhci_rest(sd);
}

static void host_is_fast(struct sdhci *sd)
{
	sdhci_write(sd, POWER_WIDTH, POWER_3_3V | WIDTH_4 | HIGH_SPEED | sd->adma);
	start_clock(sd, CLOCK_HIGH_HZ, identified);
}

static void switched(struct sdhci *sd)
{
	sd->switching = false;
	if (!sd->granted) {
		identified(sd);
		return;
	}
	sdhci_write(sd, RESET_CLOCK, sdhci_read(sd, RESET_CLOCK) & ~CLOCK_CARD);
	sdhci_wait(sd, APART_US, host_is_fast);
}

void sdhci_switch_data(struct sdhci *sd)
{
	for (u32 i = 0; i < SWITCH_BYTES / 4; i++) {
		u32 word = sdhci_read(sd, BUFFER);

		if (i == SWITCH_WORD)
			sd->granted = (word & SWITCH_GROUP_1) == 1;
	}
}

void sdhci_go_plain(struct sdhci *sd)
{
	sd->plain = true;
	sdhci_identify(sd);
}

/* At the fast clock, where writes need not be apart, the card is asked whether it has another. */
static void clock_is_fast(struct sdhci *sd)
{
	sd->slow = false;
	if (!sd->switches || sd->plain || !(sdhci_read(sd, CAPABILITIES) & CAPABLE_HIGH_SPEED)) {
		identified(sd);
		return;
	}
	sd->switching = true;
	sdhci_write(sd, BLOCK_COUNT_SIZE, 1u << 16 | SWITCH_BYTES);
	sdhci_send(sd, SWITCH_FUNCTION, SWITCH_HIGH_SPEED, RESPONSE_48 | COMMAND_DATA | MODE_READ,
		   switched);
	sd->refused = sdhci_go_plain;
}

static void clock_stands(struct sdhci *sd)
{
	start_clock(sd, CLOCK_FAST_HZ, clock_is_fast);
}

static void block_length_set(struct sdhci *sd)
{
	sdhci_write(sd, RESET_CLOCK, sdhci_read(sd, RESET_CLOCK) & ~CLOCK_CARD);
	sdhci_wait(sd, APART_US, clock_stands);
}

static void width_set(struct sdhci *sd)
{
	sdhci_write(sd, POWER_WIDTH, POWER_3_3V | WIDTH_4 | sd->adma);
	sdhci_send(sd, SET_BLOCK_LENGTH, BLOCK_SECTOR_BYTES, RESPONSE_48, block_length_set);
}

static void width_next(struct sdhci *sd)
{
	sdhci_send(sd, SET_BUS_WIDTH, BUS_WIDTH_4, RESPONSE_48, width_set);
}

static void selected(struct sdhci *sd)
{
	application(sd, width_next);
}

/* Bits of a response of 136, numbered as in the card's register; the controller drops bits 7:0. */
static u32 bits(const struct sdhci *sd, u32 high, u32 low)
{
	u32 word = (low - 8) / 32, shift = (low - 8) % 32, count = high - low + 1;
	u64 pair = sdhci_read(sd, RESPONSE + 4 * word);

	if (word < 3)
		pair |= (u64)sdhci_read(sd, RESPONSE + 4 * word + 4) << 32;
	return (u32)(pair >> shift) & (u32)(BIT(count) - 1);
}

/* PL 5.3: how many sectors the card has; 0: it is none that can be used. */
static u64 card_sectors(const struct sdhci *sd)
{
	u32 structure = bits(sd, 127, 126), length = bits(sd, 83, 80);

	if (structure > 1)
		return 0; /* larger than 2 TiB: another way to address it */
	if (structure == 1)
		return ((u64)bits(sd, 69, 48) + 1) * 1024;
	if (length < 9)
		return 0;
	return ((u64)bits(sd, 73, 62) + 1) << (bits(sd, 49, 47) + 2 + length - 9);
}

static void has_csd(struct sdhci *sd)
{
	u64 sectors = card_sectors(sd);

	if (!sectors) {
		sdhci_no_use(sd);
		return;
	}
	sd->switches = bits(sd, 94, 94); /* command class 10 */
	sd->writable = sdhci_read(sd, PRESENT) & PRESENT_WRITABLE && !bits(sd, 13, 12);
	if (!sd->known) {
		sd->device.sectors = sectors;
		sd->device.read_only = !sd->writable;
	}
	sdhci_send(sd, SELECT_CARD, sd->address, RESPONSE_BUSY, selected);
}

static void has_address(struct sdhci *sd)
{
	sd->address = sdhci_read(sd, RESPONSE) & 0xffff0000u;
	sdhci_send(sd, SEND_CSD, sd->address, RESPONSE_136, has_csd);
}

static void has_cid(struct sdhci *sd)
{
	bool same = true;

	for (u32 i = 0; i < 4; i++) {
		/* Above bit 119 stands what an earlier command left there, HC 2.2.7. */
		u32 word = sdhci_read(sd, RESPONSE + 4 * i) & (i == 3 ? 0xffffffu : ~0u);

		same = same && sd->cid[i] == word;
		if (!sd->known)
			sd->cid[i] = word;
	}
	if (sd->known && !same)
		sdhci_give_up(sd, "another card than before: not taken, for guests would write to "
				  "it what they read from the first");
	else
		sdhci_send(sd, SEND_RELATIVE_ADDRESS, 0, RESPONSE_48, has_address);
}

static void ask_condition(struct sdhci *sd);

static void has_condition(struct sdhci *sd)
{
	u32 ocr = sdhci_read(sd, RESPONSE);

	if (ocr & OCR_READY) {
		sd->large = ocr & OCR_LARGE;
		sdhci_send(sd, ALL_SEND_CID, 0, RESPONSE_136, has_cid);
	} else {
		sdhci_poll(sd, OP_COND_US, ask_condition, sdhci_no_use);
	}
}

static void condition_next(struct sdhci *sd)
{
	sdhci_send(sd, SEND_OP_COND, OCR_VOLTAGES | (sd->version2 ? OCR_LARGE : 0), RESPONSE_OCR,
		   has_condition);
}

static void ask_condition(struct sdhci *sd)
{
	application(sd, condition_next);
}

static void has_if_cond(struct sdhci *sd)
{
	sd->version2 = (sdhci_read(sd, RESPONSE) & 0xfff) == IF_COND_PATTERN;
	ask_condition(sd);
}

static void is_idle(struct sdhci *sd)
{
	sdhci_send(sd, SEND_IF_COND, IF_COND_PATTERN, RESPONSE_48, has_if_cond);
	sd->version2 = false;
	/* A card before version 2 does not know the command. */
	sd->refused = ask_condition;
	sd->polls = 0;
}

static void go_idle(struct sdhci *sd)
{
	sd->address = 0;
	sdhci_send(sd, GO_IDLE, 0, RESPONSE_NONE, is_idle);
}

static void settle(struct sdhci *sd)
{
	sdhci_wait(sd, SETTLE_US, go_idle);
}

static void power(struct sdhci *sd)
{
	if (sd->place.removable && !(sdhci_read(sd, PRESENT) & PRESENT_STABLE)) {
		sdhci_poll(sd, POLL_US, power, sdhci_no_use);
		return;
	}
	if (!sdhci_card_there(sd)) {
		sdhci_give_up(sd, 0);
		return;
	}
	sdhci_write(sd, POWER_WIDTH, POWER_3_3V);
	start_clock(sd, CLOCK_SLOW_HZ, settle);
}

static void controller_reset(struct sdhci *sd)
{
	if (sdhci_read(sd, RESET_CLOCK) & RESET_ALL) {
		sdhci_poll(sd, POLL_US, controller_reset, sdhci_no_use);
		return;
	}
	sdhci_stands(sd);
	sdhci_write(sd, STATUS_ENABLE, sd->wanted);
	sdhci_hear(sd, sd->wanted);
	sd->polls = 0;
	power(sd);
}

void sdhci_identify(struct sdhci *sd)
{
	sd->state = SDHCI_IDENTIFYING;
	sd->awaited = 0;
	sd->started = sd->switching = sd->granted = false;
	sd->slow = true;
	sd->polls = 0;
	sdhci_write(sd, RESET_CLOCK, RESET_ALL);
	sdhci_wait(sd, POLL_US, controller_reset);
}
