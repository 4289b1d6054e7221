/*
 * SD cards behind a host controller after the SD Association's standard (SD Host Controller
 * Simplified Specification 3.00; SD Physical Layer Simplified Specification 6.00), by DMA (ADMA2) where
 * the controller can and the memory is in its reach, else by programmed input and output.
 *
 * The driver never waits: a card is found and served in steps, each begun by the controller's
 * interrupt or by a timer that the driver asks for. All of that happens on one core, the one that
 * the interrupt is routed to; other cores only leave a request and raise that interrupt.
 * Sources: sdhci.c, sdhci_identification.c, sdhci_adma.c. Tests: tests/host/test_sdhci*.c
 */
#pragma once

#include "core/base/types.h"
#include "drivers/block_device.h"
#include "drivers/dma.h"

/* Where a controller is, and what the driver may ask of those who found it. */
struct sdhci_place {
	void *registers; /* mapped, 0x100 bytes */
	u32 intid;
	const char *name;	      /* the tree's node, for messages; lives for ever */
	u32 clock_hz;		      /* the base clock; 0: as the controller's capabilities say */
	bool removable;		      /* it sees whether a card is there */
	void *(*alloc)(size_t bytes); /* zeroed; lives for ever */
	void (*raise)(u32 intid);     /* the interrupt comes, on its core. Any core */
	struct dma_range dma;	      /* what it reaches by DMA; 0 bytes: not to be used */
	void *table; /* for DMA: DMA_LINE_BYTES of memory, and what it calls that */
	u32 table_address;
	/* sdhci_timer() is to be called after so long, instead of what was asked for before; 0: not
	 * at all. On the interrupt's core, like sdhci_timer(). */
	void (*set_timer)(void *context, u32 microseconds);
	void *context;
	/* The core has moved data of a request for so many ticks. On the interrupt's core. */
	void (*worked)(u64 ticks);
};

/*
 * Boot: begins to look for a card. Until sdhci_settled() the caller serves the controller's
 * interrupt and the timer; then `sectors` of the device is 0 if there is no card, and the caller
 * registers it by block_device_add() if there is one.
 */
struct block_device *sdhci_probe(const struct sdhci_place *place);
bool sdhci_settled(const struct block_device *device);
void sdhci_timer(struct block_device *device);
