/* Another VM has the devices that are at these addresses on one board or the other. */
#include "tests/guest/tap.h"

static const uint64_t devices[] = { 0x09010000, 0xfe003000 };
static volatile uint32_t aborts;

static bool skip(struct exception *exception)
{
	aborts++;
	exception->pc += 4;
	return true;
}

TEST(the_devices_of_another_vm_are_not_here)
{
	exception_handle(skip);
	for (uint32_t i = 0; i < 2; i++) {
		*(volatile uint32_t *)devices[i];
		CHECK_IS(aborts, 2 * i + 1);
		*(volatile uint32_t *)devices[i] = 1;
		CHECK_IS(aborts, 2 * i + 2);
	}
}

TESTS = { RUN(the_devices_of_another_vm_are_not_here) };
TESTS_MAIN
