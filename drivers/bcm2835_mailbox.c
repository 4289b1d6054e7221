/*
 * The property channel of the mailbox (bcm2835_mailbox.h).
 *
 * A message is words in memory: its size, a code, tags, 0. A tag is its number, the size of its values, a
 * code, and the values, which the answer replaces. The mailbox takes the message's address with the
 * channel in the low bits, and gives the same back when it was answered. No manual tells of it: the
 * registers are those of the binding brcm,bcm2835-mbox, the tags those that the firmware's authors list.
 *
 * Owns:  the registers, at boot; the message while it is under way. Locks: none, boot core only.
 */
#include "drivers/bcm2835_mailbox.h"

#include "arch/arm64/barrier.h"
#include "arch/arm64/cache.h"
#include "arch/arm64/timer.h"
#include "core/base/string.h"
#include "drivers/registers.h"

/* Mailbox 0 is read here, mailbox 1 is written. */
enum {
	MAIL_READ = 0x00,
	MAIL_READ_STATUS = 0x18,
	MAIL_WRITE = 0x20,
	MAIL_WRITE_STATUS = 0x38,
};

#define MAIL_FULL	BIT(31)
#define MAIL_EMPTY	BIT(30)
#define MAIL_PROPERTIES 8u
#define MAIL_POLLS	1000000u /* a tenth of a second and more */

#define ANSWERED       0x80000000u
#define GET_CLOCK_RATE 0x00030002u
#define GET_GPIO_STATE 0x00030041u
#define SET_GPIO_STATE 0x00038041u

/* Lines of the expander, by the names in the board's tree. */
#define VDD_SD_IO_SEL 132u /* voltage of the card's lines: 0 is 3.3 V, 1 is 1.8 V */
#define SD_PWR_ON     134u

#define CLOCK_EMMC2 12u
#define POWER_US \
	20000u /* PL 6.4.1: 1 ms below 0.5 V, then up to 35 ms, of which the driver waits 5 */

/* clang-format off */
static const u32 look[] = {
	DMA_LINE_BYTES, 0,
	GET_GPIO_STATE, 8, 0, VDD_SD_IO_SEL, 0,
	GET_CLOCK_RATE, 8, 0, CLOCK_EMMC2, 0,
	0,
};
static const u32 power_off[ARRAY_SIZE(look)] = {
	DMA_LINE_BYTES, 0,
	SET_GPIO_STATE, 8, 0, SD_PWR_ON, 0,
	0,
};
static const u32 power_on[ARRAY_SIZE(look)] = {
	DMA_LINE_BYTES, 0,
	SET_GPIO_STATE, 8, 0, VDD_SD_IO_SEL, 0,
	SET_GPIO_STATE, 8, 0, SD_PWR_ON, 1,
	0,
};
/* clang-format on */

enum { WORD_CODE = 1, WORD_GPIO = 6, WORD_RATE = 11 };

_Static_assert(sizeof(look) <= DMA_LINE_BYTES, "the message has its lines to itself");

/* Answers to others, from before, are dropped. False: none came to this one. */
static bool call(void *registers, u32 mail)
{
	u32 polls = MAIL_POLLS;

	while (register_read(registers, MAIL_WRITE_STATUS) & MAIL_FULL)
		if (!--polls)
			return false;
	register_write(registers, MAIL_WRITE, mail);
	while (--polls)
		if (!(register_read(registers, MAIL_READ_STATUS) & MAIL_EMPTY) &&
		    register_read(registers, MAIL_READ) == mail)
			return true;
	return false;
}

/* False: no answer, or not a good one. */
static bool ask(void *registers, const u32 *what, u32 *message, u32 address)
{
	memcpy(message, what, sizeof(look));
	cache_clean_invalidate(message, DMA_LINE_BYTES);
	if (!call(registers, address | MAIL_PROPERTIES))
		return false;
	/* Nobody has touched it, but a core may fetch what it likes before it is asked for. */
	cache_clean_invalidate(message, DMA_LINE_BYTES);
	return message[WORD_CODE] == ANSWERED;
}

static void pass_time(void)
{
	u64 end = timer_now() + timer_from_us(POWER_US);

	while (timer_now() < end)
		cpu_relax();
}

u32 bcm2835_mailbox_emmc2(void *registers, u32 *message, u32 address)
{
	bool low;
	u32 rate;

	if (!ask(registers, look, message, address))
		return 0;
	low = message[WORD_GPIO] == 1;
	rate = message[WORD_RATE];
	if (low && !ask(registers, power_off, message, address))
		return 0;
	if (low)
		pass_time();
	if (!ask(registers, power_on, message, address))
		return 0;
	if (low)
		pass_time();
	return rate;
}
