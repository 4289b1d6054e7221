/*
 * Driver for SD host controllers (sdhci.h): steps, requests, interrupt and timer.
 *
 * Owns:  struct sdhci and the registers.
 * Locks: lock is held where `request` changes: in submit, on any core, and at its end. The rest
 *	  runs on the interrupt's core alone. `done` is called without it.
 *
 * What comes next is always one of three functions: `answered` or `refused`, when the command that was
 * sent has ended, and `later`, when the timer fires. A step sets them, begins something and returns.
 * While anything is under way `later` is set, so everything ends; when it is not, the next request begins.
 *
 * Registers are written in whole words: the controllers of the Raspberry Pi know nothing else.
 * Sections: HC is the host controller's specification, PL the physical layer's.
 */
#include "arch/arm64/cache.h"
#include "arch/arm64/mmu.h"
#include "arch/arm64/timer.h"
#include "core/base/log.h"
#include "core/base/string.h"
#include "drivers/sdhci_private.h"

/* Commands, PL 4.7.4. */
enum {
	STOP_TRANSMISSION = 12,
	SEND_STATUS = 13,
	READ_MULTIPLE = 18,
	WRITE_MULTIPLE = 25,
};

/* The status that a card answers with, PL 4.10.1. */
#define CARD_ERRORS	  0xfdf98000u
#define CARD_OUT_OF_RANGE BIT(31)
#define CARD_STATE	  (0xfu << 9)
#define CARD_TRANSFER	  (4u << 9) /* ready for data commands */

#define BUSY_US 10000u /* between two looks at a card that still writes */
/* No answer (64 clocks, PL 4.12.4) or no block (500 ms to write one, PL 4.6.2.2): the controller
 * hangs. */
#define ANSWER_US 100000u
#define BLOCK_US  2000000u
/*
 * Before and after each block that this core moves, and before the next request: as long as a block takes at the
 * fast clock. In that time the guests of the core have it for themselves, whatever others ask of the card.
 */
#define PAUSE_US 50u
#define POLLS	 100u /* of any kind, then the card or the controller is given up */
#define RESETS	 3u   /* of the controller, for one request */

#define BLOCK_WORDS (BLOCK_SECTOR_BYTES / 4)

/* ---- Steps ----------------------------------------------------------------------------------- */

void sdhci_wait(struct sdhci *sd, u32 microseconds, sdhci_step later)
{
	sd->later = later;
	sd->place.set_timer(sd->place.context, microseconds);
}

void sdhci_hear(struct sdhci *sd, u32 status)
{
	sd->heard = status;
	sdhci_write(sd, SIGNAL_ENABLE, status);
}

void sdhci_rest(struct sdhci *sd)
{
	sdhci_wait(sd, 0, 0);
}

void sdhci_poll(struct sdhci *sd, u32 microseconds, sdhci_step again, sdhci_step otherwise)
{
	if (++sd->polls < POLLS)
		sdhci_wait(sd, microseconds, again);
	else
		otherwise(sd);
}

static void hangs(struct sdhci *sd);

static void write_command(struct sdhci *sd)
{
	sdhci_wait(sd, sd->awaited & STATUS_TRANSFER ? BLOCK_US : ANSWER_US, hangs);
	sdhci_write(sd, COMMAND_MODE, sd->command);
}

static void write_argument(struct sdhci *sd)
{
	sdhci_write(sd, ARGUMENT, sd->argument);
	sd->slow ? sdhci_wait(sd, APART_US, write_command) : write_command(sd);
}

/*
 * A command is over when it is answered, and if the card is busy then or data moves, when that is
 * over too (HC 2.2.18).
 *
 * The Arasan controller of the Raspberry Pi loses one of two writes within two clocks of the card. At
 * the slow clock these are 5 us, so the writes are steps, and `answered` is called a step after the
 * interrupt, which has written to STATUS.
 */
void sdhci_send(struct sdhci *sd, u32 number, u32 argument, u32 flags, sdhci_step answered)
{
	bool long_one = flags & COMMAND_DATA || (flags & RESPONSE_BUSY) == RESPONSE_BUSY;

	sd->answered = answered;
	sd->refused = sdhci_no_use;
	sd->awaited = STATUS_COMMAND | (long_one ? STATUS_TRANSFER : 0);
	sd->argument = argument;
	sd->command = COMMAND_NUMBER(number) | flags;
	sd->slow ? sdhci_wait(sd, APART_US, write_argument) : write_argument(sd);
}

static void lines_reset(struct sdhci *sd)
{
	if (!(sdhci_read(sd, RESET_CLOCK) & RESET_LINES))
		sd->then(sd);
	else
		sdhci_poll(sd, POLL_US, lines_reset, hangs);
}

/* After an error: of commands and of data; HC 3.10.1. */
static void reset_lines(struct sdhci *sd, sdhci_step then)
{
	sd->awaited = 0;
	sd->then = then;
	sd->polls = 0;
	sdhci_write(sd, RESET_CLOCK, sdhci_read(sd, RESET_CLOCK) | RESET_LINES);
	lines_reset(sd);
}

/* Then sdhci_timer() begins the next request. */
static void rested(struct sdhci *sd)
{
	(void)sd;
}

/* The next one waits until the pause is over, or what the caller begins after this. */
static void end_request(struct sdhci *sd, enum weir_status status)
{
	struct block_request *request;

	sd->started = sd->moving = false;
	sd->resets = 0;
	spin_lock(&sd->lock);
	request = sd->request;
	sd->request = 0;
	spin_unlock(&sd->lock);
	if (!request)
		return;
	sdhci_wait(sd, PAUSE_US, rested);
	request->done(request, status);
}

/* ---- The card is gone, or no use ------------------------------------------------------------- */

void sdhci_give_up(struct sdhci *sd, const char *why)
{
	if (why && !sd->said)
		log_line("%s: %s", sd->device.name, why);
	sd->said = true;
	sd->awaited = 0;
	sdhci_rest(sd);
	sd->state = SDHCI_ABSENT;
	if (!sd->moving)
		end_request(sd, WEIR_IO);
}

void sdhci_no_use(struct sdhci *sd)
{
	sdhci_give_up(sd, "no SD card answers");
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* From the beginning: the controller is reset, the card identified, the request sent again. */
static void hangs(struct sdhci *sd)
{
	if (sd->switching) {
		sdhci_go_plain(sd);
		return;
	}
	if (sd->state != SDHCI_READY) {
		sdhci_no_use(sd);
		return;
	}
	/* Once more: it may be the high speed at which the card does not hear its commands. */
	if (sd->started && sd->resets++ && sd->granted)
		sd->plain = true;
	sdhci_identify(sd);
}

void sdhci_stands(struct sdhci *sd)
{
	sd->moving = false;
	if (sd->resets >= RESETS)
		end_request(sd, WEIR_IO);
}

static void ask_status(struct sdhci *sd);

/* A card may still write what it got before the error. One that is lost is looked for. */
static void has_status(struct sdhci *sd)
{
	if ((sdhci_read(sd, RESPONSE) & CARD_STATE) == CARD_TRANSFER)
		sdhci_rest(sd);
	else
		sdhci_poll(sd, BUSY_US, ask_status, sdhci_identify);
}

static void ask_status(struct sdhci *sd)
{
	sdhci_send(sd, SEND_STATUS, sd->address, RESPONSE_48, has_status);
	sd->refused = sdhci_identify;
}

static void stopped(struct sdhci *sd)
{
	sd->polls = 0;
	ask_status(sd);
}

static void stop(struct sdhci *sd)
{
	end_request(sd, WEIR_IO);
	sdhci_send(sd, STOP_TRANSMISSION, 0, RESPONSE_BUSY | COMMAND_ABORT, stopped);
	sd->refused = stopped; /* it has stopped by itself */
}

/* HC 3.10.1: the lines are reset, the card told to stop; the next request finds both as they were.
 */
static void failed(struct sdhci *sd)
{
	sdhci_hear(sd, sd->wanted);
	reset_lines(sd, stop);
}

/* Where the next block of the request is in memory. */
static pa_t block_memory(const struct sdhci *sd)
{
	const struct block_segment *segment = sd->request->segment;
	u64 offset = (u64)sd->done_blocks * BLOCK_SECTOR_BYTES;

	for (; offset >= segment->bytes; segment++)
		offset -= segment->bytes;
	return PA(segment->pa.raw + offset);
}

/* A block between the controller and memory: in one page or two, which the guest may use past the caches. */
static void copy_block(struct sdhci *sd, bool reads)
{
	u32 words[BLOCK_WORDS];
	pa_t pa = block_memory(sd);

	for (u32 i = 0; i < BLOCK_WORDS && reads; i++)
		words[i] = sdhci_read(sd, BUFFER);
	for (u64 at = 0, bytes; at < BLOCK_SECTOR_BYTES; at += bytes, pa.raw += bytes) {
		void *memory = mmu_window(WINDOW_TARGET, pa), *part = (u8 *)words + at;

		bytes = min(BLOCK_SECTOR_BYTES - at, PAGE_SIZE - pa.raw % PAGE_SIZE);
		if (reads)
			memcpy(memory, part, bytes);
		cache_clean_invalidate(memory, bytes);
		if (!reads)
			memcpy(part, memory, bytes);
	}
	for (u32 i = 0; i < BLOCK_WORDS && !reads; i++)
		sdhci_write(sd, BUFFER, words[i]);
}

/*
 * The data is there, and the card has answered to the STOP_TRANSMISSION that the controller sent:
 * in the last word of the responses (HC 2.2.7). That a read ran ahead of the card's end is no error
 * (PL 4.3.3).
 */
static void request_over(struct sdhci *sd)
{
	u32 status = sdhci_read(sd, RESPONSE + 12) & CARD_ERRORS & ~CARD_OUT_OF_RANGE;

	if (sd->moving)
		sdhci_adma_end(sd);
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
	/* What went wrong by DMA is tried without. */
	sd->moving = sd->adma && !sd->resets && sdhci_adma_start(sd, request);
	if (sd->moving)
		sd->done_blocks = sd->blocks; /* none is left for move_block() */
	/* Blocks that this core moves are not looked at before there was a pause. */
	sdhci_hear(sd, sd->wanted & ~(sd->moving ? 0 : STATUS_DATA | STATUS_TRANSFER));
	sdhci_write(sd, BLOCK_COUNT_SIZE, sd->blocks << 16 | BLOCK_SECTOR_BYTES);
	sdhci_send(sd, reads ? READ_MULTIPLE : WRITE_MULTIPLE, (u32)at,
		   RESPONSE_48 | COMMAND_DATA | MODE_COUNT | MODE_MULTI | MODE_AUTO_STOP |
			   (reads ? MODE_READ : 0) | (sd->moving ? MODE_DMA : 0),
		   request_over);
}

/*
 * Begins what was submitted, unless something is under way. A card that got lost is looked for: its
 * slot may have no pin that says that it is back. One that was lost while the controller moved data is
 * looked for in any case, for that resets the controller.
 */
static void next_request(struct sdhci *sd)
{
	/* Pairs with the unlock in submit. Only this core takes a request away again. */
	const struct block_request *request = __atomic_load_n(&sd->request, __ATOMIC_ACQUIRE);

	if (!request || sd->later)
		return;
	if (sd->state == SDHCI_ABSENT && (sd->moving || sdhci_card_there(sd)))
		sdhci_identify(sd);
	else if (sd->state == SDHCI_ABSENT || (request->operation == BLOCK_WRITE && !sd->writable))
		end_request(sd, WEIR_IO);
	else
		start(sd, request);
}

static void resume(struct sdhci *sd)
{
	sdhci_hear(sd, sd->wanted);
	sdhci_wait(sd, BLOCK_US, hangs);
}

/* What comes next raises the interrupt when it is over. */
static void pause(struct sdhci *sd)
{
	sdhci_hear(sd, sd->wanted & ~(STATUS_DATA | STATUS_TRANSFER));
	sdhci_wait(sd, PAUSE_US, resume);
}

/* One block a call. */
static void move_block(struct sdhci *sd, u32 status)
{
	u64 ticks = timer_now();

	if (sd->done_blocks == sd->blocks)
		return;
	copy_block(sd, status & STATUS_READ);
	ticks = timer_now() - ticks;
	sd->request->ticks += ticks;
	sd->place.worked(ticks);
	sd->done_blocks++;
	pause(sd);
}

/* ---- Interrupt and timer --------------------------------------------------------------------- */

static void command_refused(struct sdhci *sd)
{
	reset_lines(sd, sd->refused);
}

/* The command was not heard or answered, or DMA went wrong: from the beginning. Data was bad: the request
 * failed, but what high speed may have spoilt is tried without. */
static void error(struct sdhci *sd, u32 status)
{
	if (status & STATUS_ADMA)
		sdhci_adma_failed(sd);
	if (sd->started && status & (STATUS_UNHEARD | STATUS_ADMA)) {
		hangs(sd);
	} else if (sd->started && sd->granted && status & STATUS_GARBLED) {
		log_line("%s: data is garbled at high speed; from now on the card has half the "
			 "clock",
			 sd->device.name);
		sd->resets++;
		sdhci_go_plain(sd);
	} else if (sd->started) {
		failed(sd);
	} else if (sd->awaited) {
		sd->awaited = 0;
		sdhci_wait(sd, APART_US, command_refused);
	}
}

static void card_changed(struct sdhci *sd, u32 status)
{
	if (status & STATUS_REMOVED && sd->state != SDHCI_ABSENT)
		sdhci_give_up(sd, "the card was taken out");
	if (sd->state == SDHCI_ABSENT && sdhci_card_there(sd)) {
		sd->said = false;
		sdhci_identify(sd);
	}
}

/* What has come for the command that is out. */
static void command_status(struct sdhci *sd, u32 status)
{
	if (sd->started && status & STATUS_COMMAND && sdhci_read(sd, RESPONSE) & CARD_ERRORS) {
		failed(sd);
		return;
	}
	if (sd->started && status & STATUS_DATA)
		move_block(sd, status);
	else if (sd->started && status & STATUS_COMMAND && !sd->moving)
		pause(sd);
	else if (sd->switching && status & STATUS_READ)
		sdhci_switch_data(sd);
	sd->awaited &= ~status;
	if (!sd->awaited)
		sd->started ? sd->answered(sd) : sdhci_wait(sd, APART_US, sd->answered);
}

static struct sdhci *sdhci_of(struct block_device *device)
{
	return (struct sdhci *)device;
}

/* It has one request at a time, so there is never more to be taken. */
static bool sdhci_interrupt(struct block_device *device)
{
	struct sdhci *sd = sdhci_of(device);
	u32 all = sdhci_read(sd, STATUS), status = all & sd->heard;

	/* Data is acknowledged before it is moved, so that the next block's comes again. An interrupt
	 * of others is none of ours, and no write of ours. */
	if (status)
		sdhci_write(sd, STATUS, status);
	/* Data that is over was not late, HC 2.2.18; that it is may be unheard in a pause. */
	if (all & STATUS_TRANSFER)
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

/*
 * A timer's interrupt goes before the card's: where this core was held up, on a machine that is emulated, for as
 * long as something may take, what has come in time is looked at before it is given up.
 */
void sdhci_timer(struct block_device *device)
{
	struct sdhci *sd = sdhci_of(device);
	sdhci_step later = sd->later;

	if (later == hangs && sdhci_read(sd, STATUS) & sd->heard) {
		sdhci_wait(sd, BLOCK_US, hangs);
		sdhci_interrupt(device);
		return;
	}
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
	return ((const struct sdhci *)device)->state != SDHCI_IDENTIFYING;
}

struct block_device *sdhci_probe(const struct sdhci_place *place)
{
	struct sdhci *sd = place->alloc(sizeof(*sd));

	sd->place = *place;
	sd->wanted = STATUS_WANTED | (place->removable ? STATUS_CARD : 0);
	sd->device = (struct block_device){
		.ops = &sdhci_ops,
		.name = place->name,
		.write_through = true,
		.max_segments = BLOCK_SEGMENTS_MAX,
		/* 16 bits of blocks in all. */
		.max_segment_bytes = 0xffff / BLOCK_SEGMENTS_MAX * BLOCK_SECTOR_BYTES,
		.intid = place->intid,
	};
	sdhci_adma_init(sd);
	sdhci_identify(sd);
	return &sd->device;
}
