/*
 * The mailbox to the Raspberry Pi's firmware, its property channel. At boot only: there the driver waits,
 * with a bound. Source: bcm2835_mailbox.c. Tests: tests/host/test_mailbox.c
 */
#pragma once

#include "core/base/types.h"
#include "drivers/dma.h"

/*
 * Prepares the card slot at the controller emmc2: power on, lines at 3.3 V. A card that somebody has switched to
 * 1.8 V stays there until it loses power: so it does, for 20 ms. Returns the rate of its base clock
 * in Hz; 0: the firmware did not answer. `registers` of the node's first region, mapped; `message` is
 * DMA_LINE_BYTES of memory that the firmware knows by `address`, and may still write if it did not
 * answer.
 */
u32 bcm2835_mailbox_emmc2(void *registers, u32 *message, u32 address);
