/* The machine as a whole (machine.h). Owns: nothing. */
#include "core/machine.h"

#include "arch/arm64/cpu.h"
#include "core/base/log.h"
#include "core/console.h"
#include "drivers/bcm2835_pm.h"

void machine_off(void)
{
	console_flush();
	cpu_power_off();
	bcm2835_pm_power_off();
	log_line("nothing is known that turns the machine off: it stops here");
	console_flush();
}
