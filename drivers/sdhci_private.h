/*
 * What the files of the driver for SD host controllers share, and nobody else includes: the registers, the
 * state, and the steps that one file has and another begins.
 * Sources: sdhci.c (steps, requests, interrupt and timer), sdhci_identification.c, sdhci_adma.c
 */
#pragma once

#include "arch/arm64/lock.h"
#include "drivers/registers.h"
#include "drivers/sdhci.h"

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
	ADMA_ADDRESS = 0x58,
};

/* PRESENT, HC 2.2.9. */
#define PRESENT_CARD	 BIT(16)
#define PRESENT_STABLE	 BIT(17)
#define PRESENT_WRITABLE BIT(19)

/* POWER_WIDTH, HC 2.2.10 and 2.2.11. */
#define WIDTH_4	     BIT(1)
#define HIGH_SPEED   BIT(2)
#define SELECT_ADMA2 (2u << 3)
#define POWER_3_3V   (0xfu << 8)

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
#define STATUS_UNHEARD	0x000f0000u	    /* the command: no answer, or not a good one */
#define STATUS_LATE	BIT(20)		    /* data */
#define STATUS_GARBLED	(BIT(21) | BIT(22)) /* data */
#define STATUS_ADMA	BIT(25)
#define STATUS_ERRORS	0x03ff0000u
#define STATUS_WANTED	(STATUS_COMMAND | STATUS_TRANSFER | STATUS_DATA | STATUS_ERRORS)

/* CAPABILITIES, HC 2.2.26. */
#define CAPABLE_ADMA2	   BIT(19)
#define CAPABLE_HIGH_SPEED BIT(21)

/* COMMAND_MODE, HC 2.2.5 and 2.2.6. */
#define MODE_DMA	  BIT(0)
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

#define APART_US 20u   /* between two writes at the slow clock, see sdhci_send() */
#define POLL_US	 1000u /* between two looks at something that takes a moment */

/*
 * Absent: no card, or none that can be used; a request has it looked for again, or fails.
 * Identifying: it is being identified, from nothing.
 */
enum sdhci_state { SDHCI_ABSENT, SDHCI_IDENTIFYING, SDHCI_READY };

struct sdhci;
typedef void (*sdhci_step)(struct sdhci *sd);

struct sdhci {
	struct block_device device; /* first: converted by a cast */
	struct sdhci_place place;
	u32 wanted; /* of STATUS; a slot that sees no cards says nothing about them */
	u32 heard;  /* of it now: what raises the interrupt, and what that looks at */
	struct spinlock lock;
	struct block_request *request; /* taken, and not done yet */

	/* The interrupt's core alone. */
	enum sdhci_state state;
	sdhci_step answered, refused; /* when the command that was sent has ended well, or not */
	sdhci_step later;	      /* when the timer fires */
	sdhci_step then;	      /* when the lines are reset, or the clock runs */
	u32 awaited;		      /* bits of STATUS that the command's end is made of */
	u32 argument, command;
	bool slow;	/* the clock is that of identification */
	bool switching; /* the card is asked for high speed */
	bool granted;	/* and has said yes; from the next step on it has that */
	bool plain;	/* it is not asked: that went wrong before */
	u32 polls;
	u32 resets;
	bool said;  /* that there is no card */
	bool known; /* a card was identified before: another one in its place is not taken */
	u32 cid[4];
	bool version2;		 /* it answered SEND_IF_COND */
	bool large;		 /* addresses are sectors, not bytes */
	bool switches;		 /* it knows the command for high speed */
	bool writable;		 /* now; the device's read_only is what it was when it was found */
	u32 address;		 /* its relative card address, in bits 31:16 */
	bool started;		 /* the command that is out is the request's */
	u32 done_blocks, blocks; /* moved as words, or not to be; all of them */
	u32 adma;		 /* SELECT_ADMA2, or 0: words are moved */
	/* The controller may read or write the request's memory: until it has said that it is done, or was
	 * reset, the request does not end. */
	bool moving;
};

static inline u32 sdhci_read(const struct sdhci *sd, u32 offset)
{
	return register_read(sd->place.registers, offset);
}

static inline void sdhci_write(struct sdhci *sd, u32 offset, u32 value)
{
	register_write(sd->place.registers, offset, value);
}

static inline bool sdhci_card_there(const struct sdhci *sd)
{
	return !sd->place.removable || sdhci_read(sd, PRESENT) & PRESENT_CARD;
}

/* ---- sdhci.c --------------------------------------------------------------------------------- */

void sdhci_wait(struct sdhci *sd, u32 microseconds, sdhci_step later);
/* Something is looked at again, `again`, after so long, unless that was done POLLS times. */
void sdhci_poll(struct sdhci *sd, u32 microseconds, sdhci_step again, sdhci_step otherwise);
void sdhci_hear(struct sdhci *sd, u32 status);
/* Nothing is under way: the next request may begin. */
void sdhci_rest(struct sdhci *sd);
/* A command; if it is refused there is no card, unless the caller sets `refused` after this. */
void sdhci_send(struct sdhci *sd, u32 number, u32 argument, u32 flags, sdhci_step answered);
/* `why` is 0 if there is simply no card. Said once, until something changes. */
void sdhci_give_up(struct sdhci *sd, const char *why);
void sdhci_no_use(struct sdhci *sd); /* gives up: no card answers */

/* The controller was reset: it does nothing any more. The request that it hung with too often fails. */
void sdhci_stands(struct sdhci *sd);

/* ---- sdhci_adma.c ---------------------------------------------------------------------------- */

/* The most of one request: what is done for the caches before and after is some 2,400 instructions. */
#define SDHCI_ADMA_BYTES (32 * 1024u)

void sdhci_adma_init(struct sdhci *sd); /* once: is it to be had? */
/* False: not with this request; its words are moved. Else all is ready for the command, with MODE_DMA. */
bool sdhci_adma_start(struct sdhci *sd, const struct block_request *request);
void sdhci_adma_end(const struct sdhci *sd); /* all data is there */
void sdhci_adma_failed(struct sdhci *sd);    /* no more of it */

/* ---- sdhci_identification.c ------------------------------------------------------------------ */

/* The words of the card's answer, of which one says whether it runs at high speed from now on. */
void sdhci_switch_data(struct sdhci *sd);
/* High speed is no use here: the card is identified anew, for the usual one. */
void sdhci_go_plain(struct sdhci *sd);
/* From nothing: the controller is reset, the card looked for. Ends READY and at rest, or ABSENT. */
void sdhci_identify(struct sdhci *sd);
