/* Has not the right "manage", and all the VMs of life_build.c to try it on. */
#include <weir/manage.h>
#include "tests/guest/tap.h"

#define VMS 8u

TEST(without_the_right_nothing_is_told_and_nothing_ends)
{
	struct weir_vm_info info = { 0 };

	for (uint64_t position = 0; position < VMS; position++) {
		CHECK_IS(weir_vm_info(weir_here(), position, &info), WEIR_DENIED);
		for (uint64_t life = 0; life < 3; life++) {
			weir_handle vm = life << 16 | position;

			CHECK_IS(weir_vm_start(vm), WEIR_DENIED);
			CHECK_IS(weir_vm_stop(vm), WEIR_DENIED);
			CHECK_IS(weir_vm_restart(vm), WEIR_DENIED);
		}
	}
	CHECK_IS(info.vm, 0);
	CHECK_IS(weir_here()->out->name[0], 0);
}

TESTS = {
	RUN(without_the_right_nothing_is_told_and_nothing_ends),
};
TESTS_MAIN
