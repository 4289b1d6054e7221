/*
 * The power management block of the Raspberry Pi (bcm2835_pm.h).
 *
 * The watchdog is a counter of 20 bits, 65,536 a second, that resets the machine when it gets to 0. After a reset firmware looks
 * at the boot partition in RSTS; 63, whose six bits stand in every second one, means: stay off.
 *
 * Owns:  the registers. Locks: none; whoever turns the machine off is the last to do anything.
 */
#include "drivers/bcm2835_pm.h"

#include "drivers/registers.h"

enum {
	PM_RSTC = 0x1c,
	PM_RSTS = 0x20,
	PM_WDOG = 0x24,
};

#define PM_PASSWORD	     0x5a000000u /* in every word written, or it is ignored */
#define PM_PASSWORD_MASK     0xff000000u
#define PM_RSTC_MODE	     0x30u
#define PM_RSTC_FULL_RESET   0x20u
#define PM_RSTS_PARTITION_63 0x555u
#define PM_OFF_TICKS	     10u

static void *registers;

void bcm2835_pm_init(void *mapped)
{
	registers = mapped;
}

bool bcm2835_pm_found(void)
{
	return registers;
}

/* 0 ticks: disarmed; the counter is left as it is, for at 0 it would reset. */
static void arm(u32 ticks)
{
	u32 control = register_read(registers, PM_RSTC) & ~PM_RSTC_MODE & ~PM_PASSWORD_MASK;

	if (ticks) {
		register_write(registers, PM_WDOG, PM_PASSWORD | ticks);
		control |= PM_RSTC_FULL_RESET;
	}
	register_write(registers, PM_RSTC, PM_PASSWORD | control);
}

void bcm2835_pm_power_off(void)
{
	u32 status;

	if (!registers)
		return;
	status = register_read(registers, PM_RSTS) & ~PM_PASSWORD_MASK;
	register_write(registers, PM_RSTS, PM_PASSWORD | status | PM_RSTS_PARTITION_63);
	arm(PM_OFF_TICKS);
}

void bcm2835_pm_watchdog(u32 ms)
{
	arm(min(ms, BCM2835_PM_WATCHDOG_MAX_MS) * 8192 / 125);
}
