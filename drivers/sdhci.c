/*
 * Driver for SD host controllers (sdhci.h).
 *
 * Owns:  struct sdhci and the registers.
 * Locks: lock guards `request` between submit, on any core, and the rest, which runs on the
 *	  interrupt's core alone. `done` is called without it.
 *
 * What comes next is always one of two functions: `answered`, when the command that was sent has
 * ended, and `later`, when the timer fires. A step sets them, begins something and returns. While
 * anything is under way `later` is set, so everything ends; when it is not, the next request begins.
 *
 * Registers are written in whole words: the controllers of the Raspberry Pi know nothing else.
 * Sections: HC is the host controller's specification, PL the physical layer's.
 */
#include "drivers/sdhci.h"

#include "arch/arm64/cache.h"
#include "arch/arm64/lock.h"
#include "arch/arm64/mmu.h"
#include "core/base/log.h"
#include "drivers/registers.h"

/* HC 2.2; two or more of the specification's registers to a word. */
enum {
	BLOCK_COUNT_SIZE = 0x04,
	ARGUMENT = 0x08,
	COMMAND_MODE = 0x0c,
	RESPONSE = 0x10, /* four words */
	BUFFER = 0x20,
	PRESENT = 0x24,
	POWER_WIDTH = 0x28,
	RESET_CLOCK = 0x2c,
	STATUS = 0x30,
	STATUS_ENABLE = 0x34,
	SIGNAL_ENABLE = 0x38,
	CAPABILITIES = 0x40,
};

/* PRESENT, HC 2.2.9. */
#define PRESENT_CARD	 BIT(16)
#define PRESENT_STABLE	 BIT(17)
#define PRESENT_WRITABLE BIT(19)

/* POWER_WIDTH, HC 2.2.10 and 2.2.11. */
#define WIDTH_4	   BIT(1)
#define POWER_3_3V (0xfu << 8)

/* RESET_CLOCK, HC 2.2.14 to 2.2.16. */
#define CLOCK_INTERNAL	 BIT(0)
#define CLOCK_STABLE	 BIT(1)
#define CLOCK_CARD	 BIT(2)
#define CLOCK_DIVIDER(n) (((n)&0xffu) << 8 | ((n) >> 8 & 3u) << 6)
#define TIMEOUT_LONGEST	 (0xeu << 16)
#define RESET_ALL	 BIT(24)
#define RESET_LINES	 (BIT(25) | BIT(26))

/* STATUS and its enables, HC 2.2.17 and 2.2.18. */
#define STATUS_COMMAND	BIT(0)
#define STATUS_TRANSFER BIT(1)
#define STATUS_WRITE	BIT(4)
#define STATUS_READ	BIT(5)
#define STATUS_INSERTED BIT(6)
#define STATUS_REMOVED	BIT(7)
#define STATUS_DATA	(STATUS_WRITE | STATUS_READ)
#define STATUS_CARD	(STATUS_INSERTED | STATUS_REMOVED)
#define STATUS_UNHEARD	0x000f0000u /* the command: no answer, or not a good one */
#define STATUS_LATE	BIT(20)	    /* data */
#define STATUS_ERRORS	0x01ff0000u
#define STATUS_WANTED	(STATUS_COMMAND | STATUS_TRANSFER | STATUS_DATA | STATUS_ERRORS)

/* COMMAND_MODE, HC 2.2.5 and 2.2.6. */
#define MODE_COUNT	  BIT(1)
#define MODE_AUTO_STOP	  BIT(2)
#define MODE_READ	  BIT(4)
#define MODE_MULTI	  BIT(5)
#define RESPONSE_NONE	  0u
#define RESPONSE_136	  (1u << 16 | BIT(19)) /* R2: CRC is checked, the index is not there */
#define RESPONSE_48	  (2u << 16 | BIT(19) | BIT(20))
#define RESPONSE_OCR	  (2u << 16) /* R3: neither */
#define RESPONSE_BUSY	  (3u << 16 | BIT(19) | BIT(20))
#define COMMAND_DATA	  BIT(21)
#define COMMAND_ABORT	  (3u << 22)
#define COMMAND_NUMBER(n) ((u32)(n) << 24)

/* Commands, PL 4.7.4. */
enum {
	GO_IDLE = 0,
	ALL_SEND_CID = 2,
	SEND_RELATIVE_ADDRESS = 3,
	SET_BUS_WIDTH = 6, /* ACMD */
	SELECT_CARD = 7,
	SEND_IF_COND = 8,
	SEND_CSD = 9,
	STOP_TRANSMISSION = 12,
	SEND_STATUS = 13,
	SET_BLOCK_LENGTH = 16,
	READ_MULTIPLE = 18,
	WRITE_MULTIPLE = 25,
	SEND_OP_COND = 41, /* ACMD */
	APPLICATION = 55,
};

#define IF_COND_PATTERN 0x1aau	    /* 2.7 to 3.6 V; PL 4.3.13 */
#define OCR_VOLTAGES	0x00ff8000u /* PL 5.1 */
#define OCR_LARGE	BIT(30)
#define OCR_READY	BIT(31)
#define BUS_WIDTH_4	2u

/* The status that a card answers with, PL 4.10.1. */
#define CARD_ERRORS	  0xfdf98000u
#define CARD_OUT_OF_RANGE BIT(31)
#define CARD_STATE	  (0xfu << 9)
#define CARD_TRANSFER	  (4u << 9) /* ready for data commands */

#define CLOCK_SLOW_HZ 400000u
#define CLOCK_FAST_HZ 25000000u
#define BASE_MOST_HZ  255000000u /* what the capabilities can say at most, if they say nothing */

#define APART_US   20u	  /* between two writes at the slow clock, see send() */
#define POLL_US	   1000u  /* between two looks at something that takes a moment */
#define SETTLE_US  2000u  /* 74 clocks after power, PL 6.4.1 */
#define OP_COND_US 10000u /* between two SEND_OP_COND */
#define BUSY_US	   10000u /* between two looks at a card that still writes */
/* No answer (64 clocks, PL 4.12.4) or no block (500 ms to write one, PL 4.6.2.2): the controller
 * hangs. */
#define ANSWER_US 100000u
#define BLOCK_US  2000000u
/*
 * After each block, and before the next request: as long as a block takes at the fast clock. In that time
 * the guests of the core have it for themselves, whatever others ask of the card.
 */
#define PAUSE_US 50u
#define POLLS	 100u /* of any kind, then the card or the controller is given up */
#define RESETS	 3u   /* of the controller, for one request */

#define BLOCK_WORDS (BLOCK_SECTOR_BYTES / 4)

/*
 * Absent: no card, or none that can be used; a request has it looked for again, or fails.
 * Identifying: it is being identified, from nothing.
 */
enum state { SD_ABSENT, SD_IDENTIFYING, SD_READY };

struct sdhci {
	struct block_device device; /* first: converted by a cast */
	struct sdhci_place place;
	struct spinlock lock;
	struct block_request *request; /* taken, and not done yet */

	/* The interrupt's core alone. */
	enum state state;
	void (*answered)(struct sdhci *sd, bool good);
	void (*later)(struct sdhci *sd);
	void (*then)(struct sdhci *sd); /* when the lines are reset, or the clock runs */
	u32 awaited;			/* bits of STATUS that the command's end is made of */
	u32 argument, command;
	bool slow; /* the clock is that of identification */
	u32 polls;
	u32 resets;
	bool said;  /* that there is no card */
	bool known; /* a card was identified before: another one in its place is not taken */
	u32 cid[4];
	bool version2; /* it answered SEND_IF_COND */
	bool large;    /* addresses are sectors, not bytes */
	bool writable; /* now; the device's read_only is what it was when it was found */
	u32 address;   /* its relative card address, in bits 31:16 */
	bool started;  /* the command that is out is the request's */
	u32 done_blocks, blocks;
};

static u32 read(const struct sdhci *sd, u32 offset)
{
	return register_read(sd->place.registers, offset);
}

static void write(struct sdhci *sd, u32 offset, u32 value)
{
	register_write(sd->place.registers, offset, value);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static void wait(struct sdhci *sd, u32 microseconds, void (*later)(struct sdhci *sd))
{
	sd->later = later;
	sd->place.set_timer(sd->place.context, microseconds);
}

static void nothing_under_way(struct sdhci *sd)
{
	sd->later = 0;
	sd->place.set_timer(sd->place.context, 0);
}

/* A slot that sees no cards says nothing about them. */
static u32 wanted(const struct sdhci *sd)
{
	return STATUS_WANTED | (sd->place.removable ? STATUS_CARD : 0);
}

static void hangs(struct sdhci *sd);

static void write_command(struct sdhci *sd)
{
	wait(sd, sd->awaited & STATUS_TRANSFER ? BLOCK_US : ANSWER_US, hangs);
	write(sd, COMMAND_MODE, sd->command);
}

static void write_argument(struct sdhci *sd)
{
	write(sd, ARGUMENT, sd->argument);
	sd->slow ? wait(sd, APART_US, write_command) : write_command(sd);
}

/*
 * A command is over when it is answered, and if the card is busy then or data moves, when that is
 * over too (HC 2.2.18).
 *
 * The Arasan controller of the Raspberry Pi loses one of two writes within two clocks of the card. At
 * the slow clock these are 5 us, so the writes are steps, and `answered` is called a step after the
 * interrupt, which has written to STATUS.
 */
static void send(struct sdhci *sd, u32 number, u32 argument, u32 flags,
		 void (*answered)(struct sdhci *sd, bool good))
{
	bool long_one = flags & COMMAND_DATA || (flags & RESPONSE_BUSY) == RESPONSE_BUSY;

	sd->answered = answered;
	sd->awaited = STATUS_COMMAND | (long_one ? STATUS_TRANSFER : 0);
	sd->argument = argument;
	sd->command = COMMAND_NUMBER(number) | flags;
	sd->slow ? wait(sd, APART_US, write_argument) : write_argument(sd);
}

/* An application command: APPLICATION goes before it, and its answer is not looked at. */
static void application(struct sdhci *sd, void (*answered)(struct sdhci *sd, bool good))
{
	send(sd, APPLICATION, sd->address, RESPONSE_48, answered);
}

static void lines_reset(struct sdhci *sd)
{
	if (!(read(sd, RESET_CLOCK) & RESET_LINES))
		sd->then(sd);
	else
		++sd->polls < POLLS ? wait(sd, POLL_US, lines_reset) : hangs(sd);
}

/* After an error: of commands and of data; HC 3.10.1. */
static void reset_lines(struct sdhci *sd, void (*then)(struct sdhci *sd))
{
	sd->awaited = 0;
	sd->then = then;
	sd->polls = 0;
	write(sd, RESET_CLOCK, read(sd, RESET_CLOCK) | RESET_LINES);
	lines_reset(sd);
}

static struct block_request *taken(struct sdhci *sd)
{
	struct block_request *request;

	spin_lock(&sd->lock);
	request = sd->request;
	spin_unlock(&sd->lock);
	return request;
}

/* Then sdhci_timer() begins the next request. */
static void rested(struct sdhci *sd)
{
	(void)sd;
}

/* Does not begin another: that waits until the pause is over, or what the caller begins after it. */
static void end_request(struct sdhci *sd, enum weir_status status)
{
	struct block_request *request;

	sd->started = false;
	sd->resets = 0;
	spin_lock(&sd->lock);
	request = sd->request;
	sd->request = 0;
	spin_unlock(&sd->lock);
	if (!request)
		return;
	wait(sd, PAUSE_US, rested);
	request->done(request, status);
}

static void identify(struct sdhci *sd);

/* ---- The card is gone, or no use ------------------------------------------------------------- */

/* `why` is 0 if there is simply none. Said once, until something changes. */
static void give_up(struct sdhci *sd, const char *why)
{
	if (why && !sd->said)
		log_line("%s: %s", sd->device.name, why);
	sd->said = true;
	sd->awaited = 0;
	nothing_under_way(sd);
	sd->state = SD_ABSENT;
	end_request(sd, WEIR_IO);
}

static void no_use(struct sdhci *sd)
{
	give_up(sd, "no SD card answers");
}

static bool card_there(const struct sdhci *sd)
{
	return !sd->place.removable || read(sd, PRESENT) & PRESENT_CARD;
}

/* ---- Identification, PL 4.2 ------------------------------------------------------------------- */

/* The smallest divider, a power of two, that is slow enough; HC 2.2.14: base / (2 * divider). */
static u32 divider(const struct sdhci *sd, u32 hz)
{
	u32 base = sd->place.clock_hz;
	u32 n = 0;

	if (!base)
		base = (read(sd, CAPABILITIES) >> 8 & 0xff) * 1000000u;
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
	u32 clock = read(sd, RESET_CLOCK);

	if (!(clock & CLOCK_STABLE)) {
		++sd->polls < POLLS ? wait(sd, POLL_US, clock_started) : no_use(sd);
		return;
	}
	write(sd, RESET_CLOCK, clock | CLOCK_CARD);
	sd->then(sd);
}

/* The card's clock stands: only then its divider may be changed, HC 3.2.3. */
static void start_clock(struct sdhci *sd, u32 hz, void (*then)(struct sdhci *sd))
{
	sd->then = then;
	sd->polls = 0;
	write(sd, RESET_CLOCK, TIMEOUT_LONGEST | CLOCK_DIVIDER(divider(sd, hz)) | CLOCK_INTERNAL);
	wait(sd, POLL_US, clock_started);
}

static void identified(struct sdhci *sd)
{
	sd->slow = false;
	sd->said = false;
	sd->known = true;
	sd->state = SD_READY;
	nothing_under_way(sd);
}

static void clock_stands(struct sdhci *sd)
{
	start_clock(sd, CLOCK_FAST_HZ, identified);
}

static void block_length_set(struct sdhci *sd, bool good)
{
	if (!good) {
		no_use(sd);
		return;
	}
	write(sd, RESET_CLOCK, read(sd, RESET_CLOCK) & ~CLOCK_CARD);
	wait(sd, APART_US, clock_stands);
}

static void width_set(struct sdhci *sd, bool good)
{
	if (!good) {
		no_use(sd);
		return;
	}
	write(sd, POWER_WIDTH, POWER_3_3V | WIDTH_4);
	send(sd, SET_BLOCK_LENGTH, BLOCK_SECTOR_BYTES, RESPONSE_48, block_length_set);
}

static void width_next(struct sdhci *sd, bool good)
{
	(void)good;
	send(sd, SET_BUS_WIDTH, BUS_WIDTH_4, RESPONSE_48, width_set);
}

static void selected(struct sdhci *sd, bool good)
{
	good ? application(sd, width_next) : no_use(sd);
}

/* Bits of a response of 136, numbered as in the card's register; the controller drops bits 7:0. */
static u32 bits(const struct sdhci *sd, u32 high, u32 low)
{
	u32 word = (low - 8) / 32, shift = (low - 8) % 32, count = high - low + 1;
	u64 pair = read(sd, RESPONSE + 4 * word);

	if (word < 3)
		pair |= (u64)read(sd, RESPONSE + 4 * word + 4) << 32;
	return (u32)(pair >> shift) & (u32)(BIT(count) - 1);
}

/* PL 5.3: how many sectors the card has. */
static u64 card_sectors(const struct sdhci *sd)
{
	u32 length, multiplier;

	if (bits(sd, 127, 126) > 1)
		return 0; /* larger than 2 TiB: another way to address it */
	if (bits(sd, 127, 126) == 1)
		return ((u64)bits(sd, 69, 48) + 1) * 1024;
	length = bits(sd, 83, 80);
	multiplier = bits(sd, 49, 47);
	if (length < 9)
		return 0;
	return ((u64)bits(sd, 73, 62) + 1) << (multiplier + 2 + length - 9);
}

static void has_csd(struct sdhci *sd, bool good)
{
	u64 sectors = good ? card_sectors(sd) : 0;

	if (!sectors) {
		no_use(sd);
		return;
	}
	sd->writable = read(sd, PRESENT) & PRESENT_WRITABLE && !bits(sd, 13, 12);
	if (!sd->known) {
		sd->device.sectors = sectors;
		sd->device.read_only = !sd->writable;
	}
	send(sd, SELECT_CARD, sd->address, RESPONSE_BUSY, selected);
}

static void has_address(struct sdhci *sd, bool good)
{
	if (!good) {
		no_use(sd);
		return;
	}
	sd->address = read(sd, RESPONSE) & 0xffff0000u;
	send(sd, SEND_CSD, sd->address, RESPONSE_136, has_csd);
}

static void has_cid(struct sdhci *sd, bool good)
{
	bool same = true;

	for (u32 i = 0; i < 4 && good; i++) {
		/* Above bit 119 stands what an earlier command left there, HC 2.2.7. */
		u32 word = read(sd, RESPONSE + 4 * i) & (i == 3 ? 0xffffffu : ~0u);

		same = same && sd->cid[i] == word;
		if (!sd->known)
			sd->cid[i] = word;
	}
	if (!good)
		no_use(sd);
	else if (sd->known && !same)
		give_up(sd, "another card than before: not taken, for guests would write to it "
			    "what they read from the first");
	else
		send(sd, SEND_RELATIVE_ADDRESS, 0, RESPONSE_48, has_address);
}

static void ask_condition(struct sdhci *sd);

static void has_condition(struct sdhci *sd, bool good)
{
	u32 ocr = read(sd, RESPONSE);

	if (good && ocr & OCR_READY) {
		sd->large = ocr & OCR_LARGE;
		send(sd, ALL_SEND_CID, 0, RESPONSE_136, has_cid);
	} else if (good && ++sd->polls < POLLS) {
		wait(sd, OP_COND_US, ask_condition);
	} else {
		no_use(sd);
	}
}

static void condition_next(struct sdhci *sd, bool good)
{
	if (!good) {
		no_use(sd);
		return;
	}
	send(sd, SEND_OP_COND, OCR_VOLTAGES | (sd->version2 ? OCR_LARGE : 0), RESPONSE_OCR,
	     has_condition);
}

static void ask_condition(struct sdhci *sd)
{
	application(sd, condition_next);
}

/* A card before version 2 does not know the command. */
static void has_if_cond(struct sdhci *sd, bool good)
{
	sd->version2 = good && (read(sd, RESPONSE) & 0xfff) == IF_COND_PATTERN;
	sd->polls = 0;
	ask_condition(sd);
}

static void is_idle(struct sdhci *sd, bool good)
{
	(void)good;
	send(sd, SEND_IF_COND, IF_COND_PATTERN, RESPONSE_48, has_if_cond);
}

static void go_idle(struct sdhci *sd)
{
	sd->address = 0;
	send(sd, GO_IDLE, 0, RESPONSE_NONE, is_idle);
}

static void settle(struct sdhci *sd)
{
	wait(sd, SETTLE_US, go_idle);
}

static void power(struct sdhci *sd)
{
	if (sd->place.removable && !(read(sd, PRESENT) & PRESENT_STABLE)) {
		++sd->polls < POLLS ? wait(sd, POLL_US, power) : no_use(sd);
		return;
	}
	if (!card_there(sd)) {
		give_up(sd, 0);
		return;
	}
	write(sd, POWER_WIDTH, POWER_3_3V);
	start_clock(sd, CLOCK_SLOW_HZ, settle);
}

static void controller_reset(struct sdhci *sd)
{
	if (read(sd, RESET_CLOCK) & RESET_ALL) {
		++sd->polls < POLLS ? wait(sd, POLL_US, controller_reset) : no_use(sd);
		return;
	}
	write(sd, STATUS_ENABLE, wanted(sd));
	write(sd, SIGNAL_ENABLE, wanted(sd));
	sd->polls = 0;
	power(sd);
}

static void identify(struct sdhci *sd)
{
	sd->state = SD_IDENTIFYING;
	sd->awaited = 0;
	sd->started = false;
	sd->slow = true;
	sd->polls = 0;
	write(sd, RESET_CLOCK, RESET_ALL);
	wait(sd, POLL_US, controller_reset);
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* From the beginning: the controller is reset, the card identified, the request sent again. */
static void hangs(struct sdhci *sd)
{
	if (sd->state != SD_READY) {
		no_use(sd);
		return;
	}
	if (sd->started && ++sd->resets >= RESETS)
		end_request(sd, WEIR_IO);
	identify(sd);
}

static void ask_status(struct sdhci *sd);

/* A card may still write what it got before the error. One that is lost is looked for. */
static void has_status(struct sdhci *sd, bool good)
{
	if (good && (read(sd, RESPONSE) & CARD_STATE) == CARD_TRANSFER) {
		nothing_under_way(sd);
	} else if (good && ++sd->polls < POLLS) {
		wait(sd, BUSY_US, ask_status);
	} else {
		identify(sd);
	}
}

static void ask_status(struct sdhci *sd)
{
	send(sd, SEND_STATUS, sd->address, RESPONSE_48, has_status);
}

/* A card that has stopped by itself does not answer that. */
static void stopped(struct sdhci *sd, bool good)
{
	(void)good;
	sd->polls = 0;
	ask_status(sd);
}

static void stop(struct sdhci *sd)
{
	send(sd, STOP_TRANSMISSION, 0, RESPONSE_BUSY | COMMAND_ABORT, stopped);
}

/* HC 3.10.1: the lines are reset, the card told to stop; the next request finds both as they were.
 */
static void failed(struct sdhci *sd)
{
	end_request(sd, WEIR_IO);
	reset_lines(sd, stop);
}

/* Where the next block of the request is in memory; a sector never crosses a page. */
static u32 *block_memory(const struct sdhci *sd, enum window window)
{
	const struct block_segment *segment = sd->request->segment;
	u64 offset = (u64)sd->done_blocks * BLOCK_SECTOR_BYTES;
	u64 pa;

	for (; offset >= segment->bytes; segment++)
		offset -= segment->bytes;
	pa = segment->pa.raw + offset;
	return (u32 *)((u8 *)mmu_window(window, PA(align_down(pa, PAGE_SIZE))) + (pa & PAGE_MASK));
}

/* The guest may read and write its page past the caches. */
static void read_block(struct sdhci *sd)
{
	u32 *to = block_memory(sd, WINDOW_TARGET);

	for (u32 i = 0; i < BLOCK_WORDS; i++)
		to[i] = read(sd, BUFFER);
	cache_clean_invalidate(to, BLOCK_SECTOR_BYTES);
}

static void write_block(struct sdhci *sd)
{
	const u32 *from = block_memory(sd, WINDOW_SOURCE);

	cache_clean_invalidate(from, BLOCK_SECTOR_BYTES);
	for (u32 i = 0; i < BLOCK_WORDS; i++)
		write(sd, BUFFER, from[i]);
}

/*
 * The data is there, and the card has answered to the STOP_TRANSMISSION that the controller sent:
 * in the last word of the responses (HC 2.2.7). That a read ran ahead of the card's end is no error
 * (PL 4.3.3).
 */
static void request_over(struct sdhci *sd, bool good)
{
	u32 status = read(sd, RESPONSE + 12) & CARD_ERRORS & ~CARD_OUT_OF_RANGE;

	(void)good; /* errors of a request end in failed() or hangs() */
	if (sd->done_blocks != sd->blocks) {
		failed(sd);
		return;
	}
	end_request(sd, status ? WEIR_IO : WEIR_OK);
}

/* Also one block goes by the commands for many: what became of it is in the answer to the stop. */
static void start(struct sdhci *sd, const struct block_request *request)
{
	bool reads = request->operation == BLOCK_READ;
	u64 at = sd->large ? request->sector : request->sector * BLOCK_SECTOR_BYTES;

	sd->started = true;
	sd->done_blocks = sd->blocks = 0;
	for (u32 i = 0; i < request->segment_count; i++)
		sd->blocks += request->segment[i].bytes / BLOCK_SECTOR_BYTES;
	write(sd, SIGNAL_ENABLE, wanted(sd));
	write(sd, BLOCK_COUNT_SIZE, sd->blocks << 16 | BLOCK_SECTOR_BYTES);
	send(sd, reads ? READ_MULTIPLE : WRITE_MULTIPLE, (u32)at,
	     RESPONSE_48 | COMMAND_DATA | MODE_COUNT | MODE_MULTI | MODE_AUTO_STOP |
		     (reads ? MODE_READ : 0),
	     request_over);
}

/*
 * Begins what was submitted, unless something is under way. A card that got lost is looked for: its
 * slot may have no pin that says that it is back.
 */
static void next_request(struct sdhci *sd)
{
	const struct block_request *request = taken(sd);

	if (!request || sd->later)
		return;
	if (sd->state == SD_ABSENT && card_there(sd))
		identify(sd);
	else if (sd->state == SD_ABSENT || (request->operation == BLOCK_WRITE && !sd->writable))
		end_request(sd, WEIR_IO);
	else
		start(sd, request);
}

static void resume(struct sdhci *sd)
{
	write(sd, SIGNAL_ENABLE, wanted(sd));
	wait(sd, BLOCK_US, hangs);
}

/* One block a call; what is ready after it raises the interrupt again, when the pause is over. */
static void move_block(struct sdhci *sd, u32 status)
{
	if (sd->done_blocks == sd->blocks)
		return;
	if (status & STATUS_READ)
		read_block(sd);
	else
		write_block(sd);
	if (++sd->done_blocks == sd->blocks) {
		wait(sd, BLOCK_US, hangs);
		return;
	}
	write(sd, SIGNAL_ENABLE, wanted(sd) & ~STATUS_DATA);
	wait(sd, PAUSE_US, resume);
}

/* ---- Interrupt and timer --------------------------------------------------------------------- */

static void command_good(struct sdhci *sd)
{
	sd->answered(sd, true);
}

static void command_bad(struct sdhci *sd)
{
	sd->answered(sd, false);
}

static void command_refused(struct sdhci *sd)
{
	reset_lines(sd, command_bad);
}

/* The command was not heard or answered: from the beginning. Data was bad: the request failed. */
static void error(struct sdhci *sd, u32 status)
{
	if (sd->started && status & STATUS_UNHEARD) {
		hangs(sd);
	} else if (sd->started) {
		failed(sd);
	} else if (sd->awaited) {
		sd->awaited = 0;
		wait(sd, APART_US, command_refused);
	}
}

static void card_changed(struct sdhci *sd, u32 status)
{
	if (status & STATUS_REMOVED && sd->state != SD_ABSENT)
		give_up(sd, "the card was taken out");
	if (sd->state == SD_ABSENT && card_there(sd)) {
		sd->said = false;
		identify(sd);
	}
}

/* What has come for the command that is out. */
static void command_status(struct sdhci *sd, u32 status)
{
	if (sd->started && status & STATUS_COMMAND && read(sd, RESPONSE) & CARD_ERRORS) {
		failed(sd);
		return;
	}
	if (sd->started && status & STATUS_DATA)
		move_block(sd, status);
	sd->awaited &= ~status;
	if (!sd->awaited)
		sd->started ? command_good(sd) : wait(sd, APART_US, command_good);
}

static struct sdhci *sdhci_of(struct block_device *device)
{
	return (struct sdhci *)device;
}

/* It has one request at a time, so there is never more to be taken. */
static bool sdhci_interrupt(struct block_device *device)
{
	struct sdhci *sd = sdhci_of(device);
	u32 status = read(sd, STATUS);

	/* The interrupt came for something else. */
	if (sd->later == resume)
		status &= ~STATUS_DATA;
	/* Data is acknowledged before it is moved, so that the next block's comes again. An interrupt
	 * of others is none of ours, and no write of ours. */
	if (status)
		write(sd, STATUS, status);
	/* Data that is over was not late, HC 2.2.18. */
	if (status & STATUS_TRANSFER)
		status &= ~STATUS_LATE;
	if (status & STATUS_CARD)
		card_changed(sd, status);
	if (status & STATUS_ERRORS)
		error(sd, status);
	else if (sd->awaited)
		command_status(sd, status);
	next_request(sd);
	return false;
}

void sdhci_timer(struct block_device *device)
{
	struct sdhci *sd = sdhci_of(device);
	void (*later)(struct sdhci *) = sd->later;

	sd->later = 0;
	if (later)
		later(sd);
	next_request(sd);
}

static enum weir_status sdhci_submit(struct block_device *device, struct block_request *request)
{
	struct sdhci *sd = sdhci_of(device);
	bool room;

	spin_lock(&sd->lock);
	room = !sd->request;
	if (room)
		sd->request = request;
	spin_unlock(&sd->lock);
	if (!room)
		return WEIR_AGAIN;
	sd->place.raise(sd->place.intid);
	return WEIR_OK;
}

static const struct block_device_ops sdhci_ops = {
	.submit = sdhci_submit,
	.interrupt = sdhci_interrupt,
};

bool sdhci_settled(const struct block_device *device)
{
	return ((const struct sdhci *)device)->state != SD_IDENTIFYING;
}

struct block_device *sdhci_probe(const struct sdhci_place *place)
{
	struct sdhci *sd = place->alloc(sizeof(*sd));

	sd->place = *place;
	sd->device = (struct block_device){
		.ops = &sdhci_ops,
		.name = place->name,
		.write_through = true,
		.max_segments = BLOCK_SEGMENTS_MAX,
		/* 16 bits of blocks in all. */
		.max_segment_bytes = 0xffff / BLOCK_SEGMENTS_MAX * BLOCK_SECTOR_BYTES,
		.intid = place->intid,
	};
	identify(sd);
	return &sd->device;
}
