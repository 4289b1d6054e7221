/*
 * A slot with an SD card (fake/sd_host.h) and the driver that serves it, for test_sdhci*.c.
 *
 * Nothing waits: a test begins something and lets run() bring interrupts, what the card does and
 * timers in their order, in a time of its own, until nothing is left. A step of the driver that takes
 * too many accesses to registers, or anything that never ends, fails the test. Source: sd_slot.c
 */
#pragma once

#include "sd_host.h"
#include "drivers/sdhci.h"

#define SECTORS	 4096u
#define SECTOR	 BLOCK_SECTOR_BYTES
#define RESETS	 3u  /* for one request, as in the driver */
#define PAUSE_US 50u /* between two blocks, as in the driver */
#define REQUESTS 8

enum { READ_MANY = 18, WRITE_MANY = 25, STOP = 12, STATUS = 13, OP_COND = 41 };

struct test_request {
	struct block_request request;
	u32 ends; /* calls of `done` */
	enum weir_status status;
	struct test_request *next; /* submitted when this one is done */
};

extern struct fake_sd hw;
extern u8 medium[SECTORS * SECTOR];
extern u64 now_us, deadline_us; /* 0: no timer */
extern u64 card_us; /* between two things that the card does; 48 bits at the slow clock take 120 */
extern bool
	held_up; /* the core is, before each interrupt, until a timer is due that is set: that comes first */
extern u64 worked_ticks; /* what the driver says that it has taken of its core */
extern struct block_device *device;
extern u8 *memory;		 /* four pages */
extern struct sdhci_place place; /* what the driver gets; a test changes it before the probe */
extern struct test_request requests[REQUESTS];

int prepare(void **state); /* everything anew */
void probe(void);	   /* the driver looks for a card */
void probe_good(void);	   /* and finds it */

/* One interrupt, one thing that the card does, or the timer; false: nothing is left to come. */
bool step(void);
void run(void);

/* requests[index] on `memory`. */
struct test_request *request(u32 index, enum block_operation operation, u64 sector, u32 sectors);
enum weir_status submit(struct test_request *request);
void begin(struct test_request *begun); /* submits it; the driver takes it */
void check_ended(const struct test_request *ended, enum weir_status status);
void check_runs(struct test_request *begun, enum weir_status status); /* from begin to end */
void check_card_works(void); /* a block goes there and comes back */
