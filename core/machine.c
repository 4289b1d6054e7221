/* The machine as a whole (machine.h). Owns: nothing. */
#include "core/machine.h"

#include "arch/arm64/barrier.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/timer.h"
#include "core/base/log.h"
#include "core/console.h"
#include "core/watchdog.h"
#include "drivers/bcm2835_pm.h"

/*
 * The power block is asked, and does it a moment later. QEMU leaves that to a thread of its own, which on a busy host
 * may have to wait for seconds while this core goes on: too early, and a machine that goes off says that it cannot. Other
 * cores' VMs go on until it does.
 */
#define OFF_US 30000000u

static void wait_for_power_off(void)
{
	u64 end = timer_now() + timer_from_us(OFF_US);

	if (!bcm2835_pm_found())
		return;
	while (timer_now() < end)
		cpu_relax();
}

void machine_off(void)
{
	watchdog_stop();
	console_flush();
	cpu_power_off();
	bcm2835_pm_power_off();
	wait_for_power_off();
	log_line("nothing is known that turns the machine off: it stops here");
	console_flush();
}
