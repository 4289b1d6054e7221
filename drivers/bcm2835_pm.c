/*
 * The power management block of the Raspberry Pi (bcm2835_pm.h).
 *
 * The watchdog is a counter that resets the machine when it gets to 0. After a reset firmware looks
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
#define PM_RSTC_MODE	     0x30u
#define PM_RSTC_FULL_RESET   0x20u
#define PM_RSTS_PARTITION_63 0x555u
#define PM_OFF_TICKS	     10u /* of 16 us */

static void *registers;

void bcm2835_pm_init(void *mapped)
{
	registers = mapped;
}

static void arm(u32 ticks)
{
	u32 control = register_read(registers, PM_RSTC) & ~PM_RSTC_MODE & ~0xff000000u;

	register_write(registers, PM_WDOG, PM_PASSWORD | ticks);
	register_write(registers, PM_RSTC, PM_PASSWORD | control | PM_RSTC_FULL_RESET);
}

void bcm2835_pm_power_off(void)
{
	u32 status;

	if (!registers)
		return;
	status = register_read(registers, PM_RSTS) & ~0xff000000u;
	register_write(registers, PM_RSTS, PM_PASSWORD | status | PM_RSTS_PARTITION_63);
	arm(PM_OFF_TICKS);
}
