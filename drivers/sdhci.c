/*
 * Driver for SD host controllers (sdhci.h).
 *
 * Owns:  struct sdhci and the registers.
 * Locks: lock guards `request` and `state` between submit, on any core, and the rest, which runs on
 *	  the interrupt's core alone. `done` is called without it.
 *
 * What comes next is always one of two functions: `answered`, when the command that was sent has
 * ended, and `later`, when the timer fires. A step sets them, begins something and returns.
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
#define STATUS_ERRORS	0x01ff0000u
#define STATUS_WANTED                                                                      \
	(STATUS_COMMAND | STATUS_TRANSFER | STATUS_WRITE | STATUS_READ | STATUS_INSERTED | \
	 STATUS_REMOVED | STATUS_ERRORS)

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
	SET_BLOCK_LENGTH = 16,
	READ_SINGLE = 17,
	READ_MULTIPLE = 18,
	WRITE_SINGLE = 24,
	WRITE_MULTIPLE = 25,
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

#define POLL_US	   1000u  /* between two looks at something that takes a moment */
#define SETTLE_US  2000u  /* 74 clocks after power, PL 6.4.1 */
#define OP_COND_US 10000u /* between two SEND_OP_COND */
/* No answer (64 clocks, PL 4.12.4) or no block (500 ms to write one, PL 4.6.2.2): the controller
 * hangs. */
#define ANSWER_US 100000u
#define BLOCK_US  2000000u
#define POLLS	  100u /* of either kind, then the card or the controller is given up */
#define RESETS	  3u   /* of the controller, for one request */

#define BLOCK_WORDS (BLOCK_SECTOR_BYTES / 4)

/* Absent: no card, or none that can be used. Found: it is being identified, from nothing. */
enum state { SD_ABSENT, SD_IDENTIFYING, SD_READY };

struct sdhci {
	struct block_device device; /* first: converted by a cast */
	struct sdhci_place place;
	struct spinlock lock;
	enum state state;
	struct block_request *request; /* taken, and not done yet */

	/* The interrupt's core alone. */
	void (*answered)(struct sdhci *sd, bool good);
	void (*later)(struct sdhci *sd);
	u32 polls;
	u32 resets;
	bool known; /* a card was identified before: another one in its place is not taken */
	u32 cid[4];
	bool version2; /* it answered SEND_IF_COND */
	bool large;    /* addresses are sectors, not bytes */
	u32 address;   /* its relative card address, in bits 31:16 */
	bool started;  /* the request has been sent to the card */
	bool transferring;
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

static void hangs(struct sdhci *sd);

static void send(struct sdhci *sd, u32 number, u32 argument, u32 flags,
		 void (*answered)(struct sdhci *sd, bool good))
{
	sd->answered = answered;
	wait(sd, ANSWER_US, hangs);
	write(sd, ARGUMENT, argument);
	write(sd, COMMAND_MODE, COMMAND_NUMBER(number) | flags);
}

/* An application command: APPLICATION goes before it, and its answer is not looked at. */
static void application(struct sdhci *sd, void (*answered)(struct sdhci *sd, bool good))
{
	send(sd, APPLICATION, sd->address, RESPONSE_48, answered);
}

static void set_state(struct sdhci *sd, enum state state)
{
	spin_lock(&sd->lock);
	sd->state = state;
	spin_unlock(&sd->lock);
}

static void end_request(struct sdhci *sd, enum weir_status status)
{
	struct block_request *request;

	spin_lock(&sd->lock);
	request = sd->request;
	sd->request = 0;
	sd->started = sd->transferring = false;
	spin_unlock(&sd->lock);
	if (request)
		request->done(request, status);
}

static void begin_request(struct sdhci *sd);
static void identify(struct sdhci *sd);

/* ---- The card is gone, or no use ------------------------------------------------------------- */

/* `why` is 0 if there is simply none. */
static void give_up(struct sdhci *sd, const char *why)
{
	if (why)
		log_line("%s: %s", sd->device.name, why);
	sd->answered = 0;
	sd->later = 0;
	sd->place.set_timer(sd->place.context, 0);
	set_state(sd, SD_ABSENT);
	end_request(sd, WEIR_IO);
}

static void no_use(struct sdhci *sd)
{
	give_up(sd, "no SD card answers");
}

/* ---- Identification, PL 4.2 ------------------------------------------------------------------- */

/* The smallest divider, a power of two, that is slow enough; HC 2.2.14: base / (2 * divider). */
static u32 divider(const struct sdhci *sd, u32 hz)
{
	u32 base = sd->place.clock_hz;
	u32 n = 0;

	if (!base)
		base = (read(sd, CAPABILITIES) >> 8 & 0xff) * 1000000u;
	if (base <= hz)
		return 0;
	for (n = 1; n < 512 && base / (2 * n) > hz; n *= 2)
		;
	return n;
}

static void identified(struct sdhci *sd)
{
	sd->place.set_timer(sd->place.context, 0);
	sd->later = 0;
	sd->known = true;
	set_state(sd, SD_READY);
	begin_request(sd);
}

static void fast_clock(struct sdhci *sd)
{
	u32 clock = TIMEOUT_LONGEST | CLOCK_DIVIDER(divider(sd, CLOCK_FAST_HZ)) | CLOCK_INTERNAL;

	/* It was stable at the slow rate; the divider behind it needs no wait. */
	write(sd, RESET_CLOCK, clock);
	write(sd, RESET_CLOCK, clock | CLOCK_CARD);
	identified(sd);
}

static void block_length_set(struct sdhci *sd, bool good)
{
	good ? fast_clock(sd) : no_use(sd);
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
	bool writable = read(sd, PRESENT) & PRESENT_WRITABLE;

	if (!sectors) {
		no_use(sd);
		return;
	}
	if (!sd->known) {
		sd->device.sectors = sectors;
		sd->device.read_only = !writable || bits(sd, 13, 12);
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

	for (u32 i = 0; i < 4; i++) {
		u32 word = read(sd, RESPONSE + 4 * i);

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

static void clock_started(struct sdhci *sd)
{
	u32 clock = read(sd, RESET_CLOCK);

	if (!(clock & CLOCK_STABLE)) {
		++sd->polls < POLLS ? wait(sd, POLL_US, clock_started) : no_use(sd);
		return;
	}
	write(sd, RESET_CLOCK, clock | CLOCK_CARD);
	wait(sd, SETTLE_US, go_idle);
}

static void controller_reset(struct sdhci *sd)
{
	if (read(sd, RESET_CLOCK) & RESET_ALL) {
		++sd->polls < POLLS ? wait(sd, POLL_US, controller_reset) : no_use(sd);
		return;
	}
	write(sd, STATUS_ENABLE, STATUS_WANTED);
	write(sd, SIGNAL_ENABLE, STATUS_WANTED);
	if (sd->place.removable && !(read(sd, PRESENT) & PRESENT_CARD)) {
		give_up(sd, 0);
		return;
	}
	write(sd, POWER_WIDTH, POWER_3_3V);
	write(sd, RESET_CLOCK,
	      TIMEOUT_LONGEST | CLOCK_DIVIDER(divider(sd, CLOCK_SLOW_HZ)) | CLOCK_INTERNAL);
	sd->polls = 0;
	wait(sd, POLL_US, clock_started);
}

static void identify(struct sdhci *sd)
{
	set_state(sd, SD_IDENTIFYING);
	sd->answered = 0;
	sd->transferring = sd->started = false;
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
	if (++sd->resets >= RESETS)
		end_request(sd, WEIR_IO);
	identify(sd);
}

static void lines_reset(struct sdhci *sd)
{
	if (read(sd, RESET_CLOCK) & RESET_LINES) {
		++sd->polls < POLLS ? wait(sd, POLL_US, lines_reset) : identify(sd);
		return;
	}
	sd->place.set_timer(sd->place.context, 0);
	sd->later = 0;
	begin_request(sd);
}

static void stopped(struct sdhci *sd, bool good)
{
	(void)good;
	write(sd, RESET_CLOCK, read(sd, RESET_CLOCK) | RESET_LINES);
	sd->polls = 0;
	lines_reset(sd);
}

static void stop_now(struct sdhci *sd)
{
	if (read(sd, RESET_CLOCK) & RESET_LINES) {
		++sd->polls < POLLS ? wait(sd, POLL_US, stop_now) : identify(sd);
		return;
	}
	send(sd, STOP_TRANSMISSION, 0, RESPONSE_BUSY, stopped);
}

/* HC 3.10.1: the lines are reset, the card told to stop; the next request finds both as they were.
 */
static void failed(struct sdhci *sd)
{
	end_request(sd, WEIR_IO);
	write(sd, RESET_CLOCK, read(sd, RESET_CLOCK) | RESET_LINES);
	sd->polls = 0;
	stop_now(sd);
}

static void request_sent(struct sdhci *sd, bool good)
{
	if (!good) {
		failed(sd);
		return;
	}
	sd->transferring = true;
	wait(sd, BLOCK_US, hangs);
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

/* The guest may read its page past the caches. */
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

	for (u32 i = 0; i < BLOCK_WORDS; i++)
		write(sd, BUFFER, from[i]);
}

static void begin_request(struct sdhci *sd)
{
	const struct block_request *request = sd->request;
	bool reads, many;
	u32 blocks = 0, number;

	if (!request || sd->started)
		return;
	for (u32 i = 0; i < request->segment_count; i++)
		blocks += request->segment[i].bytes / BLOCK_SECTOR_BYTES;
	reads = request->operation == BLOCK_READ;
	many = blocks > 1;
	number = reads ? (many ? READ_MULTIPLE : READ_SINGLE)
		       : (many ? WRITE_MULTIPLE : WRITE_SINGLE);
	sd->started = true;
	sd->transferring = false;
	sd->blocks = blocks;
	sd->done_blocks = 0;
	write(sd, BLOCK_COUNT_SIZE, blocks << 16 | BLOCK_SECTOR_BYTES);
	send(sd, number, (u32)(sd->large ? request->sector : request->sector * BLOCK_SECTOR_BYTES),
	     RESPONSE_48 | COMMAND_DATA | (reads ? MODE_READ : 0) |
		     (many ? MODE_COUNT | MODE_MULTI | MODE_AUTO_STOP : 0),
	     request_sent);
}

/* One block a call; what is ready after it raises the interrupt again. */
static void move_block(struct sdhci *sd, u32 status)
{
	if (sd->done_blocks == sd->blocks)
		return;
	if (status & STATUS_READ)
		read_block(sd);
	else
		write_block(sd);
	sd->done_blocks++;
	wait(sd, BLOCK_US, hangs);
}

static void transfer_over(struct sdhci *sd)
{
	if (sd->done_blocks != sd->blocks) {
		failed(sd);
		return;
	}
	sd->resets = 0;
	sd->place.set_timer(sd->place.context, 0);
	sd->later = 0;
	end_request(sd, WEIR_OK);
	begin_request(sd);
}

/* ---- Interrupt and timer --------------------------------------------------------------------- */

static void command_over(struct sdhci *sd, bool good)
{
	void (*answered)(struct sdhci *, bool) = sd->answered;

	sd->answered = 0;
	if (answered)
		answered(sd, good);
}

/* After an error of a command outside a request its line is reset; the step decides what it means. */
static void error(struct sdhci *sd)
{
	if (sd->started) {
		sd->answered = 0;
		failed(sd);
		return;
	}
	write(sd, RESET_CLOCK, read(sd, RESET_CLOCK) | RESET_LINES);
	command_over(sd, false);
}

static void card_changed(struct sdhci *sd)
{
	bool there = read(sd, PRESENT) & PRESENT_CARD;

	if (!there && sd->state != SD_ABSENT)
		give_up(sd, "the card was taken out");
	else if (there && sd->state == SD_ABSENT)
		identify(sd);
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
	u32 data = status & (STATUS_READ | STATUS_WRITE);

	/* Data is acknowledged before it is moved, so that the next block's comes again. */
	write(sd, STATUS, status);
	if (status & (STATUS_INSERTED | STATUS_REMOVED))
		card_changed(sd);
	if (status & STATUS_ERRORS) {
		error(sd);
		return false;
	}
	if (status & STATUS_COMMAND)
		command_over(sd, true);
	if (data && sd->transferring)
		move_block(sd, data);
	if (status & STATUS_TRANSFER && sd->transferring)
		transfer_over(sd);
	if (sd->state == SD_READY && !sd->answered && !sd->later)
		begin_request(sd);
	return false;
}

void sdhci_timer(struct block_device *device)
{
	struct sdhci *sd = sdhci_of(device);
	void (*later)(struct sdhci *) = sd->later;

	sd->later = 0;
	if (later)
		later(sd);
}

static enum weir_status sdhci_submit(struct block_device *device, struct block_request *request)
{
	struct sdhci *sd = sdhci_of(device);
	enum weir_status status = WEIR_OK;

	spin_lock(&sd->lock);
	if (sd->state == SD_ABSENT)
		status = WEIR_IO;
	else if (sd->request)
		status = WEIR_AGAIN;
	else
		sd->request = request;
	spin_unlock(&sd->lock);
	if (status == WEIR_OK)
		sd->place.raise(sd->place.intid);
	return status;
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
