/*
 * An SD host controller with a card in it (SD Host Controller Simplified Specification 3.00, SD
 * Physical Layer Simplified Specification 6.00), for the driver: `registers` of the driver is the
 * address of the struct. It knows whole words only, checks what the driver does, and does what a test
 * tells it. Sources: sd_host.c (the controller), sd_card.c
 */
#pragma once

#include "fake.h"

enum fake_sd_state {
	FAKE_SD_IDLE,
	FAKE_SD_READY,
	FAKE_SD_IDENT,
	FAKE_SD_STANDBY,
	FAKE_SD_TRANSFER,
	FAKE_SD_DATA,
	FAKE_SD_RECEIVE,
	FAKE_SD_PROGRAM,
};

#define FAKE_SD_COMMANDS 64
#define FAKE_SD_FOR_EVER UINT32_MAX

struct fake_sd {
	/* The controller; set by fake_sd_init(), changed by a test before the driver's probe. */
	u32 capabilities;
	u32 base_hz; /* of its clock; 0: as the capabilities say */
	/* Its accesses to memory, if it has ADMA2; false: there is nothing at that address. */
	bool (*dma_read)(u32 bus, void *to, u32 bytes);
	bool (*dma_write)(u32 bus, const void *from, u32 bytes);
	u32 reset_polls, lines_polls, clock_polls, debounce_polls; /* looks until it is done */
	bool at_once;	      /* all that comes of a command is there when it is written */
	u64 *now_us;	      /* the time, for how far writes are apart */
	void (*access)(void); /* before each access: what other cores do meanwhile; 0: nothing */

	/* The card. */
	bool version1, large;
	bool switches;	     /* it knows SWITCH_FUNCTION */
	bool refuses_switch; /* but not high speed */
	u32 csd_structure;   /* 0: the one of its size */
	u8 *medium;
	u64 sectors;
	u32 cid[4];
	bool switch_protects, csd_protects;
	u32 ready_polls; /* SEND_OP_COND until it is ready */
	u32 busy_polls;	 /* SEND_STATUS until it has written, after an error */

	/* Faults: so many times from now on. */
	u32 mute[FAKE_SD_COMMANDS];    /* the controller hangs: nothing comes of the command */
	u32 unheard[FAKE_SD_COMMANDS]; /* the controller says that no answer came */
	u32 bad_blocks, bad_block;     /* of the transfer's blocks, this one has a wrong CRC */
	u32 silent_blocks;	       /* the block never comes */
	u32 dma_errors,
		dma_bad_block;	/* before that block the controller finds its descriptor wrong */
	u32 programming_errors; /* said in the answer to the stop */
	bool stop_unneeded;	/* after an error the card has stopped by itself */

	/* What was seen. */
	u32 resets, commands[FAKE_SD_COMMANDS], line_resets;
	u64 accesses, blocks_moved, dma_blocks;
	u32 last_argument;

	/* Registers as they are. */
	u32 block, argument, response[4], present, power, clock, status, enable, signal, table;
	/* The rest of the state. */
	u32 coming[8], coming_count; /* bits of the status, one after the other */
	enum fake_sd_state card;
	u32 address, op_conds;
	bool application, illegal, inserted;
	bool switching; /* the block in the buffer is the answer to SWITCH_FUNCTION */
	bool fast;	/* the card is at high speed */
	u32 hz;		/* of the clock that runs */
	bool inhibited; /* a command is out */
	u64 at;
	u32 left, word, total;
	bool buffer_ready, reads;
	bool dma;	  /* of the command that is out, or was */
	bool dma_active;  /* it may access memory */
	u32 dma_bus[128]; /* where each block of the transfer is */
	u64 last_write_us;
};

void fake_sd_init(struct fake_sd *sd, u8 *medium, u64 sectors, u64 *now_us);
bool fake_sd_line(const struct fake_sd *sd); /* its interrupt */
bool fake_sd_step(struct fake_sd *sd);	     /* the next thing comes; false: there is none */
void fake_sd_remove(struct fake_sd *sd);
void fake_sd_insert(struct fake_sd *sd);
